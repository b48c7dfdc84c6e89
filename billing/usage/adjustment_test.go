package usage_test

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage/integral"
)

// ledger is what is kept of some days: they are closed once, and adjusted as often as
// something comes late.
type ledger struct {
	history // of what has come so far
	closed  []usage.Day
	latest  []usage.Day
	version []int64
	// adjustments are those of each day, as a table keeps them: one for an ID.
	adjustments []map[[32]byte]usage.Adjustment
}

// closeAll closes all days with what has come so far.
func closeAll(t fataler, h history) *ledger {
	t.Helper()
	l := &ledger{history: h, closed: h.folded(t)}
	l.latest = slices.Clone(l.closed)
	l.version = make([]int64, h.days)
	for range l.closed {
		l.adjustments = append(l.adjustments, make(map[[32]byte]usage.Adjustment))
	}
	return l
}

// late takes deltas of days that are closed: these, and the days after them, are recomputed,
// and whatever differs becomes an adjustment. The last of the days may be beyond those.
func (l *ledger) late(t fataler, deltas []usage.Delta) {
	t.Helper()
	l.deltas = append(l.deltas, deltas...)
	for i, after := range l.folded(t) {
		n := l.first + int64(i)
		a, changed := usage.Diff(n, l.version[i]+1, l.latest[i], after)
		if !changed {
			continue
		}
		if again, _ := usage.Diff(n, l.version[i]+1, l.latest[i], after); !again.Equal(a) {
			t.Fatal("an adjustment is another one when it is made again")
		}
		l.adjustments[i][a.ID] = a
		l.latest[i], l.version[i] = after, l.version[i]+1
	}
}

// of returns the adjustments of a day, in any order, some of them twice.
func (l *ledger) adjusted(t *rapid.T, i int) []usage.Adjustment {
	var out []usage.Adjustment
	for _, a := range l.adjustments[i] {
		out = append(out, a)
	}
	slices.SortFunc(out, func(a, b usage.Adjustment) int { return int(a.Version - b.Version) })
	if len(out) == 0 {
		return nil
	}
	again := rapid.SliceOfN(rapid.SampledFrom(out), 0, 3).Draw(t, "again")
	return rapid.Permutation(append(out, again...)).Draw(t, "order")
}

// TestClosedAndAdjusted: closed days with their adjustments are what a recompute from
// nothing gives, whatever came late, in however many batches, and that is the area below the
// levels. A closed day stays as it was.
func TestClosedAndAdjusted(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := histories(6).Draw(t, "history")
		all := h.deltas
		h.deltas = slices.Clone(all[:rapid.IntRange(0, len(all)).Draw(t, "in time")])
		l := closeAll(t, h)
		before := texts(l.closed)
		for rest := all[len(h.deltas):]; len(rest) > 0; {
			n := rapid.IntRange(1, len(rest)).Draw(t, "batch")
			l.late(t, shuffled(t, rest[:n]))
			rest = rest[n:]
		}
		h.deltas = all
		scratch := h.folded(t)
		for i, want := range scratch {
			n := h.first + int64(i)
			byteMS, pinMS, err := usage.Adjusted(n, l.closed[i], want.Digest, l.adjusted(t, i))
			if err != nil {
				t.Fatal(err)
			}
			if byteMS.Cmp(want.ByteMS) != 0 || pinMS.Cmp(want.PinMS) != 0 {
				t.Fatalf("the day %d is adjusted to %s byte·ms, %s pin·ms; from nothing it is\n%s", n, byteMS, pinMS, text(want))
			}
			area := integral.Of(n*day, (n+1)*day, h.steps())
			if byteMS.Cmp(area.Bytes) != 0 || pinMS.Cmp(area.Pins) != 0 {
				t.Fatalf("the day %d is adjusted to %s byte·ms, %s pin·ms, the areas are %s and %s", n, byteMS, pinMS, area.Bytes, area.Pins)
			}
		}
		if after := texts(l.closed); fmt.Sprint(before) != fmt.Sprint(after) {
			t.Fatalf("the closed days have become\n%v\nthey were\n%v", after, before)
		}
	})
}

