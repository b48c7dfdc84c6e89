package migrate

import (
	"cmp"
	"fmt"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// Difference is a pin that the two sides do not have alike. What a side does not
// have is nil. The source's pin is the changed one.
type Difference struct {
	Cid    string   `json:"cid"`
	Source *api.Pin `json:"source,omitempty"`
	Target *api.Pin `json:"target,omitempty"`
}

// Comparison is what Verify has found. Each list names up to 100 of what the
// number before it counts.
type Comparison struct {
	// Source is the ID of the source.
	Source   string   `json:"source"`
	Change   Change   `json:"change"`
	Warnings []string `json:"warnings,omitempty"`
	// Live says that the pinset is in use. What differs may then have been
	// changed since.
	Live bool `json:"live"`
	// Records is how many records the source has, Pins how many of them are
	// pins, and Target how many rows the pinset has.
	Records int64 `json:"records"`
	Pins    int64 `json:"pins"`
	Target  int64 `json:"target"`
	// Duplicates is how many records of the source gave way to a later one of
	// the same CID.
	Duplicates int64 `json:"duplicates"`
	// Missing pins are in the source only, extra ones in the target only.
	Missing     int64        `json:"missing"`
	MissingPins []Difference `json:"missing_pins,omitempty"`
	Extra       int64        `json:"extra"`
	ExtraPins   []Difference `json:"extra_pins,omitempty"`
	// Different pins are in both and do not say the same. Newer is how many of
	// them have a later timestamp in the target, in seconds.
	Different     int64        `json:"different"`
	Newer         int64        `json:"newer"`
	DifferentPins []Difference `json:"different_pins,omitempty"`
	// EncodedDifferently counts pins that say the same in other bytes, as far as
	// pins were compared one by one. It is no failure: conditional writes
	// encode pins anew.
	EncodedDifferently     int64        `json:"encoded_differently"`
	EncodedDifferentlyPins []Difference `json:"encoded_differently_pins,omitempty"`
	// Bad is how many records of the source are no pins.
	Bad        int64       `json:"bad"`
	BadRecords []BadRecord `json:"bad_records,omitempty"`
	// TooLarge is how many pins of the source the target does not have because they
	// are larger than MaxPinBytes, so that a run leaves them out. They are neither
	// missing nor, where the target has another pin of that CID, different.
	TooLarge     int64      `json:"too_large"`
	TooLargePins []LargePin `json:"too_large_pins,omitempty"`
	MaxPinBytes  int        `json:"max_pin_bytes"`
	// CorruptTarget is how many rows of the pinset are no pins.
	CorruptTarget     int64       `json:"corrupt_target"`
	CorruptTargetRows []BadRecord `json:"corrupt_target_rows,omitempty"`
	// NotExamined is about how many pins lie where the sides differ and were not
	// looked at one by one, because there are too many differences, or the
	// source can be read only once. It is not zero if there is any.
	NotExamined int64 `json:"not_examined"`
	// Passes is how often both sides were read again to find what differs.
	Passes  int      `json:"passes"`
	Notes   []string `json:"notes,omitempty"`
	Seconds float64  `json:"seconds"`
}

// Equal reports whether the pinset holds the pins of the source and nothing else,
// and everything could be read and nothing was left out. It makes no allowance for a pinset in use.
func (c *Comparison) Equal() bool {
	return c.Missing == 0 && c.Extra == 0 && c.Different == 0 && c.Bad == 0 && c.TooLarge == 0 && c.CorruptTarget == 0 && c.NotExamined == 0
}

// note says what the numbers mean.
func (c *Comparison) note(others int) {
	say := func(format string, args ...any) { c.Notes = append(c.Notes, fmt.Sprintf(format, args...)) }
	if c.Live && c.Missing+c.Extra+c.Different > 0 {
		say("the pinset is in use: what is missing, extra or different may have been removed, added or changed by a peer since")
	}
	if c.Extra > 0 && others > 0 {
		say("%d other sources were brought into the pinset: extra pins may be theirs", others)
	}
	if c.NotExamined > 0 {
		say("not all differences can be named, as there are too many or the source can be read only once: about %d pins lie among them and were not compared one by one", c.NotExamined)
	}
}

// sort puts the lists into an order that does not depend on which piece was read
// first.
func (c *Comparison) sort() {
	for _, list := range [][]Difference{c.MissingPins, c.ExtraPins, c.DifferentPins, c.EncodedDifferentlyPins} {
		slices.SortFunc(list, func(a, b Difference) int { return cmp.Compare(a.Cid, b.Cid) })
	}
	slices.SortFunc(c.TooLargePins, func(a, b LargePin) int { return cmp.Compare(a.Cid, b.Cid) })
	slices.SortFunc(c.CorruptTargetRows, func(a, b BadRecord) int { return cmp.Compare(a.At, b.At) })
}

// missing counts a pin of the source that the target does not have.
func (c *Comparison) missing(pin *api.Pin) {
	c.Missing++
	c.MissingPins = list(c.MissingPins, pin, nil)
}

// leftOut counts a pin of the source that is too large for the target.
func (c *Comparison) leftOut(pin api.Cid, size int) {
	large := largePins{n: c.TooLarge, list: c.TooLargePins}
	large.add(pin, size)
	c.TooLarge, c.TooLargePins = large.n, large.list
}

// extra counts a pin of the target that the source does not have.
func (c *Comparison) extra(pin *api.Pin) {
	c.Extra++
	c.ExtraPins = list(c.ExtraPins, nil, pin)
}

// differ counts a pin that both sides have, with other bytes.
func (c *Comparison) differ(source, target *api.Pin, sameContent bool) {
	if sameContent {
		c.EncodedDifferently++
		c.EncodedDifferentlyPins = list(c.EncodedDifferentlyPins, source, target)
		return
	}
	c.Different++
	if target.Timestamp.After(source.Timestamp) {
		c.Newer++
	}
	c.DifferentPins = list(c.DifferentPins, source, target)
}

// list adds a difference if there is room.
func list(to []Difference, source, target *api.Pin) []Difference {
	if len(to) >= listed {
		return to
	}
	d := Difference{Source: source, Target: target}
	if source != nil {
		d.Cid = source.Cid.String()
	} else {
		d.Cid = target.Cid.String()
	}
	return append(to, d)
}
