package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	measureEvery = 30 * time.Second
	// measureAgain is the pause while this machine's clock is known to be wrong.
	measureAgain = 2 * time.Second
	// measureValid is how long a measurement counts when no new one succeeds.
	measureValid = 5 * time.Minute
)

// clock is this machine's clock together with what is known of its error. The
// readers of the feed look for late rows as long as two clocks, each within bound
// of the nodes', can make a row late; whoever has one that is further off must
// neither write nor decide that no row is late.
//
// That holds for two peers that measure against one time. Where the nodes' clocks
// are further apart than two writers' may be, nobody can tell what that is, and
// nobody writes either (docs/adr/0020).
type clock struct {
	bound time.Duration
	ask   func(context.Context) (scylla.Skew, error)
	// wall can be set at any moment, steady cannot: together they tell when
	// wall was.
	wall   func() time.Time
	steady func() time.Duration

	mu sync.Mutex
	// skew and spread were measured when the clocks said wallAt and steadyAt.
	skew     time.Duration
	spread   spread
	wallAt   time.Time
	steadyAt time.Duration
	// suspect wakes watch when check has found the clock wrong.
	suspect chan struct{}
}

func newClock(db *scylla.DB, bound time.Duration) *clock {
	start := time.Now()
	return &clock{
		bound: bound, ask: db.Skew,
		wall:    func() time.Time { return time.Now().Round(0) },
		steady:  func() time.Duration { return time.Since(start) },
		suspect: make(chan struct{}, 1),
	}
}

// spread is how far the nodes' clocks are apart, and which of them.
type spread struct {
	by    time.Duration
	nodes string
}

// ClockError says that this machine's clock is too far from the database's, or
// that the clocks of the database's nodes are too far from each other.
type ClockError struct {
	// Skew is how far this machine is ahead (negative: behind), at most Bound.
	// Spread is how far the nodes are apart, at most twice as much.
	Skew, Spread, Bound time.Duration
	// Nodes says which nodes are that far apart.
	Nodes string
}

// apart reports whether it is the nodes whose clocks are wrong.
func (e *ClockError) apart() bool { return e.Spread > 2*e.Bound }

func (e *ClockError) Error() string {
	if e.apart() {
		return fmt.Sprintf("the clocks of %s differ by %s, more than the %s that are allowed: not writing until they agree, check NTP on the nodes",
			e.Nodes, e.Spread.Round(time.Millisecond), 2*e.Bound)
	}
	direction := "ahead of"
	if e.Skew < 0 {
		direction = "behind"
	}
	return fmt.Sprintf("the clock of this machine is %s %s the database's, more than the %s that are allowed: not writing until it is right, check NTP here and on the nodes",
		e.Skew.Abs().Round(time.Millisecond), direction, e.Bound)
}

// check returns an error when the clocks are beyond the bound: by the last
// measurement, because this one was set since then, or because nobody knows.
func (c *clock) check() error {
	c.mu.Lock()
	skew, apart, never := c.skew, c.spread, c.wallAt.IsZero()
	wall, steady := c.wall().Sub(c.wallAt), c.steady()-c.steadyAt
	c.mu.Unlock()
	var err error
	switch set := wall - steady; {
	case never || steady > measureValid:
		err = fmt.Errorf("the clock of this machine was not measured against the database's for %s: not writing until it is", measureValid)
	case (skew+set).Abs() > c.bound || apart.by > 2*c.bound:
		err = &ClockError{Skew: skew + set, Spread: apart.by, Bound: c.bound, Nodes: apart.nodes}
	default:
		return nil
	}
	select {
	case c.suspect <- struct{}{}:
	default:
	}
	return err
}

func (c *clock) measure(ctx context.Context) error {
	wall, steady := c.wall(), c.steady()
	skew, err := c.ask(ctx)
	if err != nil {
		return err
	}
	if set := c.wall().Sub(wall) - (c.steady() - steady); set.Abs() > scylla.SkewError {
		// Nobody knows whether the answer is of before or after.
		return fmt.Errorf("the clock of this machine was set by %s while it was measured", set)
	}
	was := c.check()
	c.mu.Lock()
	first := c.wallAt.IsZero()
	c.skew, c.wallAt, c.steadyAt = skew.Ahead, wall, steady
	c.spread = spread{skew.Spread, skew.Between}
	c.mu.Unlock()
	if now := c.check(); now != nil {
		logger.Error(now)
	} else if was != nil && !first {
		logger.Info("the clock is right again: writing")
	}
	return nil
}

// watch measures soon, as the measurement of a start does not wait for nodes that are
// far away, and then again and again: sooner while the clock of this machine is wrong, but
// not while those of the nodes are. All peers would ask them every other second.
func (c *clock) watch(ctx context.Context) {
	for first := true; ; first = false {
		select {
		case <-ctx.Done():
			return
		case <-time.After(measureAgain):
		}
		if suspect, wait := c.nextLook(); wait && !first {
			select {
			case <-ctx.Done():
				return
			case <-suspect:
			case <-time.After(measureEvery):
			}
		}
		if err := c.measure(ctx); err != nil && ctx.Err() == nil {
			state.Failure(err, logger.Warnf, logger.Debugf)("measuring the clock against the database: %s", err)
		}
	}
}

// nextLook reports whether there is time until the next measurement, and what ends that
// early.
func (c *clock) nextLook() (suspect <-chan struct{}, wait bool) {
	err := c.check()
	var wrong *ClockError
	if errors.As(err, &wrong) && wrong.apart() {
		return nil, true
	}
	return c.suspect, err == nil
}

// elapsed is the time since t, by whichever of the two clocks says more: the
// steady one stops while the machine sleeps, the other can be set back.
func elapsed(t, now time.Time) time.Duration {
	return max(now.Sub(t), now.Round(0).Sub(t.Round(0)))
}
