package scyllastate

import (
	"context"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// TestClockSetWhileMeasured: a clock that is set between the answer of the
// database and the end of the measurement must not count as right.
func TestClockSetWhileMeasured(t *testing.T) {
	start := time.Now()
	wall, steady := start, time.Duration(0)
	pass := func(d time.Duration) { wall, steady = wall.Add(d), steady+d }
	set := time.Duration(0)
	c := &clock{
		bound: maxClockSkew,
		ask: func(context.Context) (scylla.Skew, error) {
			pass(time.Second)
			wall = wall.Add(set) // after the answer was made
			pass(time.Second)
			return scylla.Skew{}, nil
		},
		wall:    func() time.Time { return wall },
		steady:  func() time.Duration { return steady },
		suspect: make(chan struct{}, 1),
	}
	if err := c.measure(t.Context()); err != nil || c.check() != nil {
		t.Fatalf("a right clock: %v, %v", err, c.check())
	}
	set = time.Minute
	err := c.measure(t.Context())
	if c.check() == nil {
		t.Errorf("a clock that was set by %s counts as right (measure = %v)", set, err)
	}
}
