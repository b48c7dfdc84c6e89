package consume

import (
	"slices"
	"time"
)

// interval is the time after From and until To. A zero From is before all times.
type interval struct {
	From time.Time `json:"from,omitzero"`
	To   time.Time `json:"to"`
}

// add returns the intervals, in order and apart from each other, with one more.
func add(all []interval, more interval) []interval {
	if !more.To.After(more.From) {
		return all
	}
	all = append(slices.Clone(all), more)
	slices.SortFunc(all, func(a, b interval) int { return a.From.Compare(b.From) })
	merged := all[:1]
	for _, iv := range all[1:] {
		if last := &merged[len(merged)-1]; !iv.From.After(last.To) {
			last.To = later(last.To, iv.To)
		} else {
			merged = append(merged, iv)
		}
	}
	return merged
}

// subtract returns the intervals without what is in one.
func subtract(all []interval, less interval) []interval {
	var left []interval
	for _, iv := range all {
		if !overlap(iv, less) {
			left = append(left, iv)
			continue
		}
		if less.From.After(iv.From) {
			left = append(left, interval{From: iv.From, To: less.From})
		}
		if iv.To.After(less.To) {
			left = append(left, interval{From: less.To, To: iv.To})
		}
	}
	return left
}

// overlap reports whether two intervals have a moment in common.
func overlap(a, b interval) bool {
	return a.To.After(a.From) && b.To.After(b.From) && a.To.After(b.From) && b.To.After(a.From)
}

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}