// TestComeAndGone: something late is taken back, and comes once more. Two days after it, which
// has no deltas of its own, are what they were closed as, then adjusted, then what they were
// closed as, and adjusted again, with the same digests. Each step is an adjustment of its own.
func TestComeAndGone(t *testing.T) {
	l := closeAll(t, history{first: 10, days: 3})
	for i, sign := range []int64{1, -1, 1} {
		l.late(t, []usage.Delta{{ID: idOf(fmt.Sprint(i)), At: 10*day + int64(i), Bytes: big.NewInt(sign * 1000), Pins: sign}})
	}
	if l.latest[0].Digest == l.closed[0].Digest || l.latest[2].Digest == l.closed[2].Digest {
		t.Error("the days are as they were closed")
	}
	if n := len(l.adjustments[2]); n != 3 {
		t.Errorf("the last day has %d adjustments, not three", n)
	}
	var all []usage.Adjustment
	for _, a := range l.adjustments[2] {
		all = append(all, a)
	}
	byteMS, pinMS, err := usage.Adjusted(12, l.closed[2], l.latest[2].Digest, all)
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "byte·ms", byteMS, "86400000000")
	equal(t, "pin·ms", pinMS, "86400000")
}

// TestLostAdjustment: one that is missing is noticed, and so are those that do not belong
// together.
func TestLostAdjustment(t *testing.T) {
	l := closeAll(t, history{first: 10, days: 1})
	for i := range 3 {
		l.late(t, []usage.Delta{{ID: idOf(fmt.Sprint(i)), At: 10 * day, Bytes: big.NewInt(1), Pins: 1}})
	}
	var all []usage.Adjustment
	for _, a := range l.adjustments[0] {
		all = append(all, a)
	}
	slices.SortFunc(all, func(a, b usage.Adjustment) int { return int(a.Version - b.Version) })
	other := func(change func(a *usage.Adjustment)) usage.Adjustment {
		a := all[1]
		change(&a)
		return a
	}
	for name, test := range map[string]struct {
		day         int64
		adjustments []usage.Adjustment
		want        error
	}{
		"all":           {10, all, nil},
		"twice":         {10, append(slices.Clone(all), all...), nil},
		"none":          {10, nil, usage.ErrLost},
		"last missing":  {10, all[:2], usage.ErrLost},
		"first missing": {10, all[1:], usage.ErrLost},
		"one between":   {10, []usage.Adjustment{all[0], all[2]}, usage.ErrLost},
		"before one":    {10, append(slices.Clone(all), other(func(a *usage.Adjustment) { a.Version = 0 })), usage.ErrLost},
		"other day":     {11, all, usage.ErrOutside},
		"other bytes":   {10, append(slices.Clone(all), other(func(a *usage.Adjustment) { a.ByteMS = big.NewInt(7) })), usage.ErrConflict},
		"other pins":    {10, append(slices.Clone(all), other(func(a *usage.Adjustment) { a.PinMS = nil })), usage.ErrConflict},
		"other ID":      {10, append(slices.Clone(all), other(func(a *usage.Adjustment) { a.ID[0]++ })), usage.ErrConflict},
		"other origin":  {10, []usage.Adjustment{all[0], other(func(a *usage.Adjustment) { a.Old = [32]byte{} }), all[2]}, usage.ErrLost},
		"left out":      {10, []usage.Adjustment{all[0], other(func(a *usage.Adjustment) { a.Version, a.New = 3, all[2].New })}, usage.ErrLost},
	} {
		byteMS, _, err := usage.Adjusted(test.day, l.closed[0], l.latest[0].Digest, test.adjustments)
		if !errors.Is(err, test.want) {
			t.Errorf("%s: %v", name, err)
		}
		if test.want == nil && (err != nil || byteMS.Cmp(l.latest[0].ByteMS) != 0) {
			t.Errorf("%s: they lead to %s", name, byteMS)
		}
	}
	if _, _, err := usage.Adjusted(10, l.closed[0], l.closed[0].Digest, nil); err != nil {
		t.Errorf("a day that has none: %v", err)
	}
}
