package integral

import (
	"math/big"
	"testing"
)

// TestByHand compares with what was worked out by hand.
func TestByHand(t *testing.T) {
	step := func(name string, at, bytes, pins int64) Step {
		return Step{name, at, big.NewInt(bytes), big.NewInt(pins)}
	}
	for name, test := range map[string]struct {
		steps                []Step
		bytes, pins, highest int64
		endBytes, endPins    int64
		below                bool
	}{
		"nothing":              {},
		"before":               {steps: []Step{step("a", 3, 7, 1)}, bytes: 70, pins: 10, highest: 7, endBytes: 7, endPins: 1},
		"at the beginning":     {steps: []Step{step("a", 10, 7, 1)}, bytes: 70, pins: 10, highest: 7, endBytes: 7, endPins: 1},
		"one later":            {steps: []Step{step("a", 11, 7, 1)}, bytes: 63, pins: 9, highest: 7, endBytes: 7, endPins: 1},
		"at the last time":     {steps: []Step{step("a", 19, 7, 1)}, bytes: 7, pins: 1, highest: 7, endBytes: 7, endPins: 1},
		"after":                {steps: []Step{step("a", 20, 7, 1)}},
		"up and down":          {steps: []Step{step("a", 12, 7, 1), step("b", 15, -7, -1)}, bytes: 21, pins: 3, highest: 7},
		"down and up":          {steps: []Step{step("a", 12, -7, -1), step("b", 15, 7, 1)}, bytes: -21, pins: -3, below: true},
		"at once":              {steps: []Step{step("a", 12, -7, -1), step("b", 12, 7, 1)}},
		"twice":                {steps: []Step{step("a", 12, 7, 1), step("a", 12, 7, 1)}, bytes: 56, pins: 8, highest: 7, endBytes: 7, endPins: 1},
		"below zero all along": {steps: []Step{step("a", 0, -7, 1)}, bytes: -70, pins: 10, highest: -7, endBytes: -7, endPins: 1, below: true},
		"two levels":           {steps: []Step{step("a", 10, 5, 0), step("b", 14, 4, 2), step("c", 18, -8, 0)}, bytes: 20 + 36 + 2, pins: 12, highest: 9, endBytes: 1, endPins: 2},
	} {
		r := Of(10, 20, test.steps)
		for _, n := range []struct {
			what string
			got  *big.Int
			want int64
		}{
			{"bytes", r.Bytes, test.bytes}, {"pins", r.Pins, test.pins}, {"highest", r.Highest, test.highest},
			{"bytes at the end", r.EndBytes, test.endBytes}, {"pins at the end", r.EndPins, test.endPins},
		} {
			if n.got.Cmp(big.NewInt(n.want)) != 0 {
				t.Errorf("%s: %s is %s, not %d", name, n.what, n.got, n.want)
			}
		}
		if r.Below != test.below {
			t.Errorf("%s: below zero is %v", name, r.Below)
		}
	}
}
