package usage_test

import (
	"errors"
	"fmt"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage/integral"
)

// TestDaysMakeMonth: the days of a month, of which only those are stored on which something
// happened, add up to the area below the levels of the whole month.
func TestDaysMakeMonth(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		h := histories(31).Draw(t, "month")
		stored := make(map[int64]usage.Day)
		level := h.before
		for i := range int64(h.days) {
			deltas := h.of(h.first + i)
			if len(deltas) == 0 {
				continue // nobody does anything for this day
			}
			folded, err := usage.Fold(h.first+i, level, deltas)
			if err != nil {
				t.Fatal(err)
			}
			stored[h.first+i] = folded
			level = folded.Closing
		}
		days := usage.Days(h.first, h.days, h.before, stored)
		got, err := usage.Month(h.first, h.days, h.before, stored)
		if err != nil {
			t.Fatal(err)
		}
		want := ofIntegral(integral.Of(h.start(), h.end(), h.steps()))
		if asIntegral := measured(got.ByteMS, got.PinMS, got.PeakBytes, got.Negative, got.Closing.Bytes, big.NewInt(got.Closing.Pins)); asIntegral != want {
			t.Fatalf("\n got %s\nwant %s", asIntegral, want)
		}
		if got.Days != h.days || got.Deltas != len(h.deltas) || !got.Opening.Equal(h.before) {
			t.Fatalf("%d days, %d deltas, it opens with %v", got.Days, got.Deltas, got.Opening)
		}
		if all := h.folded(t); fmt.Sprint(texts(days)) != fmt.Sprint(texts(all)) {
			t.Fatalf("with idle days\n     %v\nnot %v", texts(days), texts(all))
		}
	})
}

func texts(days []usage.Day) []string {
	var out []string
	for _, d := range days {
		out = append(out, text(d))
	}
	return out
}

