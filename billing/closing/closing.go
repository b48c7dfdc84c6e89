package closing

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"time"

	"github.com/google/uuid"
	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

var logger = logging.Logger("billing")

const (
	// DefaultGrace is the default of Options.Grace.
	DefaultGrace = 6 * time.Hour
	// MinGrace is the shortest: clocks of those who write facts may differ from that of whoever
	// closes by less.
	MinGrace = 10 * time.Minute
	// DefaultEvery is the default of Options.Every.
	DefaultEvery = 10 * time.Minute
	// DefaultParallel is the default of Options.Parallel.
	DefaultParallel = 16
)

// Options are what a Closer works with. Zero means the default where there is one.
type Options struct {
	// Store has the tables.
	Store *ledger.Store
	// Leases are in the same keyspace.
	Leases Leases
	// First is on the first day that is closed. Facts of days before it count for nothing:
	// claim.Policy.Since is not before it.
	First time.Time
	// Grace is how long after its end a day is closed at the earliest: 6 h.
	Grace time.Duration
	// Window is how long after a day facts of it still change something, 0 for ever. It is some
	// days longer than claim.Policy.Window, by which facts are refused.
	Window time.Duration
	// Watermarks say until when all is counted. A day is not closed before all of them say so.
	Watermarks []Watermark
	// Every is how often it is looked what there is to do: 10 min.
	Every time.Duration
	// Parallel is how many owners are worked on at a time: 16.
	Parallel int
	// Metrics say what is done, together with others. They may be nil.
	Metrics *Metrics
	// Now is the clock, time.Now if it is nil.
	Now func() time.Time
}

// Watermark returns a time before which everything that was told is counted. An error says that
// it is not known.
type Watermark func(ctx context.Context) (time.Time, error)

// Leases are rights to do something, as a *scylla.DB has them.
type Leases interface {
	TryLease(ctx context.Context, name, holder string, ttl time.Duration) (epoch int64, held bool, err error)
	FreeLease(ctx context.Context, name, holder string, epoch int64) error
}

// Closer closes days. It is safe for concurrent use, and any number of processes may work on one
// keyspace.
type Closer struct {
	store  *ledger.Store
	opts   Options
	closed *closedDays
	holder string // of leases
	shards []int
	// at is called between the steps of what is done. Tests crash there.
	at func(step string) error
}

// New returns a Closer.
func New(opts Options) (*Closer, error) {
	switch {
	case opts.Store == nil || opts.Leases == nil:
		return nil, errors.New("who closes days needs a store and leases")
	case opts.First.IsZero():
		return nil, errors.New("who closes days needs to know the first one")
	case opts.Grace != 0 && opts.Grace < MinGrace:
		return nil, fmt.Errorf("a day cannot be closed %s after its end: clocks differ; use %s or more", opts.Grace, MinGrace)
	case opts.Window < 0 || opts.Every < 0 || opts.Parallel < 0:
		return nil, errors.New("a window, a pause or a number of owners is negative")
	}
	if opts.Grace == 0 {
		opts.Grace = DefaultGrace
	}
	if opts.Every == 0 {
		opts.Every = DefaultEvery
	}
	if opts.Parallel == 0 {
		opts.Parallel = DefaultParallel
	}
	if opts.Now == nil {
		opts.Now = time.Now
	}
	c := &Closer{
		store: opts.Store, opts: opts, closed: newClosedDays(opts.Store, opts.First, opts.Now),
		holder: fmt.Sprintf("%s %s", scylla.Process(), uuid.NewString()), at: func(string) error { return nil },
	}
	for shard := range ledger.Shards {
		c.shards = append(c.shards, shard)
	}
	return c, nil
}

// Run closes what is to be closed until ctx ends, and returns its cause. What fails is logged and
// tried again.
func (c *Closer) Run(ctx context.Context) error {
	for {
		if err := c.Pass(ctx); err != nil && ctx.Err() == nil {
			logger.Warnf("closing days is tried again in %s: %s", c.opts.Every, err)
		}
		timer := time.NewTimer(c.opts.Every)
		select {
		case <-ctx.Done():
			timer.Stop()
			return context.Cause(ctx)
		case <-timer.C:
		}
	}
}

// Pass does what there is to do in the shards that nobody else works on: it makes adjustments of
// what came late, and closes the days that may be closed. After an error it goes on with the other
// shards.
func (c *Closer) Pass(ctx context.Context) error {
	until, err := c.watermark(ctx)
	if err != nil {
		c.opts.Metrics.failed()
		err = fmt.Errorf("no day is closed, as it is not known whether all is counted: %w", err)
	}
	problems := []error{err}
	first := rand.IntN(len(c.shards)) // instances that start at once get some each
	for i := range c.shards {
		shard := c.shards[(first+i)%len(c.shards)]
		err := c.hold(ctx, shard, func(ctx context.Context, w *work) error { return w.until(ctx, until) })
		if err != nil {
			c.opts.Metrics.failed()
			problems = append(problems, fmt.Errorf("shard %d: %w", shard, err))
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
	}
	last, err := c.Last(ctx)
	if err == nil {
		c.opts.Metrics.closedUntil(endOf(last))
	}
	return errors.Join(append(problems, err)...)
}

// Last returns the last day that is closed in all shards, in days since 1970: that before the
// first one if there is none.
func (c *Closer) Last(ctx context.Context) (int64, error) {
	last := usage.DayOf(c.opts.Now().UnixMilli())
	for _, shard := range c.shards {
		day, err := c.closed.last(ctx, shard)
		if err != nil {
			return 0, err
		}
		last = min(last, day)
	}
	return last, nil
}

// watermark returns the time before which all is counted and may be closed: that of the clock
// less the grace, or that of a Watermark which is earlier; zero with an error.
func (c *Closer) watermark(ctx context.Context) (time.Time, error) {
	until := c.opts.Now()
	for _, w := range c.opts.Watermarks {
		t, err := w(ctx)
		if err != nil {
			return time.Time{}, err
		}
		if t.Before(until) {
			until = t
		}
	}
	return until.Add(-c.opts.Grace), nil
}

// endOf returns the end of a day in days since 1970.
func endOf(day int64) time.Time { return time.UnixMilli((day + 1) * usage.DayMS).UTC() }

// nameOf is a day for people.
func nameOf(day int64) string { return time.UnixMilli(day * usage.DayMS).UTC().Format(time.DateOnly) }
