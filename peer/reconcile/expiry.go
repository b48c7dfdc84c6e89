package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// expiryInterval is how often the pins that are due are looked at.
	expiryInterval = 10 * time.Second
	// expirySlot is the precision of state.Expiries.Due.
	expirySlot = time.Minute
	// expiryStart is how far back a shard begins that nobody has looked at
	// yet. What ran out before (of a pinset that was moved here, say) is found
	// by the scrub, which lists it again as due now. Each hour is 60 reads for
	// each shard, before anything that is due now.
	expiryStart = time.Hour
	// expiryAgain is how far it goes back when the position is wrong.
	expiryAgain = 24 * time.Hour
	// maxExpired bounds what one shard remembers. What is beyond is looked at
	// more than once.
	maxExpired = 1 << 16
	// expiryPatience is how long one pin that cannot be read or removed holds
	// up the position of its shard. The scrub finds it later.
	expiryPatience = time.Hour
	// maxRaces is how often a pin is looked at again at once because somebody
	// changed it meanwhile.
	maxRaces = 5
)

// expiry removes the pins of one shard that have run out. It reads the slots
// between its position and now again and again, because rows may still appear
// there for a while, and looks at each pin once when it is due. What it did not
// remove it looks at once more at the end of that time: a writer may have
// announced an expiry and not written it yet.
type expiry struct {
	r     *Reconciler
	shard int
	// open says that the shard is ours and position is known.
	open     bool
	position time.Time
	slots    map[time.Time]*dueSlot
	known    int // entries in all slots
}

// dueSlot is what is known of the rows of one minute.
type dueSlot struct {
	mu   sync.Mutex
	rows map[dueRow]dueState
}

type dueRow struct {
	cid api.Cid
	due int64 // Unix time
}

type dueState struct {
	// final says that nothing is left to do.
	final bool
	// again is when a pin that was not removed is looked at once more.
	again time.Time
	// failed is when looking at it failed first.
	failed time.Time
}

func newExpiry(r *Reconciler, shard int) *expiry {
	return &expiry{r: r, shard: shard}
}

// look removes what is due, and moves the position of the shard.
func (e *expiry) look(ctx context.Context) error {
	if !e.r.opts.View().Mine(share("expiry", e.shard)) {
		e.open, e.slots = false, nil
		return nil
	}
	now := time.Now()
	if !e.open {
		if err := e.begin(ctx, now); err != nil {
			return err
		}
	}
	complete := true // everything before the slot at hand
	position := e.position
	var first error
	for slot := e.position.Truncate(expirySlot); !slot.After(now); slot = slot.Add(expirySlot) {
		done, err := e.lookSlot(ctx, slot, now)
		if ctx.Err() != nil {
			return ctx.Err()
		}
		if err != nil && first == nil {
			first = err
		}
		complete = complete && done
		if end := slot.Add(expirySlot); complete && !end.After(now.Add(-e.r.opts.Store.DueWindow())) {
			position = end
			e.forget(slot)
		}
	}
	if !position.After(e.position) {
		return first
	}
	e.position = position
	if err := e.r.opts.Store.SetDuePosition(ctx, e.shard, position); err != nil {
		// No harm: what lies behind is read again by the next owner.
		return errors.Join(first, fmt.Errorf("saving how far expiring pins are done: %w", err))
	}
	return first
}

// begin takes the shard over from where it was left.
func (e *expiry) begin(ctx context.Context, now time.Time) error {
	position, err := e.r.opts.Store.DuePosition(ctx, e.shard)
	if err != nil {
		return fmt.Errorf("reading how far expiring pins are done: %w", err)
	}
	if position.IsZero() {
		position = now.Add(-expiryStart)
	}
	// A clock that was ahead must not hide what is due by the right one.
	if position.After(now) {
		logger.Warnf("expiring pins are done up to %s, which is in the future: a clock was wrong; looking at the last %s again", position.Format(time.RFC3339), expiryAgain)
		position = now.Add(-expiryAgain)
	}
	if latest := now.Add(-e.r.opts.Store.DueWindow()); position.After(latest) {
		position = latest
	}
	e.open, e.position, e.known = true, position, 0
	e.slots = make(map[time.Time]*dueSlot)
	return nil
}

