package tracker

import (
	"context"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// tellRow tells of a row that is about to be written for an op as it was. A failure is
// told once, however often the same is tried again.
func (t *Tracker) tellRow(ctx context.Context, was op, row state.Placement) error {
	event := state.StatusEvent{Kind: state.EventPinned, Status: row.Status, Rev: row.Rev, Size: row.Size, Error: row.Error}
	if row.Status != state.PlacementPinned {
		event.Kind = state.EventFailed
		if known := was.row; known.there && known.status == row.Status && known.rev == row.Rev {
			return nil
		}
	}
	return t.tell(ctx, was, event)
}

// told is a note before which its row is told.
func (t *Tracker) told(was op, row state.Placement, do note) note {
	return func(ctx context.Context) (func(*op, *effects), error) {
		if err := t.tellRow(ctx, was, row); err != nil {
			return nil, err
		}
		return do(ctx)
	}
}

// tellDropped tells that IPFS has unpinned what an op was about.
func (t *Tracker) tellDropped(ctx context.Context, was op) error {
	rev := was.want.rev
	if rev == (state.Revision{}) {
		rev = was.forgotten
	}
	return t.tell(ctx, was, state.StatusEvent{Kind: state.EventDropped, Rev: rev})
}

// tell tells of a pin, if there is a revision by which others know it.
func (t *Tracker) tell(ctx context.Context, was op, event state.StatusEvent) error {
	if t.opts.Log == nil || event.Rev == (state.Revision{}) {
		return nil
	}
	event.Cid, event.Peer, event.Traceparent = was.cid, t.opts.Self, was.want.trace
	if err := t.opts.Log(ctx, event); err != nil {
		return fmt.Errorf("telling what came of it: %w", err)
	}
	return nil
}

// tellSize tells of a size, and notes it, if nothing else is done with the pin and it is
// noted as pinned in that revision. Else the size is measured again at another time.
func (t *Tracker) tellSize(pin sizeless, size int64) {
	t.with(pin.cid, func(o *op, e *effects) {
		if o.phase != idle || o.busy || size <= 0 {
			return
		}
		was := *o
		t.begin(o, e, func(ctx context.Context) (func(*op, *effects), error) {
			apply := func(*op, *effects) {}
			row, there, err := t.opts.Store.GetPlacement(ctx, t.opts.Self, pin.cid)
			if err == nil && (!there || row.Status != state.PlacementPinned || row.Rev != pin.rev) {
				return apply, nil
			}
			if err == nil {
				err = t.tell(ctx, was, state.StatusEvent{Kind: state.EventSized, Status: row.Status, Rev: row.Rev, Size: size})
			}
			if err == nil {
				err = t.opts.Store.SetSize(ctx, t.opts.Self, pin.cid, size)
			}
			if err != nil {
				logger.Debugf("the size of %s stays unknown: %s", pin.cid, err)
			}
			return apply, nil
		})
	})
}
