// Package reconcile keeps the pinset and what the peers hold in line with each
// other, in the background: it gives the pins of dead and removed peers to
// others, hands over those of a peer that leaves, removes what has run out, and
// looks for what was forgotten.
//
// The live peers share the work by rendezvous hashing. Two that see different
// peers live may do the same work, which is harmless: every write here is made
// only if the pin is still the one that was decided on, and gives way
// otherwise. No loop but the scrub looks at pins that it has nothing to do with.
package reconcile

import (
	"context"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	logging "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var logger = logging.Logger("reconcile")

// Defaults of Options.
const (
	DefaultRecheckInterval = 30 * time.Second
	DefaultScrubEvery      = 24 * time.Hour
	DefaultStopShare       = 0.5
	DefaultStopFor         = time.Hour
	DefaultFeedTTL         = 7 * 24 * time.Hour
	DefaultSettle          = time.Minute
)

// Store is what the loops need of the pinset.
type Store interface {
	state.Conditional
	state.Placements
	state.HandOvers
	state.Expiries
	state.Scrubber
	state.Follower
	// GetVersions is that of state.OwnPins.
	GetVersions(ctx context.Context, cids []api.Cid, f func(i int, pin *api.Pin, rev state.Revision, err error)) error
}

// Allocator is upstream's PinAllocator, without its start and end. It must be
// safe for concurrent use.
type Allocator interface {
	// Allocate returns the candidates that may take the pin, best first. There
	// are none with priority.
	Allocate(ctx context.Context, c api.Cid, current, candidates, priority api.MetricsSet) ([]peer.ID, error)
	// Metrics names the metrics that a peer must have to be given a pin.
	Metrics() []string
}

// Rates bound how much is done at the same time.
type Rates struct {
	// Moves is for pins that are given to other peers, default 8.
	Moves int
	// Expiries is for pins that run out, default 16.
	Expiries int
	// Checks is for pins that a scrub compares with what the peers hold,
	// default 8.
	Checks int
}

// Options are what a Reconciler works with. Self, Store, View, Metrics,
// Allocator and Finish are needed, the rest may be zero.
type Options struct {
	// Self is this peer.
	Self  peer.ID
	Store Store
	// View shows who is in the cluster and alive.
	View func() membership.View
	// Metrics returns the valid metrics of that name, one of each peer.
	Metrics   func(ctx context.Context, name string) []api.Metric
	Allocator Allocator
	// Trusted, with OnlyTrusted or OnlyUntrusted, says who may be given pins:
	// upstream's pin_only_on_trusted_peers and pin_only_on_untrusted_peers.
	Trusted                    func(context.Context, peer.ID) bool
	OnlyTrusted, OnlyUntrusted bool
	// Repin says whether the pins of dead and removed peers are given to
	// others, nil: yes. It is asked again and again.
	Repin func() bool
	// Follower turns off all loops.
	Follower bool
	// RecheckInterval is how often the loops look for work.
	RecheckInterval time.Duration
	// ScrubEvery is how long a scrub of everything takes, unless it cannot go
	// as fast. 0 turns it off.
	ScrubEvery time.Duration
	// StopShare is the share of dead peers from which on nothing is moved away
	// from them: it is then rather a network that fails than the peers.
	StopShare float64
	// StopFor is for how long a death counts for that.
	StopFor time.Duration
	// FeedTTL is how long the store keeps changes for a peer that does not
	// read them.
	FeedTTL time.Duration
	// Settle is how long other peers may go by metrics of this one after it
	// began to leave: twice the TTL of a heartbeat.
	Settle time.Duration
	// Finish ends the membership of a peer that has handed over its pins.
	Finish func(context.Context, peer.ID) error
	// Confirmations are those of this peer, which may have begun before.
	Confirmations *Confirmations
	Rates         Rates
	// Counts are the metrics of the loops. They may be nil.
	Counts *Metrics
}

// Reconciler runs the loops of one peer.
type Reconciler struct {
	*Confirmations

	opts Options
	stop stopRule
	// expiring has one token for each pin that is being looked at.
	expiring chan struct{}
}

// New prepares the loops. It does no I/O.
func New(opts Options) *Reconciler {
	setDefault(&opts.RecheckInterval, DefaultRecheckInterval)
	setDefault(&opts.StopShare, DefaultStopShare)
	setDefault(&opts.StopFor, DefaultStopFor)
	setDefault(&opts.FeedTTL, DefaultFeedTTL)
	setDefault(&opts.Settle, DefaultSettle)
	setDefault(&opts.Rates.Moves, 8)
	setDefault(&opts.Rates.Expiries, 16)
	setDefault(&opts.Rates.Checks, 8)
	if opts.Confirmations == nil {
		opts.Confirmations = new(Confirmations)
	}
	r := &Reconciler{
		Confirmations: opts.Confirmations,

		opts:     opts,
		stop:     stopRule{share: opts.StopShare, lately: opts.StopFor},
		expiring: make(chan struct{}, opts.Rates.Expiries),
	}
	opts.Counts.watch(r)
	return r
}

func setDefault[T int | float64 | time.Duration](value *T, byDefault T) {
	if *value <= 0 {
		*value = byDefault
	}
}

// Run runs the loops until ctx ends, and returns when all have ended. An error
// in a loop is logged, and the loop goes on. Run must be called once.
func (r *Reconciler) Run(ctx context.Context) {
	if r.opts.Follower {
		<-ctx.Done()
		return
	}
	var loops sync.WaitGroup
	defer loops.Wait()
	loops.Go(func() {
		r.repeat(ctx, &complaint{what: "giving pins of dead and removed peers to others"}, r.opts.RecheckInterval, newRepin(r).pass)
	})
	loops.Go(func() { newSuccessor(r).run(ctx) })
	loops.Go(func() {
		r.repeat(ctx, &complaint{what: "handing over the pins of this peer"}, r.opts.RecheckInterval, newDrain(r).pass)
	})
	expiry := &complaint{what: "removing pins that have run out"}
	for shard := range state.ExpiryShards {
		loops.Go(func() {
			r.repeat(ctx, expiry, min(expiryInterval, r.opts.RecheckInterval), newExpiry(r, shard).look)
		})
	}
	if r.opts.ScrubEvery > 0 {
		loops.Go(func() {
			r.pace(ctx, "comparing pins with what the peers hold", scrubPieces,
				r.opts.Counts.round(ofPinset, scrubPieces, (&pinsetScrub{r: r}).share))
		})
		loops.Go(func() {
			r.pace(ctx, "comparing what the peers hold with the pinset", state.Buckets,
				r.opts.Counts.round(ofHeld, state.Buckets, r.straysShare))
		})
	}
}

// repeat calls step again and again until ctx ends, with the given pause after
// each call.
func (r *Reconciler) repeat(ctx context.Context, c *complaint, every time.Duration, step func(context.Context) error) {
	for {
		err := step(ctx)
		if ctx.Err() != nil {
			return
		}
		c.say(err)
		if wait(ctx, every) != nil {
			return
		}
	}
}

// wait returns the error of ctx if that ends first.
func wait(ctx context.Context, d time.Duration) error {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return ctx.Err()
	case <-timer.C:
		return nil
	}
}

// complainEvery is how often the log says that something still fails.
const complainEvery = 10 * time.Minute

// complaint logs the failures of a loop: the first one, and then now and then
// while it goes on. It is safe for concurrent use.
type complaint struct {
	what string

	mu   sync.Mutex
	said time.Time
}

func (c *complaint) say(err error) {
	if err == nil {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	if state.Unavailable(err) || !c.said.IsZero() && time.Since(c.said) < complainEvery {
		logger.Debugf("%s: %s", c.what, err)
		return
	}
	c.said = time.Now()
	logger.Errorf("%s: %s (trying again; said at most once in %s)", c.what, err, complainEvery)
}
