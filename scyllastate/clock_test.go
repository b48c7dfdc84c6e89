package scyllastate

import (
	"context"
	"sync"
	"testing"
	"testing/synctest"
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

// TestClockIsAskedSeldom: while the nodes contradict each other they are asked no more
// often than else, whatever wants to write, and soon while this machine is wrong.
func TestClockIsAskedSeldom(t *testing.T) {
	for _, tt := range []struct {
		name        string
		skew        scylla.Skew
		least, most int
	}{
		{"right", scylla.Skew{}, 10, 12},
		{"nodes that are apart", scylla.Skew{Spread: 2 * time.Second, Between: "the data centres a and b"}, 10, 12},
		{"this machine is wrong", scylla.Skew{Ahead: time.Minute}, 140, 160},
	} {
		synctest.Test(t, func(t *testing.T) {
			start, asked := time.Now(), 0
			c := &clock{
				bound:  maxClockSkew,
				ask:    func(context.Context) (scylla.Skew, error) { asked++; return tt.skew, nil },
				wall:   func() time.Time { return time.Now().Round(0) },
				steady: func() time.Duration { return time.Since(start) }, suspect: make(chan struct{}, 1),
			}
			must(t, c.measure(t.Context()))
			ctx, cancel := context.WithTimeout(t.Context(), 5*time.Minute)
			defer cancel()
			var writer sync.WaitGroup
			writer.Go(func() {
				for ctx.Err() == nil {
					_ = c.check()
					time.Sleep(100 * time.Millisecond)
				}
			})
			c.watch(ctx)
			writer.Wait()
			if asked < tt.least || asked > tt.most {
				t.Errorf("%s: asked %d times in five minutes, want %d to %d", tt.name, asked, tt.least, tt.most)
			}
		})
	}
}
