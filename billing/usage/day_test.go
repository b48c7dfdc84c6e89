package usage_test

import (
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage/integral"
)

// TestDaysAreIntegrals: each day of any history is the area below its levels, cut at
// every delta.
func TestDaysAreIntegrals(t *testing.T) { rapid.Check(t, daysAreIntegrals) }

// FuzzDaysAreIntegrals is the same, for what a fuzzer finds.
func FuzzDaysAreIntegrals(f *testing.F) { f.Fuzz(rapid.MakeFuzz(daysAreIntegrals)) }

func daysAreIntegrals(t *rapid.T) {
	h := histories(4).Draw(t, "history")
	for i, got := range h.folded(t) {
		from := h.start() + int64(i)*day
		if want := ofIntegral(integral.Of(from, from+day, h.steps())); asIntegral(got) != want {
			t.Fatalf("day %d:\n got %s\nwant %s", i, asIntegral(got), want)
		}
		if n := len(h.of(h.first + int64(i))); got.Deltas != n {
			t.Fatalf("day %d has %d deltas, not %d", i, got.Deltas, n)
		}
	}
}

// TestOrderAndDoubles: a day is the same to the byte in whatever order its deltas are
// given, and however often each.
func TestOrderAndDoubles(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := histories(1).Draw(t, "history")
		want := text(h.folded(t)[0])
		h.deltas = shuffled(t, h.deltas)
		if got := text(h.folded(t)[0]); got != want {
			t.Fatalf("another order gives\n     %s\nnot %s", got, want)
		}
	})
}

// TestBatches: deltas that came in batches, some in several of them, give the day that they
// give at once; and as usage is linear, those of disjoint batches add up.
func TestBatches(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := histories(1).Draw(t, "history")
		want := h.folded(t)[0]
		stored := make(map[[32]byte]usage.Delta) // as a table does, by its key
		byteMS, pinMS := new(big.Int), new(big.Int)
		cuts := rapid.SliceOfN(rapid.IntRange(0, len(h.deltas)), 0, 5).Draw(t, "cuts")
		from := 0
		for _, cut := range append(cuts, len(h.deltas)) {
			if cut < from {
				continue
			}
			part, err := usage.Fold(h.first, usage.Level{}, h.deltas[from:cut])
			if err != nil {
				t.Fatal(err)
			}
			byteMS.Add(byteMS, part.ByteMS)
			pinMS.Add(pinMS, part.PinMS)
			for _, d := range shuffled(t, h.deltas[:cut]) { // what was written is written again
				stored[d.ID] = d
			}
			from = cut
		}
		var all []usage.Delta
		for _, d := range stored {
			all = append(all, d)
		}
		got, err := usage.Fold(h.first, h.before, all)
		if err != nil || text(got) != text(want) {
			t.Fatalf("batches give\n     %s, %v\nnot %s", text(got), err, text(want))
		}
		idle := usage.Idle(h.before)
		if byteMS.Add(byteMS, idle.ByteMS).Cmp(want.ByteMS) != 0 || pinMS.Add(pinMS, idle.PinMS).Cmp(want.PinMS) != 0 {
			t.Fatalf("the batches add up to %s byte·ms, %s pin·ms, not %s, %s", byteMS, pinMS, want.ByteMS, want.PinMS)
		}
	})
}

// TestIdle: a day without deltas is one that is folded from none.
func TestIdle(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		level := usage.Level{Bytes: amounts().Draw(t, "bytes"), Pins: rapid.Int64().Draw(t, "pins")}
		folded, err := usage.Fold(rapid.Int64Range(-1e6, 1e6).Draw(t, "day"), level, nil)
		if err != nil || text(folded) != text(usage.Idle(level)) {
			t.Fatalf("%s\n%s, %v", text(usage.Idle(level)), text(folded), err)
		}
	})
}

