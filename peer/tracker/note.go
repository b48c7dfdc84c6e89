package tracker

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// noters bounds the reads and writes that are made at the same time.
	noters = 128
	// maxNoting is how many ops may be at that, or wait for it, when a scan takes up
	// another one: each of them has a goroutine.
	maxNoting = 4 * noters
	// sizeWait is how long a row waits for the size of what was pinned, which is
	// measured later otherwise.
	sizeWait = time.Second
)

// note reads or writes for an op, without its lock. What it returns is called with
// the lock.
type note func(ctx context.Context) (func(o *op, e *effects), error)

// begin starts what reads or writes for an op. What is offered meanwhile counts
// when it has ended.
func (t *Tracker) begin(o *op, e *effects, do note) { t.beginAfter(o, e, nil, do) }

// beginAfter is begin for what waits for others than the database first.
func (t *Tracker) beginAfter(o *op, e *effects, first func(context.Context), do note) {
	c, traceparent := o.cid, o.want.trace
	o.busy = true
	e.add(func() {
		t.noting.Add(1)
		t.spawn(func() {
			defer t.noting.Add(-1)
			if first != nil {
				first(t.ctx)
			}
			select {
			case t.noters <- struct{}{}:
			case <-t.ctx.Done():
				return
			}
			apply, err := tracedNote(t.ctx, traceparent, do)
			<-t.noters
			if t.ctx.Err() != nil {
				return
			}
			t.with(c, func(o *op, e *effects) { t.noted(o, e, apply, err) })
		})
	})
}

// noted goes on after a read or write.
func (t *Tracker) noted(o *op, e *effects, apply func(*op, *effects), err error) {
	o.busy = false
	if err == nil {
		o.tries = 0
		apply(o, e)
	} else {
		wait := min(firstRetry<<min(o.tries, 16), lastNoteRetry)
		o.blocked = true
		o.tries++
		o.row, o.unsure = rowKnown{}, true
		t.again(o, wait)
		state.Failure(err, logger.Warnf, logger.Debugf)("working on %s, next try in %s: %s", o.cid, wait, err)
	}
	if o.phase == pinning || o.phase == unpinning {
		t.conclude(o)
	}
	if next := o.next; next != nil {
		o.next = nil
		t.offer(o, *next, e) // what was read may have begun the next write
		return
	}
	t.advance(o, e)
}

// look reads the pin and takes it as wanted.
func (t *Tracker) look(o *op) note {
	c := o.cid
	return func(ctx context.Context) (func(*op, *effects), error) {
		pin, rev, err := t.opts.Store.GetVersion(ctx, c)
		if errors.Is(err, state.ErrCorrupt) {
			logger.Errorf("nothing is done with %s until its pin is written again: %s", c, err)
			return func(o *op, _ *effects) { t.enter(o, idle) }, nil
		}
		if err != nil {
			return nil, fmt.Errorf("reading its pin: %w", err)
		}
		return func(o *op, e *effects) { t.accept(o, t.wanted(state.Change{Cid: c, Pin: pin, Rev: rev}), e) }, nil
	}
}

// known returns what is stored of the CID of an op, which is read if it is not known.
func (t *Tracker) known(ctx context.Context, o op) (rowKnown, error) {
	if o.row.read {
		t.opts.SLI.Read(o.cid, o.row.placement(), o.row.there)
		return o.row, nil
	}
	row, there, err := t.opts.Store.GetPlacement(ctx, t.opts.Self, o.cid)
	if err != nil {
		return rowKnown{}, fmt.Errorf("finding whether it was pinned: %w", err)
	}
	t.opts.SLI.Read(o.cid, row, there)
	return rowOf(row, there), nil
}

// put writes a row for an op as it was. Without a depth it names the deepest one that
// IPFS was asked for, or is to be.
func (t *Tracker) put(was op, row state.Placement, then func(*op, *effects)) note {
	return func(ctx context.Context) (func(*op, *effects), error) {
		if row.Depth == nil || t.opts.SLI.Doubtful(was.cid) {
			var err error
			if was.row, err = t.known(ctx, was); err != nil {
				return nil, err
			}
		}
		if row.Depth == nil {
			var depth *api.PinDepth
			if pin := was.want.pin; pin != nil {
				depth = &pin.MaxDepth
			}
			row.Depth = was.claim(depth)
		}
		if err := t.opts.Store.PutPlacement(ctx, t.opts.Self, row); err != nil {
			return nil, err
		}
		return func(o *op, e *effects) {
			t.held.wrote(row.Cid, was.row, row.Status)
			row.Updated = time.Now()
			o.row = rowOf(row, true)
			o.asked, o.unsure = nil, false // the row names it
			then(o, e)
		}, nil
	}
}

// noteQueued writes that the pin is to be made, if the row lacks that.
func (t *Tracker) noteQueued(o *op) note {
	was, depth := *o, o.want.pin.MaxDepth
	return func(ctx context.Context) (func(*op, *effects), error) {
		left := false
		if depth == 0 || !was.claimed() { // a recursive pin is the deepest, whatever the row says
			row, err := t.known(ctx, was)
			if err != nil {
				return nil, err
			}
			left = was.leftBy(row)
			was.row = row
		}
		if !was.lacksRow() {
			return func(o *op, e *effects) {
				o.row = was.row
				o.doubtUnpin(left)
				if o.kept() {
					t.end(o, e)
				}
			}, nil
		}
		row := state.Placement{Cid: was.cid, Status: state.PlacementQueued, Rev: was.want.rev, Attempts: was.attempts, Depth: was.claim(&depth)}
		return t.put(was, row, func(o *op, e *effects) {
			o.doubtUnpin(left)
			t.end(o, e) // a start takes it up
		})(ctx)
	}
}

