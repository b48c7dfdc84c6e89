package scale

// Bytes of one row, without compression and what the engine adds: docs/schema.md, with a
// CID of 36 bytes.
const (
	PlacementBytes  = 186
	EverywhereBytes = 96
	ExpiryBytes     = 96
	ChangeBytes     = 156
	BeatBytes       = 100
)

// What one pin costs, counted from the code.
const (
	// UnpinPerPin and UnpinPerHolder are for one that runs out: two reads and the
	// conditional update; the row of the feed, the reads of pin and row, and the two
	// writes of the row.
	UnpinPerPin    = 3
	UnpinPerHolder = 5
	// NewEverywhere is for one of a peer that is new and has to hold it: the reads of pin
	// and row, and the two writes of the row.
	NewEverywhere = 4
)

// Size is one figure of how large something gets.
type Size struct {
	What, Formula, Unit string
	Value               func(c Cluster) float64
}

// Sizes are those of the tables, and of what is done with all pins at once.
func Sizes() []Size {
	perBucket := func(c Cluster) float64 { return c.Own() / Buckets }
	const mega = 1e6
	return []Size{
		{"pins that a peer holds", "pins × copies / peers", "", Cluster.Own},
		{"a partition of `placements`", "that / 4096", "rows", perBucket},
		{"", "× 186 B", "MB", func(c Cluster) float64 { return perBucket(c) * PlacementBytes / mega }},
		{"a partition of `changes`, while pins are written", "writes × copies / peers × 60 s", "rows", func(c Cluster) float64 { return c.Writes * float64(c.Copies) / float64(c.Peers) * 60 }},
		{"the same for the feeds of every peer, if all pins were `everywhere`", "writes / 4 × 60 s", "rows", func(c Cluster) float64 { return c.Writes / 4 * 60 }},
		{"", "× 156 B", "MB", func(c Cluster) float64 { return c.Writes / 4 * 60 * ChangeBytes / mega }},
		{"and what all peers read of them", "writes × peers × 1.5", "rows/s", func(c Cluster) float64 { return c.Writes * float64(c.Peers) * 1.5 }},
		{"a partition of `everywhere`, if all pins were", "pins / 4096", "rows", func(c Cluster) float64 { return c.Pins / Buckets }},
		{"", "× 96 B", "MB", func(c Cluster) float64 { return c.Pins / Buckets * EverywhereBytes / mega }},
		{"what a new peer asks that then must hold all", "pins × (4 + 1/64 + 1/500)", "statements", func(c Cluster) float64 { return c.Pins * (NewEverywhere + 1.0/PinsAtOnce + 1.0/Page) }},
		{"how long that takes at 100 pins a second", "pins / 100 / day", "days", func(c Cluster) float64 { return c.Pins / 100 / Round.Seconds() }},
		{"a partition of `expiries`, if all pins run out in one minute", "pins / 16", "rows", func(c Cluster) float64 { return c.Pins / ExpiryShards }},
		{"", "× 96 B", "MB", func(c Cluster) float64 { return c.Pins / ExpiryShards * ExpiryBytes / mega }},
		{"what their removal asks", "pins × (3 + 5 × copies)", "statements", func(c Cluster) float64 { return c.Pins * (UnpinPerPin + UnpinPerHolder*float64(c.Copies)) }},
		{"how late the last one is, at 1,000 removals a second", "pins / 1000 / day", "days", func(c Cluster) float64 { return c.Pins / 1000 / Round.Seconds() }},
		{"a partition of `expiries`, if they run out over a year", "pins / 16 / 525,600 min", "rows", func(c Cluster) float64 { return c.Pins / ExpiryShards / 525600 }},
		{"removals a second then", "pins / year", "1/s", func(c Cluster) float64 { return c.Pins / (365 * Round.Seconds()) }},
		{"what all views read", "peers² / 7.5 s", "rows/s", func(c Cluster) float64 { return float64(c.Peers) * float64(c.Peers) * each(View) }},
		{"", "× 100 B", "MB/s", func(c Cluster) float64 { return float64(c.Peers) * float64(c.Peers) * each(View) * BeatBytes / mega }},
	}
}
