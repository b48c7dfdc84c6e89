package relay

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/google/uuid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// maxWaiting is how many replays of a shard may wait.
const maxWaiting = 16

// maxAsked is how long a time may be that is asked for at once: what is told again must not
// push out of the stream what nobody has read.
const maxAsked = time.Hour

// checkTime is how long it may take to find whether a replay can be promised: less than who
// asks waits.
const checkTime = 3 * time.Second

// replays are those of a shard that are asked for. They are told one after another, beside
// what is new.
type replays struct {
	ctx  context.Context //nolint:containedctx // that of the turn, which requests come without
	turn *turn
	more chan struct{}

	mu      sync.Mutex
	waiting []request
}

// request asks to tell again what the feed has after from and until to.
type request struct {
	name     string
	from, to time.Time
}

func newReplays(ctx context.Context, t *turn) *replays {
	return &replays{ctx: ctx, turn: t, more: make(chan struct{}, 1)}
}

// answer promises a replay. One that waits already will do if it tells all of that
// time: it reads the feed after now.
func (r *replays) answer(from, to time.Time) (string, error) {
	if !to.After(from) {
		return "", fmt.Errorf("there is no time after %s and until %s", from.Format(time.RFC3339Nano), to.Format(time.RFC3339Nano))
	}
	if !from.IsZero() && to.Sub(from) > maxAsked {
		return "", fmt.Errorf("that is more than %s: ask for a part of it", maxAsked)
	}
	if err := r.check(from); err != nil {
		return "", err
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	for _, w := range r.waiting {
		if !w.from.After(from) && !w.to.Before(to) {
			return w.name, nil
		}
	}
	if len(r.waiting) >= maxWaiting {
		return "", errors.New("too many replays wait already: ask again later")
	}
	q := request{name: uuid.NewString(), from: from, to: to}
	r.waiting = append(r.waiting, q)
	select {
	case r.more <- struct{}{}:
	default:
	}
	return q.name, nil
}

// check says whether the feed has all that was written after a time.
func (r *replays) check(from time.Time) error {
	ctx, cancel := context.WithTimeout(r.ctx, checkTime)
	defer cancel()
	err := r.turn.opts.Events.ReadEvents(ctx, r.turn.shard, from, from, func([]state.Event) error { return nil })
	switch {
	case errors.Is(err, state.ErrEventsGone):
		return fmt.Errorf("%w: %s is too long ago", bus.ErrGone, from.Format(time.RFC3339))
	case err != nil:
		logger.Debugf("a replay of shard %d cannot be promised: %s", r.turn.shard, err)
		return errors.New("the database does not answer now")
	}
	return nil
}

// run tells replays until the turn ends. One that fails is asked for again.
func (r *replays) run() {
	ctx := r.ctx
	for {
		q, ok := r.next()
		if !ok {
			select {
			case <-ctx.Done():
				return
			case <-r.more:
			}
			continue
		}
		if err := r.tell(ctx, q); err != nil && ctx.Err() == nil {
			state.Failure(err, logger.Warnf, logger.Debugf)("events of shard %d after %s were not told again: %s", r.turn.shard, q.from.Format(time.RFC3339), err)
		}
		if ctx.Err() != nil {
			return
		}
	}
}

func (r *replays) next() (request, bool) {
	r.mu.Lock()
	defer r.mu.Unlock()
	if len(r.waiting) == 0 {
		return request{}, false
	}
	q := r.waiting[0]
	r.waiting = r.waiting[1:]
	return q, true
}

func (r *replays) tell(ctx context.Context, q request) error {
	t := r.turn
	replay := t.opts.Bus.NewReplay(t.shard, t.epoch, q.name, q.from, q.to)
	told := 0
	err := t.opts.Events.ReadEvents(ctx, t.shard, q.from, q.to, func(facts []state.Event) error {
		batch := t.encode(facts)
		told += len(batch)
		return replay.Publish(ctx, batch)
	})
	if err == nil {
		err = replay.End(ctx)
	}
	if err != nil {
		return err
	}
	t.stats.replayed.Add(uint64(told)) //nolint:gosec // a count
	logger.Infof("told %d events of shard %d again, of what was written after %s and until %s", told, t.shard, q.from.Format(time.RFC3339), q.to.Format(time.RFC3339))
	return nil
}
