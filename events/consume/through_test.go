package consume

import "testing"

// TestThrough shows that the shard that is the furthest behind counts, and what it misses.
func TestThrough(t *testing.T) {
	s := newState(at(50))
	s.Shards[3].Through = at(40)
	through := func(want int) {
		t.Helper()
		text, err := s.encode()
		if err != nil {
			t.Fatal(err)
		}
		if got, err := Through(text); err != nil || !got.Equal(at(want)) {
			t.Errorf("everything until %s was handled, %v; want %s", got, err, at(want))
		}
	}
	through(40)
	s.Shards[7].Missing = []interval{{From: at(60), To: at(61)}}
	through(40)
	s.Shards[7].Missing = []interval{{From: at(30), To: at(31)}, {From: at(45), To: at(46)}}
	through(30)
	for _, text := range []string{"", "{}", `{"shards":[null]}`} {
		if got, err := Through([]byte(text)); err == nil {
			t.Errorf("%q: %s", text, got)
		}
	}
}
