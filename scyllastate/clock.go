package scyllastate

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const measureEvery = 30 * time.Second

// clock is this machine's clock together with what is known of its error. The
// readers of the feed look for late rows as long as a correct clock can make a
// row late; a writer whose clock is further off must not write.
type clock struct {
	bound time.Duration
	skew  atomic.Int64
	ask   func(context.Context) (time.Duration, error)
}

func newClock(db *scylla.DB, bound time.Duration) *clock {
	return &clock{bound: bound, ask: db.Skew}
}

// ClockError says that this machine's clock is too far from the database's.
type ClockError struct {
	// Skew is how far this machine is ahead (negative: behind).
	Skew, Bound time.Duration
}

func (e *ClockError) Error() string {
	direction := "ahead of"
	if e.Skew < 0 {
		direction = "behind"
	}
	return fmt.Sprintf("the clock of this machine is %s %s the database's, more than the %s that are allowed: not writing until it is right, check NTP here and on the nodes",
		e.Skew.Abs().Round(time.Millisecond), direction, e.Bound)
}

// check returns a ClockError when the last measurement was beyond the bound.
func (c *clock) check() error {
	if skew := time.Duration(c.skew.Load()); skew.Abs() > c.bound {
		return &ClockError{Skew: skew, Bound: c.bound}
	}
	return nil
}

func (c *clock) measure(ctx context.Context) error {
	skew, err := c.ask(ctx)
	if err != nil {
		return err
	}
	was := c.check()
	c.skew.Store(int64(skew))
	if now := c.check(); now != nil {
		logger.Error(now)
	} else if was != nil {
		logger.Info("the clock is right again: writing")
	}
	return nil
}

// watch measures again and again. While the database does not answer the last
// measurement stands.
func (c *clock) watch(ctx context.Context) {
	ticker := time.NewTicker(measureEvery)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
			if err := c.measure(ctx); err != nil && ctx.Err() == nil {
				logger.Warnf("measuring the clock against the database: %s", err)
			}
		}
	}
}
