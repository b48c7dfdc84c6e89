package usage_test

import (
	"errors"
	"math"
	"math/big"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

// TestConflict: two deltas with one ID that differ in anything are an error, wherever they
// stand among others, and two that are the same are not.
func TestConflict(t *testing.T) {
	for name, change := range map[string]func(d *usage.Delta){
		"time":  func(d *usage.Delta) { d.At++ },
		"bytes": func(d *usage.Delta) { d.Bytes = new(big.Int).Add(d.Bytes, big.NewInt(1)) },
		"sign":  func(d *usage.Delta) { d.Bytes = new(big.Int).Sub(big.NewInt(-1), d.Bytes) },
		"size":  func(d *usage.Delta) { d.Bytes = new(big.Int).Mul(d.Bytes, big.NewInt(1<<40)) },
		"pins":  func(d *usage.Delta) { d.Pins++ },
	} {
		t.Run(name, func(t *testing.T) {
			rapid.Check(t, func(t *rapid.T) {
				h := histories(1).Filter(func(h history) bool { return len(h.deltas) > 0 }).Draw(t, "history")
				i := rapid.IntRange(0, len(h.deltas)-1).Draw(t, "which")
				if h.deltas[i].Bytes.Sign() == 0 {
					h.deltas[i].Bytes = big.NewInt(1)
				}
				h.deltas[i].At = min(h.deltas[i].At, h.end()-2)
				other := h.deltas[i]
				change(&other)
				if other.Equal(h.deltas[i]) {
					t.Fatal("it is the same")
				}
				h.deltas = rapid.Permutation(append(h.deltas, other)).Draw(t, "order")
				if _, err := usage.Fold(h.first, h.before, h.deltas); !errors.Is(err, usage.ErrConflict) {
					t.Fatalf("the error is %v", err)
				}
			})
		})
	}
	one := usage.Delta{ID: idOf("one"), At: 7, Pins: 1}
	same := one
	same.Bytes = new(big.Int)
	if folded, err := usage.Fold(0, usage.Level{}, []usage.Delta{one, same}); err != nil || folded.Deltas != 1 {
		t.Errorf("no bytes and zero bytes are %d deltas, %v", folded.Deltas, err)
	}
}

// TestOutside: a delta of another day is an error.
func TestOutside(t *testing.T) {
	for _, n := range []int64{-1, 0, 20_000} {
		for _, at := range []int64{math.MinInt64, n*day - 1, (n + 1) * day, math.MaxInt64} {
			if _, err := usage.Fold(n, usage.Level{}, []usage.Delta{{At: at}}); !errors.Is(err, usage.ErrOutside) {
				t.Errorf("at %d in the day %d: %v", at, n, err)
			}
		}
		for _, at := range []int64{n * day, (n+1)*day - 1} {
			if _, err := usage.Fold(n, usage.Level{}, []usage.Delta{{At: at}}); err != nil {
				t.Errorf("at %d in the day %d: %v", at, n, err)
			}
		}
	}
}

// TestRange: what an int64 does not hold is an error, and what it may not hold only on the
// way is none.
func TestRange(t *testing.T) {
	const most = math.MaxInt64
	for _, n := range []int64{math.MinInt64, math.MinInt64/day - 1, most / day, most} {
		if _, err := usage.Fold(n, usage.Level{}, nil); !errors.Is(err, usage.ErrRange) {
			t.Errorf("the day %d: %v", n, err)
		}
	}
	for _, n := range []int64{math.MinInt64 / day, most/day - 1} {
		if _, err := usage.Fold(n, usage.Level{}, []usage.Delta{{At: n * day}, {ID: idOf("last"), At: (n+1)*day - 1}}); err != nil {
			t.Errorf("the day %d: %v", n, err)
		}
	}
	more := []usage.Delta{{ID: idOf("a"), Pins: most}, {ID: idOf("b"), At: 1, Pins: most}}
	if _, err := usage.Fold(0, usage.Level{}, more); !errors.Is(err, usage.ErrRange) {
		t.Errorf("too many pins: %v", err)
	}
	back := append(slices.Clone(more), usage.Delta{ID: idOf("c"), At: 1, Pins: -most})
	folded, err := usage.Fold(0, usage.Level{}, back)
	if err != nil || folded.Closing.Pins != most {
		t.Errorf("%d pins, %v", folded.Closing.Pins, err)
	}
	equal(t, "pin·ms", folded.PinMS, new(big.Int).Mul(big.NewInt(most), big.NewInt(day)).String())
	if days := usage.Days(0, -1, usage.Level{}, nil); len(days) != 0 {
		t.Errorf("%d days", len(days))
	}
}

// TestBelowZero: a level below zero is billed as it is, and told.
func TestBelowZero(t *testing.T) {
	bytes := func(n int64) usage.Level { return usage.Level{Bytes: big.NewInt(n)} }
	at := func(ms, bytes, pins int64) usage.Delta {
		return usage.Delta{ID: idOf(string(rune(ms))), At: ms, Bytes: big.NewInt(bytes), Pins: pins}
	}
	for name, test := range map[string]struct {
		opening  usage.Level
		deltas   []usage.Delta
		byteMS   string
		pinMS    string
		negative bool
	}{
		"an end without a beginning":     {bytes(0), []usage.Delta{at(day-10, -5, -1)}, "-50", "-10", true},
		"only pins":                      {bytes(5), []usage.Delta{at(day-10, 0, -1)}, "432000000", "-10", true},
		"for a millisecond":              {bytes(0), []usage.Delta{at(10, -5, 0), at(11, 5, 0)}, "-5", "0", true},
		"in the last millisecond":        {bytes(0), []usage.Delta{at(day-1, -5, 0)}, "-5", "0", true},
		"since before":                   {bytes(-5), nil, "-432000000", "0", true},
		"until midnight":                 {bytes(-5), []usage.Delta{at(0, 5, 0)}, "0", "0", false},
		"all is given back":              {bytes(5), []usage.Delta{at(10, -5, 0)}, "50", "0", false},
		"it begins after it has ended":   {bytes(0), []usage.Delta{at(10, -5, -1), at(20, 5, 1)}, "-50", "-10", true},
		"it begins and ends at one time": {bytes(0), []usage.Delta{at(10, -5, -1), {ID: idOf("same"), At: 10, Bytes: big.NewInt(5), Pins: 1}}, "0", "0", false},
	} {
		folded, err := usage.Fold(0, test.opening, test.deltas)
		if err != nil {
			t.Errorf("%s: %v", name, err)
			continue
		}
		equal(t, name, folded.ByteMS, test.byteMS)
		equal(t, name+", pins", folded.PinMS, test.pinMS)
		if folded.Negative != test.negative {
			t.Errorf("%s: negative is %v", name, folded.Negative)
		}
		if total, err := usage.Month(0, 1, test.opening, map[int64]usage.Day{0: folded}); err != nil || total.Negative != test.negative {
			t.Errorf("%s: the month has %v, %v", name, total.Negative, err)
		}
	}
}

// TestNothingIsShared: what was passed in stays as it was, whatever is done with what was
// returned, and the other way round.
func TestNothingIsShared(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := histories(1).Draw(t, "history")
		in := h.folded(t)[0]
		before := text(in)
		given := slices.Clone(h.deltas)
		other := usage.Idle(in.Closing)
		adjustment, _ := usage.Diff(0, 1, in, other)
		total, err := usage.Month(0, 1, in.Opening, map[int64]usage.Day{0: in})
		if err != nil {
			t.Fatal(err)
		}
		byteMS, pinMS, err := usage.Adjusted(0, in, in.Digest, nil)
		if err != nil {
			t.Fatal(err)
		}
		for _, n := range []*big.Int{other.Opening.Bytes, other.Closing.Bytes, other.ByteMS, other.PinMS, other.PeakBytes, adjustment.ByteMS, adjustment.PinMS,
			total.Opening.Bytes, total.Closing.Bytes, total.ByteMS, total.PinMS, total.PeakBytes, byteMS, pinMS} {
			n.SetInt64(-77)
		}
		if text(in) != before {
			t.Fatalf("the day has become %s", text(in))
		}
		for _, n := range []*big.Int{in.Opening.Bytes, in.Closing.Bytes, in.ByteMS, in.PinMS, in.PeakBytes} {
			n.SetInt64(-77)
		}
		for i, d := range h.deltas {
			if !d.Equal(given[i]) {
				t.Fatalf("delta %d has become %v", i, d)
			}
		}
		if again := text(h.folded(t)[0]); again != before {
			t.Fatalf("the day has become %s", again)
		}
	})
}