// lookSlot looks at the pins of one minute that are due. It returns true when
// there is nothing left to do for any row that it saw.
func (e *expiry) lookSlot(ctx context.Context, slot, now time.Time) (done bool, err error) {
	s := e.slots[slot]
	if s == nil {
		s = &dueSlot{rows: make(map[dueRow]dueState)}
		e.slots[slot] = s
	}
	// open counts the rows with work left, under s.mu.
	open := 0
	var first error
	var g errgroup.Group
	before := len(s.rows)
	err = e.r.opts.Store.Due(ctx, e.shard, slot, slot.Add(expirySlot-1), func(c api.Cid, due time.Time) error {
		row := dueRow{cid: c, due: due.Unix()}
		s.mu.Lock()
		was := s.rows[row]
		later := !due.Before(now) || now.Before(was.again)
		if later && !was.final {
			open++
		}
		s.mu.Unlock()
		if was.final || later {
			return nil
		}
		select {
		case e.r.expiring <- struct{}{}:
		case <-ctx.Done():
			return ctx.Err()
		}
		g.Go(func() error {
			defer func() { <-e.r.expiring }()
			is, err := e.settle(ctx, slot, row, was)
			s.mu.Lock()
			defer s.mu.Unlock()
			if _, known := s.rows[row]; known || e.known-before+len(s.rows) < maxExpired {
				s.rows[row] = is
			}
			if !is.final {
				open++
			}
			if first == nil {
				first = err
			}
			return nil
		})
		return nil
	})
	_ = g.Wait() // the errors are in first
	e.known += len(s.rows) - before
	if err != nil {
		return false, fmt.Errorf("listing what runs out at %s: %w", slot.UTC().Format(time.RFC3339), err)
	}
	return open == 0, first
}

// settle removes the pin if it has run out, and returns what is left to do.
func (e *expiry) settle(ctx context.Context, slot time.Time, row dueRow, was dueState) (dueState, error) {
	removed, err := e.r.expire(ctx, row.cid)
	now := time.Now()
	window := e.r.opts.Store.DueWindow()
	switch {
	case err == nil && (removed || !was.again.IsZero() || now.Sub(slot) > expirySlot+2*window):
		return dueState{final: true}, nil
	case err == nil:
		return dueState{again: now.Add(window)}, nil
	case was.failed.IsZero():
		was.failed = now
		return was, err
	case ctx.Err() == nil && now.Sub(was.failed) >= expiryPatience:
		return dueState{final: true}, fmt.Errorf("leaving it to the scrub: %w", err)
	default:
		return was, err
	}
}

// expire removes the pin of a CID if it has run out, and reports whether it did.
func (r *Reconciler) expire(ctx context.Context, c api.Cid) (removed bool, err error) {
	ctx = state.WithCause(ctx, state.CauseExpiry)
	for range maxRaces {
		pin, rev, err := r.opts.Store.GetVersion(ctx, c)
		if err != nil {
			return false, fmt.Errorf("reading the pin of %s: %w", c, err)
		}
		if pin == nil || !pin.ExpiredAt(time.Now()) {
			return false, nil
		}
		err = r.opts.Store.DeleteIf(ctx, c, rev)
		if err == nil {
			r.opts.Counts.removed(pin.ExpireAt)
			logger.Infof("removed the pin of %s, which ran out at %s", c, pin.ExpireAt)
			return true, nil
		}
		if !errors.Is(err, state.ErrChanged) {
			return false, fmt.Errorf("removing the pin of %s, which has run out: %w", c, err)
		}
	}
	return false, fmt.Errorf("removing the pin of %s, which has run out: %w", c, state.ErrChanged)
}

// forget drops what is known of a slot that is done.
func (e *expiry) forget(slot time.Time) {
	if s := e.slots[slot]; s != nil {
		e.known -= len(s.rows)
		delete(e.slots, slot)
	}
}
