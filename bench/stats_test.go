package main

import (
	"slices"
	"testing"
)

func TestMedian(t *testing.T) {
	for _, test := range []struct {
		values []float64
		want   float64
	}{
		{nil, 0},
		{[]float64{7}, 7},
		{[]float64{9, 1, 2}, 2},
		{[]float64{4, 1, 9, 2}, 3},
	} {
		given := slices.Clone(test.values)
		if got := median(test.values); got != test.want {
			t.Errorf("median of %v is %v, want %v", test.values, got, test.want)
		}
		if !slices.Equal(given, test.values) {
			t.Errorf("median has reordered %v to %v", given, test.values)
		}
	}
}

func TestMiddleHalf(t *testing.T) {
	for _, test := range []struct {
		values    []float64
		low, high float64
	}{
		{nil, 0, 0},
		{[]float64{3}, 3, 3},
		{[]float64{3, 1, 2}, 1, 3},
		{[]float64{8, 1, 7, 2, 6, 3, 5, 4}, 3, 6},
	} {
		if low, high := middleHalf(test.values); low != test.low || high != test.high {
			t.Errorf("the middle half of %v is %v to %v, want %v to %v", test.values, low, high, test.low, test.high)
		}
	}
}

func TestRatios(t *testing.T) {
	if got := ratio(3, 2); got != 1.5 {
		t.Errorf("ratio of 3 to 2 is %v", got)
	}
	if got := ratio(3, 0); got != 0 {
		t.Errorf("ratio of 3 to 0 is %v", got)
	}
	if got := ratios([]float64{3, 8, 1}, []float64{2, 4}); !slices.Equal(got, []float64{1.5, 2}) {
		t.Errorf("ratios are %v", got)
	}
}

// Over two rounds each side has each turn once.
func TestSideOfTurn(t *testing.T) {
	var got []int
	for round := range 2 {
		for turn := range 2 {
			got = append(got, sideOfTurn(round, turn))
		}
	}
	if !slices.Equal(got, []int{0, 1, 1, 0}) {
		t.Errorf("turns are %v", got)
	}
}

func TestProcessFiles(t *testing.T) {
	status := "Name:\tipfs\nVmHWM:\t    2000 kB\nVmRSS:\t    1000 kB\nThreads:\t7\n"
	if got, err := statusField([]byte(status), "VmRSS:"); err != nil || got != 1_024_000 {
		t.Errorf("resident memory is %v (%v)", got, err)
	}
	if got, err := statusField([]byte(status), "VmSwap:"); err == nil {
		t.Errorf("a field that is not there is %v", got)
	}
	stat := "42 (a name) with 1 2) S 1 42 42 0 -1 4194560 100 0 0 0 250 50 0 0 20 0"
	if got, err := statCPU(stat); err != nil || got != 3 {
		t.Errorf("processor time is %v s (%v), want 3", got, err)
	}
	if got, err := statCPU("42 (name) S 1"); err == nil {
		t.Errorf("a short line gives %v", got)
	}
}

func TestWatchedLog(t *testing.T) {
	l := newWatchedLog()
	for i, part := range []string{"x ** IPFS Clus", "ter is READY **", "\nother\n", "a ** IPFS Cluster is READY **\nb"} {
		before, _ := l.ready()
		if n, err := l.Write([]byte(part)); n != len(part) || err != nil {
			t.Fatalf("Write returns %d, %v", n, err)
		}
		at, ok := l.ready()
		if ok != (i >= 2) {
			t.Errorf("after part %d it is ready: %v", i, ok)
		}
		if i > 2 && !at.Equal(before) {
			t.Error("a later line counts")
		}
	}
	if want := "x ** IPFS Cluster is READY **\nother\na ** IPFS Cluster is READY **"; l.tail() != want {
		t.Errorf("tail is %q, want %q", l.tail(), want)
	}
}
