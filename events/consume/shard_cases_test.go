package consume

import (
	"fmt"
	"slices"
	"testing"

	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// TestNoNeedlessReplays shows that a stream without losses makes nothing missing, with
// batches that are published again and relays that take over from what is saved.
func TestNoNeedlessReplays(t *testing.T) {
	s := &shard{Through: at(0)}
	for i, m := range []message{
		{resume: &events.Resume{Epoch: 1, From: at(0)}},
		{epoch: 1, n: 1}, {epoch: 1, n: 2},
		{manifest: &events.Manifest{Epoch: 1, N: 2, Through: at(5), Latest: at(7)}},
		{epoch: 1, n: 3}, {epoch: 1, n: 5}, // 4 and 6 have not arrived
		{resume: &events.Resume{Epoch: 1, After: 2, N: 6, From: at(5)}},
		{epoch: 1, n: 7}, {epoch: 1, n: 8}, {epoch: 1, n: 9},
		{manifest: &events.Manifest{Epoch: 1, N: 8, Through: at(5), Latest: at(7)}}, // late
		{epoch: 1, n: 10},
		{manifest: &events.Manifest{Epoch: 1, N: 10, Through: at(9), Latest: at(12)}},
		{epoch: 1, n: 11}, // not saved: it is told again
		{resume: &events.Resume{Epoch: 2, From: at(9)}},
		{epoch: 2, n: 1}, {epoch: 1, n: 12}, {epoch: 2, n: 2},
		{manifest: &events.Manifest{Epoch: 2, N: 2, Through: at(20), Latest: at(20)}},
	} {
		if take(s, m); len(s.Missing) > 0 {
			t.Fatalf("message %d makes %v missing", i, s.Missing)
		}
	}
	if want := (shard{Epoch: 2, N: 2, Solid: 2, Through: at(20)}); fmt.Sprint(*s) != fmt.Sprint(want) {
		t.Errorf("at the end %+v, want %+v", *s, want)
	}
}

// TestEpochs shows what is missing when a relay takes over, from a shard that has handled
// numbers up to 3 of epoch 1 and everything until 5.
func TestEpochs(t *testing.T) {
	manifest := message{manifest: &events.Manifest{Epoch: 2, N: 1, Through: at(12), Latest: at(14)}}
	for name, test := range map[string]struct {
		messages []message
		want     []interval
	}{
		"it begins where the last one was": {[]message{{resume: &events.Resume{Epoch: 2, From: at(5)}}, {epoch: 2, n: 1}, manifest}, nil},
		"it begins earlier":                {[]message{{resume: &events.Resume{Epoch: 2, From: at(3)}}, {epoch: 2, n: 1}, manifest}, nil},
		"it begins later":                  {[]message{{resume: &events.Resume{Epoch: 2, From: at(9)}}, {epoch: 2, n: 1}, manifest}, []interval{{at(5), at(9)}}},
		"its beginning is lost":            {[]message{{epoch: 2, n: 1}, manifest}, []interval{{at(5), at(14)}}},
		"its beginning comes late": {
			[]message{{epoch: 2, n: 1}, {resume: &events.Resume{Epoch: 2, From: at(5)}}, manifest}, []interval{{at(5), at(14)}},
		},
		"its first message is lost":    {[]message{{resume: &events.Resume{Epoch: 2, From: at(5)}}, manifest}, []interval{{at(5), at(14)}}},
		"all but its manifest is lost": {[]message{manifest}, []interval{{at(5), at(14)}}},
		"the last one goes on": {
			[]message{
				{resume: &events.Resume{Epoch: 2, From: at(5)}}, {epoch: 1, n: 4}, {resume: &events.Resume{Epoch: 1, N: 9, From: at(99)}},
				{manifest: &events.Manifest{Epoch: 1, N: 99, Through: at(99), Latest: at(99)}}, {epoch: 2, n: 1}, manifest,
			}, nil,
		},
	} {
		s := &shard{Epoch: 1, N: 3, Solid: 3, Through: at(5)}
		for _, m := range test.messages {
			take(s, m)
		}
		if !slices.Equal(s.Missing, test.want) || !s.Through.Equal(at(12)) || s.Epoch != 2 || s.N != 1 {
			t.Errorf("%s: %+v, want %v missing", name, *s, test.want)
		}
	}
}

// TestIntervals compares with sets of moments.
func TestIntervals(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		var all []interval
		var set [20]bool
		for range rapid.IntRange(1, 12).Draw(t, "steps") {
			from := rapid.IntRange(0, 18).Draw(t, "from")
			to := rapid.IntRange(from, 19).Draw(t, "to")
			more := rapid.Bool().Draw(t, "add")
			if iv := (interval{From: at(from), To: at(to)}); more {
				all = add(all, iv)
			} else {
				all = subtract(all, iv)
			}
			for i := from + 1; i <= to; i++ {
				set[i] = more
			}
		}
		for i, want := range set {
			got := slices.ContainsFunc(all, func(iv interval) bool { return at(i).After(iv.From) && !at(i).After(iv.To) })
			if got != want {
				t.Fatalf("%d is in it: %v, want %v: %v", i, got, want, all)
			}
		}
		for i, iv := range all {
			if !iv.To.After(iv.From) || i > 0 && !iv.From.After(all[i-1].To) {
				t.Fatalf("not in order, or not apart: %v", all)
			}
		}
	})
}
