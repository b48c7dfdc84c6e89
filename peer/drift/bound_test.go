package drift

import (
	"math"
	"testing"
)

// TestUpper95: the bound is that of tables, and about 3/n where none is bad.
func TestUpper95(t *testing.T) {
	for _, tt := range []struct {
		bad, n int
		want   float64
	}{
		{0, 0, 1}, {0, 1, 0.95}, {1, 1, 1}, {0, 10, 0.258866}, {1, 10, 0.394163}, {2, 10, 0.506901}, {9, 10, 0.994884}, {10, 10, 1},
		{0, 100, 0.029513}, {1, 100, 0.046560}, {5, 100, 0.102253}, {0, 598, 0.004997}, {0, 1000, 0.002991},
	} {
		if got := Upper95(tt.bad, tt.n); math.Abs(got-tt.want) > 1.5e-6 {
			t.Errorf("%d of %d: %.6f, want %.6f", tt.bad, tt.n, got, tt.want)
		}
	}
	for _, n := range []int{300, 1000, 100_000} {
		if got := Upper95(0, n) * float64(n); got < 2.97 || got > 3 {
			t.Errorf("none of %d: %.3f/n", n, got)
		}
	}
	for bad := range 50 {
		if Upper95(bad, 1000) >= Upper95(bad+1, 1000) || Upper95(bad, 1000) <= float64(bad)/1000 {
			t.Errorf("%d of 1000: %f", bad, Upper95(bad, 1000))
		}
	}
}

// TestUpper95Holds: of many samples of a known share 95 % have a bound that is not below
// it, and not many more.
func TestUpper95Holds(t *testing.T) {
	const n = 300
	for _, share := range []float64{0.005, 0.02, 0.1} {
		covered := 0.0 // the sum over all outcomes of a sample
		for bad := range n + 1 {
			if Upper95(bad, n) >= share {
				covered += math.Exp(choose(n, bad) + float64(bad)*math.Log(share) + float64(n-bad)*math.Log1p(-share))
			}
		}
		if covered < 0.95 {
			t.Errorf("%.3f: %.4f of the samples", share, covered)
		}
	}
}
