package tracker

import (
	"context"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Act is the state.Handler of the peer's feed. It never waits: the change is done
// when a row says what became of it, or that something is to become of it, or
// when there is nothing to undo. With a full queue it returns state.ErrBusy.
func (t *Tracker) Act(_ context.Context, ch state.Change) error {
	if t.holds(ch.Pin) { // also if there is no room for it: its time runs
		t.opts.SLI.Seen(ch.Cid, ch.Rev, ch.Traceparent)
	}
	if t.full(ch.Pin) {
		return state.ErrBusy
	}
	t.with(ch.Cid, func(o *op, e *effects) {
		o.unpassed = o.unpassed || ch.Unpassed
		t.offer(o, t.wanted(ch), e)
	})
	return state.ErrLater
}

// wanted is what a change asks of this peer.
func (t *Tracker) wanted(ch state.Change) wanted {
	w := wanted{rev: ch.Rev, trace: ch.Traceparent, done: ch.Done, first: ch.First}
	switch {
	case t.holds(ch.Pin):
		w.pin = ch.Pin
	case ch.Pin != nil && ch.Pin.Type != api.MetaType:
		w.given = ch.Pin
	}
	return w
}

// holds reports whether this peer is to hold the pin. A pin that stands for others
// is held by none.
func (t *Tracker) holds(pin *api.Pin) bool { return Holds(pin, t.opts.Self) }

// Holds reports whether a peer is to hold a pin, which may be nil: what the Tracker of the
// peer goes by.
func Holds(pin *api.Pin, p peer.ID) bool {
	return pin != nil && pin.Type != api.MetaType && !pin.IsRemotePin(p)
}

// offer takes what is wanted of a CID, now or when the row is free. Of two that wait
// the newer one counts, and the change that came last stands for both.
func (t *Tracker) offer(o *op, w wanted, e *effects) {
	if !o.busy {
		t.accept(o, w, e)
		return
	}
	if next := o.next; next != nil {
		done := w.done
		if done == nil {
			done = next.done
		}
		if stale(w, next.rev) {
			w = *next
		}
		w.done = done
	}
	o.next = &w
}

// stale reports whether what is wanted is of before a revision. Without a revision
// the pinset has forgotten the CID, which is of now.
func stale(w wanted, rev state.Revision) bool {
	return w.rev != state.Revision{} && w.rev.Before(rev)
}

// accept makes w what is wanted.
// Action Look of spec/Moves.tla.
func (t *Tracker) accept(o *op, w wanted, e *effects) {
	if o.phase != idle && o.phase != looking && stale(w, o.want.rev) {
		if w.done != nil {
			e.add(func() { w.done(nil) }) // a newer version is worked on
		}
		return
	}
	t.tellSLI(o.cid, w)
	before := o.want
	w.first = w.first || before.first && before.done != nil
	if w.done == nil {
		w.done = before.done
	}
	if w.trace == "" {
		w.trace = before.trace
	}
	// A pin that is told of again and again has its row in time: the first deadline counts.
	waits := (o.waiter != 0 || o.needRow) && before.done != nil && before.pin != nil && w.pin != nil
	if !waits {
		t.stopWaiting(o)
		o.needRow = false
	}
	o.want = w
	o.blocked, o.tries = false, 0
	if w.rev != before.rev {
		o.counted = 0
	}
	if w.pin != nil {
		t.toPin(o, before)
		if o.phase == pinning {
			t.opts.SLI.Asked(o.cid, w.rev) // for the revision before
		}
	} else {
		t.toUnpin(o, before)
	}
	switch {
	case o.kept():
		t.end(o, e)
	case !waits && o.want.done != nil && o.want.pin != nil && !t.wait(o):
		o.needRow = true
	}
	t.advance(o, e)
}

// tellSLI tells what is wanted of a CID from now on.
func (t *Tracker) tellSLI(c api.Cid, w wanted) {
	switch {
	case w.pin == nil:
		t.opts.SLI.Gone(c, w.rev)
	case w.done != nil:
		t.opts.SLI.Seen(c, w.rev, w.trace)
	default:
		t.opts.SLI.Found(c, w.rev)
	}
}

// toPin makes the op one that pins.
func (t *Tracker) toPin(o *op, before wanted) {
	if o.want.rev != before.rev && o.phase != looking {
		o.attempts, o.err = 0, ""
	}
	switch o.phase {
	case pinQueued:
		return
	case pinning:
		if before.pin.MaxDepth == o.want.pin.MaxDepth {
			return
		}
	}
	t.renew(o, pinQueued)
}

// toUnpin makes the op one that unpins.
func (t *Tracker) toUnpin(o *op, before wanted) {
	switch o.phase {
	case unpinDeciding, unpinQueued, unpinning, unpinNoting:
		return
	case unpinFailed:
		if o.want.rev != before.rev {
			o.attempts, o.err = 0, ""
		}
	case looking, idle:
	default:
		o.attempts, o.err = 0, ""
	}
	t.renew(o, unpinDeciding)
}

// renew begins work anew, from a phase on.
// Action Overtaken of spec/Moves.tla.
func (t *Tracker) renew(o *op, p phase) {
	o.work++
	o.outcome = nil
	t.dropTicket(o)
	if o.cancel != nil {
		o.cancel()
	}
	t.enter(o, p)
}

// advance begins what is to be done next, unless something is being done or is
// waited for.
func (t *Tracker) advance(o *op, e *effects) {
	if o.phase == pinQueued && o.claimed() || o.phase == unpinQueued {
		t.enqueue(o)
	}
	if o.busy || o.blocked {
		return
	}
	switch o.phase {
	case pinQueued, pinning:
		if o.lacksRow() {
			t.begin(o, e, t.noteQueued(o))
		}
	case looking:
		t.begin(o, e, t.look(o))
	case pinNoting:
		measure, note := t.noteOutcome(o)
		t.beginAfter(o, e, measure, note)
	case unpinDeciding:
		t.begin(o, e, t.decide(o))
	case unpinNoting:
		t.begin(o, e, t.drop(o))
	}
}
