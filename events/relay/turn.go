package relay

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// drainTime is how long what is being published may take when a turn ends.
	drainTime = 5 * time.Second
	// freeTime is how long a lease may take to be given back.
	freeTime = 2 * time.Second
	// manifestEvery is how often it is told how far the events are told while that says
	// anything new, manifestIdle how often otherwise.
	manifestEvery = time.Second
	manifestIdle  = time.Minute
)

// Why a turn ends before the relay does.
var (
	errTaken  = errors.New("another relay has taken the lease")
	errOthers = errors.New("it is rather for another relay now")
	errStuck  = errors.New("nothing could be published for a while")
)

// turn is the time in which a relay has a shard.
type turn struct {
	*Relay
	shard  int
	holder string
	// mine is whether the shard was rather for this relay than for others when it was
	// tried for.
	mine  bool
	epoch int64

	publisher *bus.Publisher
	// manifested is when it was told how far the events are told, upTo how far.
	manifested, upTo time.Time
	// failing is since when nothing could be published, zero while it can.
	failing time.Time
	end     context.CancelCauseFunc
}

// run takes the shard, if it is free, and tells its events until ctx ends or somebody else
// is to do so.
func (t *turn) run(ctx context.Context) (err error) {
	epoch, held, err := t.opts.Events.TryLease(ctx, state.EventFeedName(t.shard), t.holder, t.opts.LeaseTTL)
	if err != nil || !held {
		return err
	}
	t.epoch = epoch
	defer t.free(ctx)
	feed, err := t.opts.Events.OpenEvents(ctx, t.shard)
	if err != nil {
		return fmt.Errorf("opening the feed: %w", err)
	}
	// Whoever has taken the lease since has another epoch, and may have opened the feed
	// before this turn has: then it must not be read here under the older one.
	switch now, held, err := t.opts.Events.TryLease(ctx, state.EventFeedName(t.shard), t.holder, t.opts.LeaseTTL); {
	case err != nil:
		return err
	case !held || now != epoch:
		return errTaken
	}
	logger.Infof("telling the events of shard %d after %s, epoch %d", t.shard, feed.From().Format(time.RFC3339), epoch)
	t.stats.held.Add(1)
	defer t.stats.held.Add(-1)
	t.stats.toldThrough(t.shard, feed.From())
	defer t.stats.left(t.shard)
	return t.tell(ctx, feed)
}

// free gives the lease back, so that others need not wait until it has run out.
func (t *turn) free(ctx context.Context) {
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), freeTime)
	defer cancel()
	if err := t.opts.Events.FreeLease(ctx, state.EventFeedName(t.shard), t.holder, t.epoch); err != nil {
		logger.Debugf("the lease of shard %d runs out by itself: %s", t.shard, err)
	}
}

// tell publishes what the feed has, and answers requests for replays.
func (t *turn) tell(ctx context.Context, feed state.EventFeed) error {
	ctx, t.end = context.WithCancelCause(ctx)
	defer t.end(nil)
	t.publisher = t.opts.Bus.NewPublisher(t.shard, t.epoch, feed.From())
	replays := newReplays(ctx, t)
	stop, err := t.opts.Bus.AnswerReplays(t.shard, replays.answer)
	if err != nil {
		return err
	}
	defer t.opts.Listen(t.shard)()
	renewed, replayed := make(chan struct{}), make(chan struct{})
	go func() { t.renew(ctx); close(renewed) }()
	go func() { replays.run(); close(replayed) }()
	err = feed.Consume(ctx, t.publish)
	t.end(err)
	t.leave(ctx)
	<-renewed
	<-replayed
	if err := stop(); err != nil {
		logger.Debugf("requests for replays of shard %d: %s", t.shard, err)
	}
	return context.Cause(ctx)
}

// renew keeps the lease, and ends the turn when that is gone or the shard should go to
// another relay. It should once when it has become another's: if that does not take it, this
// relay does so again, and keeps it.
func (t *turn) renew(ctx context.Context) {
	wasMine := t.mine
	ticker := time.NewTicker(t.opts.LeaseTTL / 3)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		mine, _ := t.opts.Mine(t.shard)
		if wasMine && !mine {
			t.end(errOthers)
			return
		}
		wasMine = mine
		epoch, held, err := t.opts.Events.TryLease(ctx, state.EventFeedName(t.shard), t.holder, t.opts.LeaseTTL)
		switch {
		case err != nil:
			logger.Debugf("keeping the lease of shard %d: %s", t.shard, err)
		case !held || epoch != t.epoch:
			t.end(errTaken)
			return
		}
	}
}

// publish is called with what the feed has. What is being published when the turn ends
// is published to the end: else it would come twice.
func (t *turn) publish(ctx context.Context, facts []state.Event, through time.Time) error {
	ctx, cancel := drained(ctx)
	defer cancel()
	batch := t.encode(facts)
	if len(batch) > 0 || through.After(t.publisher.Through()) {
		if err := t.publisher.Publish(ctx, batch, through); err != nil {
			t.fails(err)
			return said{err}
		}
	}
	t.failing = time.Time{}
	t.stats.published.Add(uint64(len(batch)))
	t.stats.toldThrough(t.shard, t.publisher.Through())
	t.manifest(ctx)
	return nil
}

// said is an error that the relay has logged: who tries again need not.
type said struct{ error }

func (s said) Unavailable() bool { return true }
func (s said) Unwrap() error     { return s.error }

// fails ends the turn when nothing could be published for long: another relay may be able
// to.
func (t *turn) fails(err error) {
	t.stats.failures.Add(1)
	t.complain(err)
	if t.failing.IsZero() {
		t.failing = time.Now()
	}
	if time.Since(t.failing) > 2*t.opts.LeaseTTL {
		t.end(errStuck)
	}
}

// manifest tells how far the events are told, if it is time. Without an error of its own:
// the next one says more.
func (t *turn) manifest(ctx context.Context) {
	every := manifestIdle
	if t.upTo.Before(t.publisher.Latest()) {
		every = manifestEvery
	}
	if time.Since(t.manifested) < every {
		return
	}
	if err := t.publisher.Manifest(ctx); err != nil {
		logger.Debugf("how far the events of shard %d are told was not told: %s", t.shard, err)
		return
	}
	t.manifested, t.upTo = time.Now(), t.publisher.Through()
}

// leave tells how far this turn has told events: consumers that do not know would ask the
// next relay to tell what was written since they were told last.
func (t *turn) leave(ctx context.Context) {
	if errors.Is(context.Cause(ctx), errTaken) || !t.publisher.Through().After(t.upTo) {
		return
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), freeTime)
	defer cancel()
	if err := t.publisher.Manifest(ctx); err != nil {
		logger.Debugf("how far the events of shard %d were told was not told: %s", t.shard, err)
	}
}

// drained returns a context that ends some time after another one.
func drained(ctx context.Context) (context.Context, context.CancelFunc) {
	last, cancel := context.WithCancel(context.WithoutCancel(ctx))
	stop := context.AfterFunc(ctx, func() { time.AfterFunc(drainTime, cancel) })
	return last, func() { stop(); cancel() }
}
