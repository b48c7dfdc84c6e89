package relay

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var logger = logging.Logger("events")

// DefaultLeaseTTL is the default of Options.LeaseTTL.
const DefaultLeaseTTL = 15 * time.Second

// minLeaseTTL is the shortest LeaseTTL: a write to the database may take some of it.
const minLeaseTTL = time.Second

// sayEvery is how often it is said that events cannot be told.
const sayEvery = time.Minute

// Options are what a Relay works with.
type Options struct {
	// Events are those of the pinset, Bus is where they are told. The Relay closes
	// neither.
	Events state.Events
	Bus    *bus.Bus
	// Cluster is the name of the cluster, the source of the events.
	Cluster string
	// Holder names this process, and no other one that ever was.
	Holder string
	// LeaseTTL is how long a shard stays with a relay that is not heard of, from a
	// second on. 0 means DefaultLeaseTTL.
	LeaseTTL time.Duration
	// Mine says whether a shard is rather for this relay than for others, of which there
	// are so many with it. It should be the same at all of them, and may be wrong. Nil
	// means that there are no others.
	Mine func(shard int) (mine bool, relays int)
	// Listen is called when a shard was taken, and ends with the stop it returns: who
	// writes events may wake the reader of the feed. It may be nil.
	Listen func(shard int) (stop func())
	// Metrics say what the Relay does. They may be nil.
	Metrics *Metrics
}

// Relay tells events.
type Relay struct {
	opts  Options
	stats counters
	// passed are rows that cannot be told, and that was said of.
	passed *lru.Cache[row, struct{}]
	// mu guards when it was said last that something could not be published.
	mu   sync.Mutex
	said time.Time
}

// New makes a Relay. It does nothing until Run.
func New(opts Options) (*Relay, error) {
	if opts.Events == nil || opts.Bus == nil || opts.Cluster == "" || opts.Holder == "" {
		return nil, errors.New("a relay needs events, a bus, and the names of the cluster and of its process")
	}
	if opts.LeaseTTL != 0 && opts.LeaseTTL < minLeaseTTL {
		return nil, fmt.Errorf("a lease of %s cannot be used: use %s or more, or 0 for %s", opts.LeaseTTL, minLeaseTTL, DefaultLeaseTTL)
	}
	if opts.Mine == nil {
		opts.Mine = func(int) (bool, int) { return true, 1 }
	}
	if opts.Listen == nil {
		opts.Listen = func(int) func() { return func() {} }
	}
	if opts.LeaseTTL == 0 {
		opts.LeaseTTL = DefaultLeaseTTL
	}
	passed, err := lru.New[row, struct{}](maxPassed)
	if err != nil {
		return nil, fmt.Errorf("making the memory of a relay: %w", err)
	}
	r := &Relay{opts: opts, passed: passed}
	opts.Metrics.watch(r)
	return r, nil
}

// Run tells events until ctx ends, and then leaves its shards to others: what it is
// publishing it publishes to the end, and saves that. Outages do not end it, nor does a
// stream that is somebody else's; they are logged. Run is called once.
func (r *Relay) Run(ctx context.Context) {
	var shards sync.WaitGroup
	begin := sync.OnceFunc(func() {
		for i := range state.EventShards {
			shards.Go(func() { r.keep(ctx, i) })
		}
	})
	r.watch(ctx, begin)
	shards.Wait()
}

// watch looks whether the streams can be used: as long as they cannot the shards are left to
// others. It calls begin when they can.
func (r *Relay) watch(ctx context.Context, begin func()) {
	said := ""
	for {
		err := r.opts.Bus.Ensure(ctx)
		if ctx.Err() != nil {
			return
		}
		r.stats.isUsable.Store(err == nil)
		if err == nil {
			if said != "" {
				logger.Info("the streams of events can be used now")
			}
			said = ""
			begin()
		} else {
			r.stats.refused.Add(1)
			if err.Error() != said {
				logger.Warnf("events are not told from here, and wait in the database: %s", err)
			}
			said = err.Error()
		}
		if !pause(ctx, r.opts.LeaseTTL) {
			return
		}
	}
}

// keep takes a shard whenever it is free, until ctx ends. Every time it does so under a
// name that was never used: a lease that was taken twice under one name would have one
// epoch, and an epoch has one publisher.
func (r *Relay) keep(ctx context.Context, shard int) {
	for n := 1; ; n++ {
		mine, relays := r.opts.Mine(shard)
		if (n > 1 || !mine) && !pause(ctx, r.wait(mine, relays)) || ctx.Err() != nil {
			return
		}
		if !r.stats.isUsable.Load() {
			continue
		}
		t := &turn{Relay: r, shard: shard, mine: mine, holder: fmt.Sprintf("%s/%d", r.opts.Holder, n)}
		err := t.run(ctx)
		switch {
		case err == nil || ctx.Err() != nil:
		case errors.Is(err, errOthers):
			logger.Infof("the events of shard %d are left to another relay", shard)
		default:
			state.Failure(err, logger.Warnf, logger.Debugf)("the events of shard %d are left to other relays for now: %s", shard, err)
		}
	}
}

// wait is how long a shard is left alone before it is tried for. One that is rather for
// others is taken when they do not: by one of many, so that it costs no more with each.
func (r *Relay) wait(mine bool, relays int) time.Duration {
	every := r.opts.LeaseTTL / 5
	if !mine {
		every = r.opts.LeaseTTL * time.Duration(max(1, relays/4))
	}
	return every/2 + rand.N(every) //nolint:gosec // not for security
}

// complain says that something could not be published, once a minute: all shards have
// the same trouble.
func (r *Relay) complain(err error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if time.Since(r.said) < sayEvery {
		return
	}
	r.said = time.Now()
	logger.Warnf("events wait in the database: %s", err)
}

// pause waits, and reports false if ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