// TestGap: a day that does not open with what the day before has closed with is an error, and
// so is one that is not stored, if anything happened on it.
func TestGap(t *testing.T) {
	one := usage.Delta{ID: idOf("one"), At: day, Bytes: big.NewInt(5), Pins: 1}
	two := usage.Delta{ID: idOf("two"), At: 3 * day, Bytes: big.NewInt(5), Pins: 1}
	folded := foldAll(t, 0, 4, usage.Level{}, []usage.Delta{one, two})
	level := func(bytes, pins int64) usage.Level { return usage.Level{Bytes: big.NewInt(bytes), Pins: pins} }
	for name, test := range map[string]struct {
		opening usage.Level
		stored  map[int64]usage.Day
		gap     bool
	}{
		"all":                        {usage.Level{}, map[int64]usage.Day{0: folded[0], 1: folded[1], 2: folded[2], 3: folded[3]}, false},
		"no idle ones":               {usage.Level{}, map[int64]usage.Day{1: folded[1], 3: folded[3]}, false},
		"one that is of no matter":   {usage.Level{}, map[int64]usage.Day{1: folded[1], 3: folded[3], 4: folded[1]}, false},
		"one is missing":             {usage.Level{}, map[int64]usage.Day{3: folded[3]}, true},
		"they are mixed up":          {usage.Level{}, map[int64]usage.Day{1: folded[3], 3: folded[1]}, true},
		"more pins before":           {level(0, 1), map[int64]usage.Day{1: folded[1], 3: folded[3]}, true},
		"more bytes before":          {level(1, 0), map[int64]usage.Day{0: folded[0], 1: folded[1], 3: folded[3]}, true},
		"other bytes in the middle":  {usage.Level{}, map[int64]usage.Day{1: folded[1], 2: usage.Idle(level(6, 1))}, true},
		"other pins in the middle":   {usage.Level{}, map[int64]usage.Day{1: folded[1], 2: usage.Idle(level(5, 2))}, true},
		"other bytes before the end": {usage.Level{}, map[int64]usage.Day{1: folded[1], 3: usage.Idle(level(6, 1))}, true},
	} {
		if _, err := usage.Month(0, 4, test.opening, test.stored); errors.Is(err, usage.ErrGap) != test.gap || !test.gap && err != nil {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// TestDigests: the digest of a day is another one if anything of what it is made of is, and
// that of a month if one of its days is. They are stored: what they are does not change. The
// ones below were made by another program, from what the comments say.
func TestDigests(t *testing.T) {
	delta := usage.Delta{ID: idOf("one"), At: 1000, Bytes: big.NewInt(258), Pins: 1}
	other := usage.Delta{ID: idOf("other"), At: 1000, Bytes: big.NewInt(1)}
	level := usage.Level{Bytes: big.NewInt(exbi), Pins: 3}
	fold := func(opening usage.Level, deltas ...usage.Delta) usage.Day {
		return foldAll(t, 0, 1, opening, deltas)[0]
	}
	seen := make(map[[32]byte]string)
	for name, d := range map[string]usage.Day{
		"all":              fold(level, delta, other),
		"one":              fold(level, delta),
		"none":             fold(level),
		"opening bytes":    fold(usage.Level{Bytes: big.NewInt(exbi - 1), Pins: 3}, delta, other),
		"no opening bytes": fold(usage.Level{Pins: 3}, delta, other),
		"sign":             fold(usage.Level{Bytes: big.NewInt(-exbi), Pins: 3}, delta, other),
		"opening pins":     fold(usage.Level{Bytes: big.NewInt(exbi), Pins: 4}, delta, other),
		"time":             fold(level, usage.Delta{ID: delta.ID, At: 1001, Bytes: delta.Bytes, Pins: 1}, other),
		"bytes":            fold(level, usage.Delta{ID: delta.ID, At: 1000, Bytes: big.NewInt(2), Pins: 1}, other),
		"no bytes":         fold(level, usage.Delta{ID: delta.ID, At: 1000, Pins: 1}, other),
		"pins":             fold(level, usage.Delta{ID: delta.ID, At: 1000, Bytes: delta.Bytes, Pins: -1}, other),
		"IDs":              fold(level, usage.Delta{ID: idOf("two"), At: 1000, Bytes: delta.Bytes, Pins: 1}, other),
	} {
		if was, there := seen[d.Digest]; there {
			t.Errorf("%s has the digest of %s", name, was)
		}
		seen[d.Digest] = name
	}
	a, b := usage.Idle(level), fold(level, delta)
	month := total(t, 20_000, 2, map[int64]usage.Day{20_001: b})
	adjustment, _ := usage.Diff(20_000, 2, a, fold(level, delta, other))
	for name, test := range map[string]struct {
		digest [32]byte
		want   string
	}{
		"a day":         {fold(level, delta, other).Digest, "eb371a20a8cef234dbfac55e86a28d77836b1dc732f73633f98b9e85a392da66"},
		"an idle day":   {a.Digest, "29ea53cb2190d0747a702d7599aff0623584a9dd58e689f9886fb37185ab0c27"},
		"an adjustment": {adjustment.ID, "b3cfc5eda8d3ddb62157ba18775660530698504b428f417036c69c21bdcbb419"},
		"a month":       {month.Digest, "2d503bce3fa2e051fd029db62161f54c878bf42816fd2a468e884c2b930c4c6b"},
	} {
		if got := fmt.Sprintf("%x", test.digest); got != test.want {
			t.Errorf("the digest of %s is %s, not %s", name, got, test.want)
		}
	}
	for name, other := range map[string]usage.Total{
		"a day":          total(t, 20_000, 2, map[int64]usage.Day{20_000: b}),
		"the first day":  total(t, 20_001, 2, map[int64]usage.Day{20_002: b}),
		"how many":       total(t, 20_000, 3, map[int64]usage.Day{20_001: b}),
		"how many, less": total(t, 20_000, 1, nil),
	} {
		if other.Digest == month.Digest {
			t.Errorf("months that differ in %s have one digest", name)
		}
	}
}

// total is of days that open with what the digests are made of.
func total(t *testing.T, first int64, n int, stored map[int64]usage.Day) usage.Total {
	t.Helper()
	out, err := usage.Month(first, n, usage.Level{Bytes: big.NewInt(exbi), Pins: 3}, stored)
	if err != nil {
		t.Fatal(err)
	}
	return out
}
