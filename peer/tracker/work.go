package tracker

import (
	"context"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// pinWorker pins until the tracker ends. There are as many as pins are made at the
// same time.
// Operator Reads of spec/Moves.tla.
func (t *Tracker) pinWorker() {
	for {
		tk, ok := t.queue.pop(priority, normal)
		if !ok {
			return
		}
		ctx, o, ok := t.take(tk, pinQueued, pinning)
		if !ok {
			continue
		}
		ctx, span := startSpan(ctx, "tracker/pin", o.want.trace)
		since := o.unpins
		if since.IsZero() && !o.row.read {
			since = t.began // there may be a row of before, and nobody has looked
		}
		out := outcome{err: t.settled(ctx, since), unpins: true} // still
		if out.err == nil && t.asks(tk) {
			out = t.pin(ctx, *o.want.pin, o.row.depth)
			t.opts.Metrics.did(ctx, pinOne, out.err)
			if out.err != nil && ctx.Err() == nil {
				t.opts.SLI.Failed(tk.cid, o.want.rev, out.err)
			}
		}
		span.End()
		t.returned(ctx, tk, out)
	}
}

// unpinWorker unpins until the tracker ends.
// Action Count of spec/Moves.tla.
func (t *Tracker) unpinWorker() {
	for {
		tk, ok := t.queue.pop(unpins)
		if !ok {
			return
		}
		ctx, o, ok := t.take(tk, unpinQueued, unpinning)
		if !ok {
			continue
		}
		if t.changed(ctx, tk, o) {
			continue
		}
		ctx, span := startSpan(ctx, "tracker/unpin", o.want.trace)
		out := outcome{err: t.unpin(ctx, o.cid, o.row.depth)}
		t.opts.Metrics.did(ctx, unpinOne, out.err)
		out.unpins = out.err != nil
		span.End()
		t.returned(ctx, tk, out)
	}
}

// asks notes that IPFS is about to be asked for a pin, which is to be undone from then on.
// It returns false if the work of the ticket was overtaken.
func (t *Tracker) asks(tk ticket) (yes bool) {
	t.with(tk.cid, func(o *op, _ *effects) {
		if yes = o.work == tk.work; yes {
			o.asked = &o.want.pin.MaxDepth
			t.opts.SLI.Asked(o.cid, o.want.rev)
		}
	})
	return yes
}

// changed reports whether the pin is not what it was when it was decided to unpin it,
// and then lets that be decided anew. It may have waited for long behind others, and what
// was removed and is given to others since then comes by no feed of this peer, which may
// have the only copy. What cannot be read is not unpinned.
func (t *Tracker) changed(ctx context.Context, tk ticket, was op) bool {
	pin, rev, err := t.opts.Store.GetVersion(ctx, was.cid)
	now := t.wanted(state.Change{Pin: pin})
	gone := now.pin == nil && now.given == nil && was.want.given == nil
	if err == nil && (gone || rev == was.want.rev) {
		return false
	}
	t.with(tk.cid, func(o *op, e *effects) {
		o.kubo = false
		if o.work == tk.work {
			o.attempts--
			t.renew(o, looking)
		}
		t.advance(o, e)
	})
	return true
}

// take begins the work of a ticket. It returns a copy of its op, and false if the
// ticket is void.
func (t *Tracker) take(tk ticket, from, to phase) (ctx context.Context, copied op, ok bool) {
	t.with(tk.cid, func(o *op, _ *effects) {
		if o.work != tk.work || o.phase != from || !o.ticket {
			return
		}
		t.dropTicket(o)
		if to == pinning && !o.claimed() {
			return // until it is known again what the row says
		}
		t.enter(o, to)
		o.kubo = true
		o.attempts++
		ctx = t.ctx // an unpin is not cancelled: IPFS would do it all the same, later
		if to == pinning {
			ctx, o.cancel = context.WithCancel(t.ctx)
		}
		copied, ok = *o, true
	})
	return ctx, copied, ok
}

// returned takes what came of the work of a ticket. What was cancelled has come to
// nothing that is known. Of an unpin that was overtaken it counts that it is over.
// Action NoAnswer of spec/Moves.tla.
func (t *Tracker) returned(ctx context.Context, tk ticket, out outcome) {
	if t.ctx.Err() != nil {
		return
	}
	cancelled := ctx.Err() != nil
	t.with(tk.cid, func(o *op, e *effects) {
		if o.cancel != nil {
			o.cancel()
			o.doubt = o.doubt || cancelled
		} else {
			o.doubt, o.unpins = out.err != nil, time.Time{}
		}
		if out.unpins {
			o.unpins = time.Now()
		}
		o.kubo, o.cancel = false, nil
		if o.work != tk.work || cancelled {
			t.advance(o, e)
			return
		}
		o.outcome = &out
		if !o.busy {
			t.conclude(o)
		}
		t.advance(o, e)
	})
}

// conclude goes on from the outcome of the work.
func (t *Tracker) conclude(o *op) {
	out := o.outcome
	if out == nil {
		return
	}
	o.blocked, o.tries = false, 0
	o.err = ""
	if out.err != nil {
		o.err = cut(out.err.Error())
	}
	switch o.phase {
	case pinning:
		t.enter(o, pinNoting)
	case unpinning:
		t.enter(o, unpinNoting)
	}
}

// maxError bounds the text of an error in a row, in bytes.
const maxError = 512

func cut(text string) string {
	if len(text) <= maxError {
		return text
	}
	return text[:maxError] + "…"
}
