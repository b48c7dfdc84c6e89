// Package integral works out the area below a level step by step, as slowly as one does
// on paper. Tests compare what is billed with it. It is written without a look at how
// package usage does it, and imports nothing of billing: a mistake would have to be made
// twice to be missed.
//
// It cuts time at every step, and for each piece looks at all steps there are to find the
// level: nothing is carried on from one piece to the next, nor from one day to the next. A
// month of n steps takes n² additions.
package integral

import (
	"cmp"
	"math/big"
	"slices"
)

// Step is a change of a level, which stays from then on.
type Step struct {
	Name  string // of those with one name the first counts
	At    int64
	Bytes *big.Int
	Pins  *big.Int
}

// Result is the area below the levels of a stretch of time, and what was seen of them.
type Result struct {
	// Bytes and Pins are the areas.
	Bytes, Pins *big.Int
	// Highest is the highest level of bytes. There is one at each time.
	Highest *big.Int
	// Below says that a level was below zero.
	Below bool
	// EndBytes and EndPins are the levels at the end, without the steps of that time.
	EndBytes, EndPins *big.Int
}

// Of returns what there is from one time to another, which is later: the steps of the
// first time count, those of the last one do not.
func Of(from, to int64, steps []Step) Result {
	steps = named(steps)
	cuts := []int64{from, to}
	for _, s := range steps {
		if from < s.At && s.At < to {
			cuts = append(cuts, s.At)
		}
	}
	slices.SortFunc(cuts, func(a, b int64) int { return cmp.Compare(a, b) })
	r := Result{Bytes: new(big.Int), Pins: new(big.Int)}
	for i, at := range cuts[:len(cuts)-1] {
		wide := cuts[i+1] - at
		if wide == 0 {
			continue
		}
		bytes, pins := levels(at, steps)
		r.Bytes = plus(r.Bytes, times(bytes, wide))
		r.Pins = plus(r.Pins, times(pins, wide))
		if r.Highest == nil || r.Highest.Cmp(bytes) < 0 {
			r.Highest = bytes
		}
		r.Below = r.Below || bytes.Sign() < 0 || pins.Sign() < 0
	}
	r.EndBytes, r.EndPins = levels(to-1, steps)
	return r
}

// levels are those at a time: all steps until then, the ones of that time included.
func levels(at int64, steps []Step) (bytes, pins *big.Int) {
	bytes, pins = new(big.Int), new(big.Int)
	for _, s := range steps {
		if s.At <= at {
			bytes, pins = plus(bytes, s.Bytes), plus(pins, s.Pins)
		}
	}
	return bytes, pins
}

// named leaves out the steps whose name was there before.
func named(steps []Step) []Step {
	seen := make(map[string]bool)
	var out []Step
	for _, s := range steps {
		if !seen[s.Name] {
			out = append(out, s)
		}
		seen[s.Name] = true
	}
	return out
}

func plus(a, b *big.Int) *big.Int { return new(big.Int).Add(a, b) }

func times(level *big.Int, wide int64) *big.Int { return new(big.Int).Mul(level, big.NewInt(wide)) }