// TestNil: numbers that are not set are zero.
func TestNil(t *testing.T) {
	folded, err := usage.Fold(0, usage.Level{}, []usage.Delta{{At: 3}})
	if err != nil || folded.ByteMS.Sign() != 0 || folded.PeakBytes.Sign() != 0 || folded.Closing.Bytes == nil {
		t.Errorf("%s, %v", text(folded), err)
	}
	total, err := usage.Month(0, 2, usage.Level{}, map[int64]usage.Day{1: {}})
	if err != nil || total.ByteMS.Sign() != 0 || total.Closing.Bytes == nil {
		t.Errorf("%v, %v", total, err)
	}
	if total, err = usage.Month(0, -1, usage.Level{}, nil); err != nil || total.PeakBytes.Sign() != 0 || total.Opening.Bytes == nil {
		t.Errorf("%v, %v", total, err)
	}
	a, changed := usage.Diff(0, 1, usage.Day{}, usage.Day{})
	if changed || a.ByteMS.Sign() != 0 {
		t.Errorf("%v, %v", a, changed)
	}
	zero, err := usage.Fold(0, usage.Level{Bytes: new(big.Int)}, []usage.Delta{{At: 3, Bytes: new(big.Int)}})
	if err != nil || text(zero) != text(folded) {
		t.Errorf("zero bytes give\n     %s, %v\nnot %s", text(zero), err, text(folded))
	}
	if !(usage.Level{}).Equal(usage.Level{Bytes: new(big.Int)}) {
		t.Error("no bytes are not zero bytes")
	}
}