// noteOutcome writes what came of a pin, of which measure finds the size before.
// Action Pinned of spec/Moves.tla.
func (t *Tracker) noteOutcome(o *op) (measure func(context.Context), do note) {
	row := state.Placement{Cid: o.cid, Status: state.PlacementPinned, Rev: o.want.rev, Depth: o.outcome.depth}
	failed := o.outcome.err
	if failed != nil {
		row.Status, row.Attempts, row.Error = state.PlacementPinError, o.attempts, o.err
	}
	if o.doubt {
		row.Depth = o.claim(row.Depth) // IPFS may yet pin what was cancelled
	}
	was := *o
	measure = func(ctx context.Context) {
		if failed == nil {
			row.Size = t.sizeNow(ctx, row.Cid)
		}
	}
	return measure, func(ctx context.Context) (func(*op, *effects), error) {
		if err := t.tellRow(ctx, was, row); err != nil { // the size is known now
			return nil, err
		}
		apply, err := t.put(was, row, func(o *op, e *effects) {
			o.outcome = nil
			if failed != nil {
				t.end(o, e)
				logger.Warnf("pinning %s failed (try %d): %s", o.cid, o.attempts, failed)
				t.fail(o, pinFailed, t.opts.Every)
				return
			}
			t.enter(o, idle)
			t.recent.Add(o.cid, row.Rev)
			if row.Size == 0 {
				t.measureLater(o.cid, row.Rev)
			}
			switch {
			case o.doubt:
				t.lookAgain(o.cid, firstLook, firstLook)
			case !o.unpins.IsZero(): // all that is left is what IPFS did at the end of a garbage collection
				t.lookAgain(o.cid, firstLook, lastLook)
			}
			o.doubt, o.unpins = false, time.Time{}
		})(ctx)
		if err == nil && failed == nil {
			t.opts.SLI.Pinned(row.Cid, row.Rev)
			if t.opts.Confirmed != nil {
				t.opts.Confirmed(ctx, *was.want.pin, row.Rev)
			}
		}
		return apply, err
	}
}

// decide finds whether anything is to be undone, notes that it will be, and then
// whether enough others have it. What this peer has not asked IPFS for is somebody
// else's, and stays.
// Action Count of spec/Moves.tla.
func (t *Tracker) decide(o *op) note {
	was := *o
	return func(ctx context.Context) (func(*op, *effects), error) {
		known, err := t.known(ctx, was)
		if err != nil {
			return nil, err
		}
		left := was.leftBy(known)
		was.row = known
		if !known.there && was.asked == nil && !was.unpassed {
			if was.unsure {
				err = t.opts.Store.DropPlacement(ctx, t.opts.Self, was.cid)
			}
			return func(o *op, _ *effects) { t.enter(o, idle) }, err
		}
		noted := func(o *op, _ *effects) { o.row = known }
		if !known.leaving() || known.rev != was.want.rev || was.asked != nil {
			row := state.Placement{Cid: was.cid, Status: state.PlacementUnpinning, Rev: was.want.rev}
			noted, err = t.put(was, row, func(*op, *effects) {})(ctx)
			if err != nil {
				return nil, err
			}
		}
		// After the row: others must not count on this peer while it counts on them.
		kept, err := t.keeps(ctx, was.want)
		if kept != "" && t.lacks(ctx, was, known.depth) {
			kept = ""
		}
		return func(o *op, e *effects) {
			noted(o, e)
			o.doubtUnpin(left)
			if known.rev != (state.Revision{}) {
				o.forgotten = known.rev
			}
			t.end(o, e)
			if kept == "" {
				t.enter(o, unpinQueued)
			} else {
				t.keep(o, kept)
			}
		}, err
	}
}

// drop removes the row of what IPFS has unpinned, or notes that it could not.
// Action Drop of spec/Moves.tla.
func (t *Tracker) drop(o *op) note {
	if failed := o.outcome.err; failed != nil {
		row := state.Placement{Cid: o.cid, Status: state.PlacementUnpinError, Rev: o.want.rev, Attempts: o.attempts, Error: o.err}
		return t.told(*o, row, t.put(*o, row, func(o *op, e *effects) {
			t.end(o, e)
			o.outcome = nil
			wait := min(firstRetry<<min(o.attempts-1, 16), lastRetry)
			logger.Warnf("unpinning %s failed (try %d): %s", o.cid, o.attempts, failed)
			if t.opts.KeepContent {
				t.enter(o, idle) // it will never be done
				return
			}
			t.fail(o, unpinFailed, wait)
		}))
	}
	c, was := o.cid, *o
	return func(ctx context.Context) (func(*op, *effects), error) {
		if err := t.tellDropped(ctx, was); err != nil {
			return nil, err
		}
		if err := t.opts.Store.DropPlacement(ctx, t.opts.Self, c); err != nil {
			return nil, err
		}
		return func(o *op, _ *effects) {
			o.outcome, o.row = nil, rowKnown{read: true}
			o.asked, o.unpassed, o.unsure = nil, false, false
			t.enter(o, idle)
		}, nil
	}
}
