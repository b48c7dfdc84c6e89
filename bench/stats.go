package main

import "slices"

// median is the middle of the values, or the mean of the two in the middle. It
// is 0 for none.
func median(values []float64) float64 {
	if len(values) == 0 {
		return 0
	}
	sorted := slices.Sorted(slices.Values(values))
	half := len(sorted) / 2
	if len(sorted)%2 == 1 {
		return sorted[half]
	}
	return (sorted[half-1] + sorted[half]) / 2
}

// middleHalf are the bounds between which half of the values lie.
func middleHalf(values []float64) (low, high float64) {
	if len(values) == 0 {
		return 0, 0
	}
	sorted := slices.Sorted(slices.Values(values))
	quarter := len(sorted) / 4
	return sorted[quarter], sorted[len(sorted)-1-quarter]
}

// ratio is a/b, and 0 when there is no b.
func ratio(a, b float64) float64 {
	if b == 0 {
		return 0
	}
	return a / b
}

// ratios are the ratios of values that were measured in one round.
func ratios(left, right []float64) []float64 {
	out := make([]float64, min(len(left), len(right)))
	for i := range out {
		out[i] = ratio(left[i], right[i])
	}
	return out
}

// sideOfTurn says which side has a turn of a round: 0 and 1, then 1 and 0, so
// that neither is always first.
func sideOfTurn(round, turn int) int { return (round + turn) % 2 }