// TestExbibyteDay: the byte·ms of one EiB for a day, which take 87 bits.
func TestExbibyteDay(t *testing.T) {
	const want = "99612417998031578726400000"
	one := usage.Delta{ID: idOf("one"), At: 20_000 * day, Bytes: big.NewInt(exbi), Pins: 1}
	folded, err := usage.Fold(20_000, usage.Level{}, []usage.Delta{one})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "the day it begins", folded.ByteMS, want)
	equal(t, "the pin", folded.PinMS, "86400000")
	equal(t, "the day after", usage.Idle(folded.Closing).ByteMS, want)
	equal(t, "the peak", folded.PeakBytes, "1152921504606846976")
	one.Bytes = new(big.Int).Mul(one.Bytes, big.NewInt(100)) // copies
	if folded, err = usage.Fold(20_000, usage.Level{}, []usage.Delta{one}); err != nil {
		t.Fatal(err)
	}
	equal(t, "a hundred copies", folded.ByteMS, want+"00")
	// 107 GB is the largest that an int64 holds.
	one.Bytes = big.NewInt(106_751_991_168)
	folded, err = usage.Fold(20_000, usage.Level{}, []usage.Delta{one})
	if err != nil {
		t.Fatal(err)
	}
	equal(t, "more than an int64 holds", folded.ByteMS, "9223372036915200000")
	if folded.ByteMS.IsInt64() {
		t.Error("an int64 would do")
	}
}

// TestMidnight: what is at midnight is of the day that begins, for all of its
// 86 400 000 milliseconds; a millisecond before, it is of the day that ends, for one.
func TestMidnight(t *testing.T) {
	for name, test := range map[string]struct {
		at           int64
		first, after string
	}{
		"at midnight":                  {5 * day, "86400000", "86400000"},
		"one after":                    {5*day + 1, "86399999", "86400000"},
		"one before the next midnight": {6*day - 1, "1", "86400000"},
	} {
		d := usage.Delta{ID: idOf("one"), At: test.at, Bytes: big.NewInt(1)}
		if got := usage.DayOf(test.at); got != 5 {
			t.Errorf("%s: it is of the day %d", name, got)
		}
		folded, err := usage.Fold(5, usage.Level{}, []usage.Delta{d})
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		equal(t, name, folded.ByteMS, test.first)
		equal(t, name+", the day after", usage.Idle(folded.Closing).ByteMS, test.after)
	}
	for at, want := range map[int64]int64{0: 0, -1: -1, -day: -1, -day - 1: -2, day - 1: 0, day: 1, -1 << 63: -106751991168} {
		if got := usage.DayOf(at); got != want {
			t.Errorf("%d is of the day %d, not %d", at, got, want)
		}
	}
}

// TestPeak: the peak is a level that lasted, and what is taken and given in one
// millisecond makes none, whichever is counted first.
func TestPeak(t *testing.T) {
	one := func(name string, at, bytes int64) usage.Delta {
		return usage.Delta{ID: idOf(name), At: at, Bytes: big.NewInt(bytes)}
	}
	for name, test := range map[string]struct {
		opening int64
		deltas  []usage.Delta
		want    string
	}{
		"corrected in place":          {10, []usage.Delta{one("less", 5, -10), one("more", 5, 12)}, "12"},
		"replaced":                    {10, []usage.Delta{one("more", 5, 9), one("less", 5, -10)}, "10"},
		"ended at midnight":           {10, []usage.Delta{one("less", 0, -4)}, "6"},
		"for one millisecond":         {10, []usage.Delta{one("more", 5, 9), one("less", 6, -9)}, "19"},
		"in the last millisecond":     {10, []usage.Delta{one("more", day-1, 9)}, "19"},
		"never above zero":            {-10, []usage.Delta{one("more", 5, 9), one("less", 6, -9)}, "-1"},
		"the level before is highest": {10, []usage.Delta{one("less", 5, -9)}, "10"},
	} {
		folded, err := usage.Fold(0, usage.Level{Bytes: big.NewInt(test.opening)}, test.deltas)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		equal(t, name, folded.PeakBytes, test.want)
	}
}
