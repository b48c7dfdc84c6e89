package placement

import (
	"context"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// firstRetry is the pause before a failed unpin is tried again. It grows
	// up to lastRetry.
	firstRetry = time.Second
	lastRetry  = 10 * time.Minute
	// maxTries is how often it is tried before it is left to Replay, so that
	// the memory does not grow while IPFS is broken.
	maxTries = 12
)

// pinned notes what came of pinning in IPFS. Nobody waits for it: what cannot
// be noted is done again later.
func (l *Ledger) pinned(ctx context.Context, pin api.Pin, cause error) {
	c := pin.Cid
	w := l.lock(c)
	defer l.unlock(c, w)
	switch w.intent {
	case toUnpin:
		// A recovery has pinned in the middle of an unpin, which the tracker
		// then gave up.
		l.later(c, 0)
		return
	case 0:
		// A recovery pinned what was missing in IPFS. The pin may have been
		// removed after it was listed.
		now, rev, err := l.opts.Store.GetVersion(ctx, c)
		switch {
		case err != nil:
		case !l.holds(now):
			err = l.follow(ctx, state.Change{Cid: c, Pin: now, Rev: rev}, w)
		case now.MaxDepth != pin.MaxDepth:
			l.later(c, firstRetry) // see below
		default:
			w.rev = rev
			err = l.notePinned(ctx, c, w, cause)
		}
		if err != nil {
			state.Failure(err, logger.Warnf, logger.Debugf)("after a recovery of %s, trying again: %s", c, err)
			l.later(c, firstRetry)
		}
	case toPin:
		if pin.MaxDepth != w.depth {
			// The pin was changed while IPFS worked on it, and the tracker
			// does not begin again what it is at.
			l.later(c, firstRetry)
			return
		}
		if err := l.notePinned(ctx, c, w, cause); err != nil {
			state.Failure(err, logger.Warnf, logger.Debugf)("%s is pinned, trying again to note it: %s", c, err)
			l.later(c, firstRetry)
		}
	}
}

// notePinned ends the work on a pin. One that failed is left to the recovery.
func (l *Ledger) notePinned(ctx context.Context, c api.Cid, w *work, cause error) error {
	status := state.PlacementPinned
	if cause != nil {
		status = state.PlacementPinError
		w.attempts++
	} else {
		w.attempts = 0
	}
	if err := l.put(ctx, c, w, status, cause); err != nil {
		return err
	}
	if cause == nil {
		w.intent = 0
		l.measureLater(c)
	}
	return nil
}

// unpinned notes what came of unpinning in IPFS.
func (l *Ledger) unpinned(ctx context.Context, c api.Cid, cause error) {
	w := l.lock(c)
	defer l.unlock(c, w)
	if w.intent != toUnpin {
		// Somebody else's unpin: whether it was right is seen by looking.
		l.later(c, 0)
		return
	}
	if cause == nil {
		if err := l.opts.Store.DropPlacement(ctx, l.opts.Self, c); err != nil {
			state.Failure(err, logger.Warnf, logger.Debugf)("%s is unpinned, trying again to note it: %s", c, err)
			l.later(c, firstRetry)
			return
		}
		w.intent = 0
		return
	}
	w.attempts++
	wait := min(firstRetry<<min(w.attempts-1, 16), lastRetry)
	if err := l.put(ctx, c, w, state.PlacementUnpinError, cause); err != nil {
		state.Failure(err, logger.Warnf, logger.Debugf)("unpinning %s failed (try %d): %s; %s", c, w.attempts, cause, err)
		l.later(c, wait)
		return
	}
	if l.opts.KeepContent || w.attempts%maxTries == 0 {
		logger.Warnf("unpinning %s failed (try %d), leaving it for now: %s", c, w.attempts, cause)
		w.intent = 0
		return
	}
	logger.Warnf("unpinning %s failed (try %d), next try in %s: %s", c, w.attempts, wait, cause)
	l.later(c, wait)
}

// later makes Run look at the CID after a pause.
func (l *Ledger) later(c api.Cid, wait time.Duration) {
	at := time.Now().Add(wait)
	l.mu.Lock()
	defer l.mu.Unlock()
	if before, ok := l.again[c]; !ok || at.Before(before) {
		l.again[c] = at
	}
}

func (l *Ledger) measureLater(c api.Cid) {
	if l.opts.Size == nil {
		return
	}
	select {
	case l.measure <- c:
	default: // too much to do; it does not matter
	}
}
