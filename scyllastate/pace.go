package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// Requests of a bulk write that are under way at once, whatever the database.
	leastUnderWay = 4
	// smallUnderWay is the limit of a small database, such as a few nodes of
	// Cassandra.
	smallUnderWay = 256
	// shardUnderWay is that of a shard of a larger one. It is an estimate, not
	// measured on ScyllaDB: a shard that makes 10,000 small writes a second, a
	// third of them for a client if there are three replicas, each of which takes
	// up to 10 ms under load, has 33 of a client's under way. What is too much is
	// found out by the errors.
	shardUnderWay = 32
	// mostUnderWay bounds the memory: some 32 KB for each, beside the pins and rows
	// that wait, which are bounded whatever their number.
	mostUnderWay = 2048
	// paceSteps lead from none to the limit, one after each round without an error.
	paceSteps = 32
	// paceRound is how many requests are made between two looks whether they
	// still may be made, and at least between two changes of their number.
	paceRound = 4096
	// patience is how long a bulk write waits for a database that takes no
	// write at all.
	patience = 5 * time.Minute
	// tellOutage is the time between two log lines about that.
	tellOutage = 10 * time.Second
)

// pace makes the requests of a bulk write, as many at once as the database
// bears: some more after some thousand that went well, half as many after some with
// errors. It repeats what failed for a reason that may pass. All requests must be
// such that repeating them does no harm. It is safe for concurrent use.
type pace struct {
	random func(time.Duration) time.Duration
	// shards are those that serve the requests. Nodes may come and go meanwhile.
	shards func() int
	// check is called before every few thousand: an error ends the work.
	check    func(context.Context) error
	patience time.Duration

	mu       sync.Mutex
	underWay int
	made     int       // requests since the number changed
	strained bool      // one of them was repeated
	worked   time.Time // when a request last worked
	told     time.Time
}

// newPace begins with half of the requests that may be under way at most.
func newPace(random func(time.Duration) time.Duration, shards func() int, check func(context.Context) error) *pace {
	return &pace{random: random, shards: shards, check: check, patience: patience, underWay: underWayLimit(shards()) / 2}
}

// underWayLimit is how many requests may be under way at once on so many shards.
func underWayLimit(shards int) int {
	return min(max(smallUnderWay, shards*shardUnderWay), mostUnderWay)
}

// each calls f with the numbers from 0 to n-1, from several goroutines, again
// where it fails for a reason that may pass.
func (p *pace) each(ctx context.Context, n int, f func(ctx context.Context, i int) error) error {
	if err := p.one(ctx, p.check); err != nil {
		return err
	}
	p.mu.Lock()
	workers := min(p.underWay, n)
	p.mu.Unlock()
	var next atomic.Int64
	var strained atomic.Bool
	g, gctx := errgroup.WithContext(ctx)
	for range workers {
		g.Go(func() error {
			for i := int(next.Add(1) - 1); i < n && gctx.Err() == nil; i = int(next.Add(1) - 1) {
				if i > 0 && i%paceRound == 0 { // the others go on meanwhile
					if err := p.one(gctx, p.check); err != nil {
						return err
					}
				}
				clean, err := p.persist(gctx, func(ctx context.Context) error { return f(ctx, i) })
				if err != nil {
					return err
				}
				if !clean {
					strained.Store(true)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	if ctx.Err() != nil {
		return ctx.Err()
	}
	p.adapt(n, strained.Load())
	return nil
}

// adapt changes the number of requests that are under way when enough were made.
func (p *pace) adapt(made int, strained bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.made += made
	p.strained = p.strained || strained
	if p.made < paceRound {
		return
	}
	strained = p.strained
	p.made, p.strained = 0, false
	if !strained {
		limit := underWayLimit(p.shards())
		p.underWay = min(p.underWay+limit/paceSteps, limit)
		return
	}
	p.underWay = max(p.underWay/2, leastUnderWay)
	logger.Infof("the database is overloaded: %d requests at once from now on", p.underWay)
}

// one calls f until it works, after a time in which nothing may have been asked:
// that was no outage.
func (p *pace) one(ctx context.Context, f func(context.Context) error) error {
	p.mu.Lock()
	p.worked = time.Now()
	p.mu.Unlock()
	_, err := p.persist(ctx, f)
	return err
}

// persist calls f until it works, fails for good, or the database has taken no
// request for too long. Clean says that it worked at once.
func (p *pace) persist(ctx context.Context, f func(context.Context) error) (clean bool, err error) {
	for try := 0; ; try++ {
		err := f(ctx)
		if err == nil {
			p.mu.Lock()
			p.worked = time.Now()
			p.mu.Unlock()
			return try == 0, nil
		}
		if ctx.Err() != nil || scylla.Permanent(err) || errors.Is(err, state.ErrLive) || errors.Is(err, state.ErrMigrationTaken) {
			return false, err
		}
		if outage := p.outage(err); outage > p.patience {
			return false, fmt.Errorf("the database has taken no write for %s: %w", outage.Round(time.Second), err)
		}
		if pause(ctx, p.random, try) != nil {
			return false, err
		}
	}
}

// outage returns how long no request has worked, and tells the log from time to
// time.
func (p *pace) outage(err error) time.Duration {
	p.mu.Lock()
	defer p.mu.Unlock()
	now := time.Now()
	outage := now.Sub(p.worked)
	if outage > tellOutage && now.Sub(p.told) > tellOutage {
		p.told = now
		logger.Warnf("the database has taken no write for %s, trying on for up to %s: %s", outage.Round(time.Second), p.patience, err)
	}
	return outage
}
