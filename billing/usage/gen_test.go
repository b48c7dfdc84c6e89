package usage_test

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"testing"

	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage/integral"
)

const day = usage.DayMS

// exbi is one EiB.
const exbi = 1 << 60

// history is what happened on days that follow one another.
type history struct {
	first  int64 // day
	days   int
	before usage.Level
	deltas []usage.Delta // each once
}

func (h history) start() int64 { return h.first * day }
func (h history) end() int64   { return (h.first + int64(h.days)) * day }

// of returns the deltas of a day.
func (h history) of(n int64) []usage.Delta { return of(n, h.deltas) }

func of(n int64, deltas []usage.Delta) []usage.Delta {
	var out []usage.Delta
	for _, d := range deltas {
		if n*day <= d.At && d.At < (n+1)*day {
			out = append(out, d)
		}
	}
	return out
}

// steps are the history for package integral: what was before has happened long ago.
func (h history) steps() []integral.Step {
	steps := []integral.Step{{Name: "before", At: h.start() - 1e12, Bytes: h.before.Bytes, Pins: big.NewInt(h.before.Pins)}}
	for _, d := range h.deltas {
		steps = append(steps, integral.Step{Name: string(d.ID[:]), At: d.At, Bytes: d.Bytes, Pins: big.NewInt(d.Pins)})
	}
	return steps
}

// folded closes the days one after the other, with the deltas in the order they are in.
func (h history) folded(t fataler) []usage.Day {
	return foldAll(t, h.first, h.days, h.before, h.deltas)
}

type fataler interface {
	Helper()
	Fatal(args ...any)
}

func foldAll(t fataler, first int64, days int, opening usage.Level, deltas []usage.Delta) []usage.Day {
	t.Helper()
	var out []usage.Day
	for n := first; n < first+int64(days); n++ {
		folded, err := usage.Fold(n, opening, of(n, deltas))
		if err != nil {
			t.Fatal(err)
		}
		out = append(out, folded)
		opening = folded.Closing
	}
	return out
}

// histories are of up to most days, of real magnitudes: up to EiB, some of it many times over,
// and full days of milliseconds.
func histories(most int) *rapid.Generator[history] {
	return rapid.Custom(func(t *rapid.T) history {
		h := history{
			first:  rapid.OneOf(rapid.Int64Range(20_000, 22_000), rapid.Int64Range(-2, 2)).Draw(t, "first"),
			days:   rapid.IntRange(1, most).Draw(t, "days"),
			before: usage.Level{Bytes: amounts().Draw(t, "before"), Pins: rapid.Int64Range(-2, 1e12).Draw(t, "pins before")},
		}
		for i := range rapid.IntRange(0, 24).Draw(t, "deltas") {
			d := usage.Delta{
				ID: ids(i).Draw(t, "id"), At: times(h).Draw(t, "at"),
				Bytes: amounts().Draw(t, "bytes"), Pins: rapid.OneOf(rapid.Int64Range(-1, 1), rapid.Int64Range(-1e12, 1e12)).Draw(t, "pins"),
			}
			h.deltas = append(h.deltas, d)
		}
		return h
	})
}

// amounts are of bytes, as likely of one magnitude as of another.
func amounts() *rapid.Generator[*big.Int] {
	return rapid.Custom(func(t *rapid.T) *big.Int {
		most := int64(1) << rapid.SampledFrom([]int{0, 10, 20, 30, 37, 40, 50, 59, 60}).Draw(t, "magnitude")
		n := rapid.Int64Range(most/2, most).Draw(t, "amount")
		if rapid.Bool().Draw(t, "taken") {
			n = -n
		}
		copies := rapid.SampledFrom([]int64{0, 1, 1, 3, 100}).Draw(t, "copies")
		return new(big.Int).Mul(big.NewInt(n), big.NewInt(copies))
	})
}

// times are within the history, often about midnight, and often the same.
func times(h history) *rapid.Generator[int64] {
	return rapid.Custom(func(t *rapid.T) int64 {
		midnight := rapid.Int64Range(h.first, h.first+int64(h.days)).Draw(t, "midnight") * day
		at := midnight + rapid.OneOf(rapid.Int64Range(-2, 2), rapid.Just[int64](day/2), rapid.Int64Range(0, day-1)).Draw(t, "after")
		return min(max(at, h.start()), h.end()-1)
	})
}

// ids are different for different numbers; some begin with the same bytes.
func ids(n int) *rapid.Generator[[32]byte] {
	return rapid.Custom(func(t *rapid.T) [32]byte {
		if rapid.Bool().Draw(t, "alike") {
			var id [32]byte
			binary.BigEndian.PutUint64(id[24:], uint64(n))
			return id
		}
		return sha256.Sum256([]byte{byte(n)})
	})
}

// idOf is the ID of a delta that is named in a test.
func idOf(name string) [32]byte { return sha256.Sum256([]byte(name)) }

// shuffled is any order of the deltas, some of them twice.
func shuffled(t *rapid.T, deltas []usage.Delta) []usage.Delta {
	if len(deltas) == 0 {
		return nil
	}
	again := rapid.SliceOfN(rapid.SampledFrom(deltas), 0, len(deltas)).Draw(t, "again")
	return rapid.Permutation(append(append([]usage.Delta(nil), deltas...), again...)).Draw(t, "order")
}

// text is all of a day.
func text(d usage.Day) string {
	return fmt.Sprintf("opening %s and %d, closing %s and %d, byte·ms %s, pin·ms %s, peak %s, %d deltas, negative %v, digest %x",
		d.Opening.Bytes, d.Opening.Pins, d.Closing.Bytes, d.Closing.Pins, d.ByteMS, d.PinMS, d.PeakBytes, d.Deltas, d.Negative, d.Digest)
}

// asIntegral is what of a day is also in an integral.
func asIntegral(d usage.Day) string {
	return measured(d.ByteMS, d.PinMS, d.PeakBytes, d.Negative, d.Closing.Bytes, big.NewInt(d.Closing.Pins))
}

func ofIntegral(r integral.Result) string {
	return measured(r.Bytes, r.Pins, r.Highest, r.Below, r.EndBytes, r.EndPins)
}

func measured(bytes, pins, peak *big.Int, below bool, endBytes, endPins *big.Int) string {
	return fmt.Sprintf("byte·ms %s, pin·ms %s, peak %s, below zero %v, closing %s and %s", bytes, pins, peak, below, endBytes, endPins)
}

func equal(t *testing.T, what string, got *big.Int, want string) {
	t.Helper()
	if got.String() != want {
		t.Errorf("%s is %s, not %s", what, got, want)
	}
}
