// Package scale computes what a cluster of any size asks of its database: from what
// one peer at rest and one pin ask, which other tests measure, and from the times and
// sizes in the code. The page docs/scale.md has its tables.
package scale

import (
	"math"
	"time"
)

// Cluster is what the figures depend on.
type Cluster struct {
	// Peers hold pins, Copies of each. Nodes is how many nodes of the database a peer
	// measures its clock against: those of its data centre, and up to three of each
	// other, which are Remote.
	Peers, Nodes, Remote, Copies int
	// Pins are in the pinset, and Writes are new ones in a second.
	Pins, Writes float64
}

// Own is how many pins a peer holds.
func (c Cluster) Own() float64 { return c.Pins * float64(c.Copies) / float64(c.Peers) }

// Times and sizes of the code. Tests beside the code compare them.
const (
	SharedLook = 4 * time.Second  // and at those that all peers read
	SaveIdle   = 10 * time.Second // it saves its cursor while no changes come
	Save       = time.Second      // and while some do
	Clock      = 32 * time.Second // it measures its clock, with the pause after
	Remote     = 6 * Clock        // and asks nodes of other data centres, while all agree
	Beat       = 15 * time.Second // it sends a heartbeat
	View       = Beat / 2         // and reads those of all
	LastBeat   = 5 * time.Minute  // it notes that it runs
	Identities = 5 * time.Minute  // it reads who all are, whether that changed or not
	Expiry     = 10 * time.Second // a shard of the expiries is looked at
	Round      = 24 * time.Hour   // the scrub, and the check of own pins

	BeatShards    = 16
	ExpiryShards  = 16
	Buckets       = 4096 // of what a peer holds
	Pieces        = 4096 // of the pinset
	Page          = 500  // rows of placements or everywhere in one answer
	ScanPage      = 1000 // rows of the pinset
	IdentityPage  = 100
	PinsAtOnce    = 64   // read with one statement
	ExpirySlots   = 2.19 // minutes that a look at the expiries reads, on average
	SettledPasses = 2.8  // seconds between the last passes over a feed to which rows come
)

// What was measured. A peer at rest makes Looks looks at its own feed in a second: they
// are 250 ms apart, unless one comes just before that time is over. A pin costs PerPin
// statements, and PerHolder more for each copy.
const (
	Looks     = 2.66
	PerPin    = 1.87
	PerHolder = 3.31
)

// Term is one thing that is asked again and again.
type Term struct {
	What, Formula, Source string
	// PerSecond is how many statements that are, in a second.
	PerSecond func(c Cluster) float64
}

// shards is how many shards of the heartbeats have peers, on average.
func (c Cluster) shards() float64 {
	return BeatShards * (1 - math.Pow(1-1.0/BeatShards, float64(c.Peers)))
}

func each(every time.Duration) float64 { return 1 / every.Seconds() }

// AtRest is what is asked while nothing is written and nobody comes or goes.
func AtRest() []Term {
	p := func(c Cluster) float64 { return float64(c.Peers) }
	day := each(Round)
	return []Term{
		{"the scrub: what the holders of a pin say, up to 64", "pins / day", "counted",
			func(c Cluster) float64 { return c.Pins * day }},
		{"looks of the peers at their own feeds", "peers × 2.66, 4 at most", "measured",
			func(c Cluster) float64 { return p(c) * Looks }},
		{"views: heartbeats of the others", "peers × (1 + shards) / 7.5 s", "measured",
			func(c Cluster) float64 { return p(c) * (1 + c.shards()) * each(View) }},
		{"clocks: one reading of each node of the own data centre", "peers × nodes / 32 s", "counted",
			func(c Cluster) float64 { return p(c) * float64(c.Nodes-c.Remote) * each(Clock) }},
		{"clocks: up to three nodes of each other one, each by a connection with TLS and login", "peers × nodes / 192 s", "counted",
			func(c Cluster) float64 { return p(c) * float64(c.Remote) * each(Remote) }},
		{"the check of own pins with IPFS: pins, 64 a statement", "pins × copies / 64 / day", "counted",
			func(c Cluster) float64 { return c.Pins * float64(c.Copies) / PinsAtOnce * day }},
		{"the scrub: pins of the placements, 64 a statement", "pins × copies / 64 / day", "counted",
			func(c Cluster) float64 { return c.Pins * float64(c.Copies) / PinsAtOnce * day }},
		{"looks at the feeds that all peers read", "peers / 4 s", "measured",
			func(c Cluster) float64 { return p(c) * each(SharedLook) }},
		{"the check and the scrub: placements, two statements a bucket and one, and 500 rows a page", "(peers × 4096 × 3 + 2 × pins × copies / 500) / day", "counted",
			func(c Cluster) float64 {
				return (p(c)*Buckets*3 + 2*c.Pins*float64(c.Copies)/Page) * day
			}},
		{"cursors", "peers / 10 s, conditional", "measured",
			func(c Cluster) float64 { return p(c) * each(SaveIdle) }},
		{"heartbeats", "peers / 15 s, a write", "measured",
			func(c Cluster) float64 { return p(c) * each(Beat) }},
		{"notes that a peer runs", "peers × (1 + shards) / 5 min", "counted",
			func(c Cluster) float64 { return p(c) * (1 + c.shards()) * each(LastBeat) }},
		{"the scrub: buckets noted to be in use, a write", "peers × 4096 / day", "counted",
			func(c Cluster) float64 { return p(c) * Buckets * day }},
		{"who the peers are", "peers × (1 + peers / 100) / 5 min", "counted",
			func(c Cluster) float64 { return p(c) * (1 + p(c)/IdentityPage) * each(Identities) }},
		{"the scrub: the pinset, 1,000 rows a page", "(pins / 1000 + 4096) / day", "counted",
			func(c Cluster) float64 { return (c.Pins/ScanPage + Pieces) * day }},
		{"the scrub: pins that every peer holds", "4096 / day and more", "counted",
			func(Cluster) float64 { return Buckets * day }},
		{"expiries", "16 × 2.19 / 10 s + 16 / min", "measured",
			func(Cluster) float64 { return ExpiryShards*ExpirySlots*each(Expiry) + ExpiryShards*each(time.Minute) }},
	}
}

// Writing is what comes on top of that with so many new pins.
func Writing() []Term {
	p := func(c Cluster) float64 {
		if c.Writes == 0 {
			return 0
		}
		return float64(c.Peers)
	}
	return []Term{
		{"pins", "writes × (1.87 + 3.31 × copies)", "measured",
			func(c Cluster) float64 { return c.Writes * (PerPin + PerHolder*float64(c.Copies)) }},
		{"metrics that have changed since the view before", "peers × shards / 7.5 s", "counted",
			func(c Cluster) float64 { return p(c) * c.shards() * each(View) }},
		{"cursors, each second in place of every 10 s", "peers × 0.9, conditional", "counted",
			func(c Cluster) float64 { return p(c) * (each(Save) - each(SaveIdle)) }},
		{"last passes over feeds to which rows come", "peers / 2.8 s", "counted",
			func(c Cluster) float64 { return p(c) / SettledPasses }},
	}
}

// Sum is what some terms are together.
func Sum(terms []Term, c Cluster) (perSecond float64) {
	for _, t := range terms {
		perSecond += t.PerSecond(c)
	}
	return perSecond
}
