package placement

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/pintracker/stateless"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// tick is how often Run looks whether something is due.
	tick = 250 * time.Millisecond
	// replayers is how many buckets are looked through at the same time.
	replayers = 8
	// sizeTimeout bounds one measurement.
	sizeTimeout = time.Minute
)

// Run does again what was left undone until ctx ends: at the start all that the
// last process of this peer did not finish, then what failed. It also measures
// sizes. What goes wrong is logged and tried again.
func (l *Ledger) Run(ctx context.Context) {
	var wg sync.WaitGroup
	defer wg.Wait()
	if l.opts.Size != nil {
		wg.Go(func() { l.measureAll(ctx) })
	}
	wg.Go(func() { l.replayAll(ctx) })

	ticker := time.NewTicker(tick)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case <-ticker.C:
		}
		for _, c := range l.due(time.Now()) {
			if err := l.lookAgain(ctx, c); err != nil && ctx.Err() == nil {
				state.Failure(err, logger.Warnf, logger.Debugf)("looking at %s again: %s", c, err)
				l.later(c, 10*firstRetry)
			}
		}
	}
}

// due takes the CIDs whose time has come.
func (l *Ledger) due(now time.Time) []api.Cid {
	l.mu.Lock()
	defer l.mu.Unlock()
	var out []api.Cid
	for c, at := range l.again {
		if !at.After(now) {
			out = append(out, c)
			delete(l.again, c)
		}
	}
	return out
}

func (l *Ledger) lookAgain(ctx context.Context, c api.Cid) error {
	w := l.lock(c)
	defer l.unlock(c, w)
	return l.look(ctx, c, w)
}

// replayAll looks through the rows of this peer, the first time at all of them,
// until it has succeeded, and then at those that are at no end.
func (l *Ledger) replayAll(ctx context.Context) {
	for all := true; ; {
		err := l.Replay(ctx, all)
		wait := l.opts.Every
		if err != nil && ctx.Err() == nil {
			state.Failure(err, logger.Warnf, logger.Debugf)("looking for unfinished work, trying again: %s", err)
			wait = min(wait, 10*time.Second)
		}
		all = all && err != nil
		select {
		case <-ctx.Done():
			return
		case <-time.After(wait):
		}
	}
}

// Replay looks once at the rows of this peer: at those that are at no end, or at
// all, to find also pins that were taken from this peer while it was away for
// longer than its feed lasts.
func (l *Ledger) Replay(ctx context.Context, all bool) error {
	buckets, err := l.opts.Store.PlacementBuckets(ctx, l.opts.Self)
	if err != nil {
		return fmt.Errorf("listing the placements of this peer: %w", err)
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(replayers)
	for _, bucket := range buckets {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			return l.opts.Store.ListPlacements(ctx, l.opts.Self, bucket, func(row state.Placement) error {
				if row.Status == state.PlacementPinned && row.Size == 0 {
					l.measureLater(row.Cid)
				}
				if row.Status == state.PlacementPinned && !all {
					return nil
				}
				return l.replay(ctx, row)
			})
		})
	}
	return g.Wait()
}

// replay takes up the work on one row, unless it is under way.
func (l *Ledger) replay(ctx context.Context, row state.Placement) error {
	if l.opts.KeepContent && row.Status == state.PlacementUnpinError || l.working(row.Cid) && l.busy(ctx, row.Cid, pinning|unpinning) {
		return nil
	}
	w := l.lock(row.Cid)
	defer l.unlock(row.Cid, w)
	pin, rev, err := l.opts.Store.GetVersion(ctx, row.Cid)
	if errors.Is(err, state.ErrCorrupt) {
		logger.Errorf("replaying a placement: %s", err)
		return nil // whoever replaces the pin tells every peer
	}
	if err != nil {
		return fmt.Errorf("replaying a placement: %w", err)
	}
	if row.Status == state.PlacementPinned && (l.holds(pin) || w.intent != 0) {
		return nil // what IPFS has lost is found by the recovery
	}
	if w.intent == 0 {
		w.intent, w.rev, w.attempts = toPin, rev, row.Attempts
		if row.Status.Leaving() {
			w.intent = toUnpin
		}
	}
	ch := state.Change{Cid: row.Cid, Pin: pin, Rev: rev}
	for {
		err := l.follow(ctx, ch, w)
		if !errors.Is(err, stateless.ErrFullQueue) {
			return err
		}
		// There may be more rows than the queue takes, as after a migration:
		// to begin anew with all of them would never come to an end.
		select {
		case <-time.After(fullQueuePause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// fullQueuePause is how long a replay waits for room in the queue of the tracker.
const fullQueuePause = 5 * time.Second

// working reports whether there is work on the CID that has not ended.
func (l *Ledger) working(c api.Cid) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.work[c] != nil
}

// The statuses of a CID that the tracker is at.
const (
	pinning   = api.TrackerStatusPinQueued | api.TrackerStatusPinning
	unpinning = api.TrackerStatusUnpinQueued | api.TrackerStatusUnpinning
)

// busy reports whether the tracker is at one of these.
func (l *Ledger) busy(ctx context.Context, c api.Cid, at api.TrackerStatus) bool {
	return l.opts.Tracker.Operation(ctx, c)&at != 0
}

// measureAll measures what was pinned, one after another, so that it takes
// little of the daemon.
func (l *Ledger) measureAll(ctx context.Context) {
	for {
		select {
		case <-ctx.Done():
			return
		case c := <-l.measure:
			if err := l.measureOne(ctx, c); err != nil && ctx.Err() == nil {
				logger.Debugf("the size of %s stays unknown: %s", c, err)
			}
		}
	}
}

func (l *Ledger) measureOne(ctx context.Context, c api.Cid) error {
	ctx, cancel := context.WithTimeout(ctx, sizeTimeout)
	defer cancel()
	size, err := l.opts.Size(ctx, c)
	if err != nil {
		return err
	}
	return l.opts.Store.SetSize(ctx, l.opts.Self, c, size)
}
