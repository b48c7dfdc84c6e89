package tracker

import (
	"context"
	"time"
)

// pinWorker pins until the tracker ends. There are as many as pins are made at the
// same time.
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
		out := outcome{err: t.settled(ctx, o.unpins)}
		if out.err == nil {
			out = t.pin(ctx, *o.want.pin, o.row.depth)
		}
		span.End()
		t.returned(ctx, tk, out)
	}
}

// unpinWorker unpins until the tracker ends.
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
		ctx, span := startSpan(ctx, "tracker/unpin", o.want.trace)
		out := outcome{err: t.unpin(ctx, o.cid, o.row.depth)}
		out.unpins = out.err != nil
		span.End()
		t.returned(ctx, tk, out)
	}
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
			o.asked = &o.want.pin.MaxDepth
		}
		copied, ok = *o, true
	})
	return ctx, copied, ok
}

// returned takes what came of the work of a ticket. What was cancelled has come to
// nothing that is known. Of an unpin that was overtaken it counts that it is over.
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
