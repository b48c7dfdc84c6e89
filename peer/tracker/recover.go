package tracker

import (
	"context"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"go.opencensus.io/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Recover tries again what has failed with a CID, or what IPFS has lost, and returns
// the status after that.
func (t *Tracker) Recover(ctx context.Context, c api.Cid) (api.PinInfo, error) {
	ctx, span := trace.StartSpan(ctx, "tracker/Recover")
	defer span.End()

	info := t.Status(ctx, c)
	if !info.Status.Match(recoverable) || info.Status == api.TrackerStatusUndefined {
		return info, nil
	}
	queued, err := t.queueAgain(info)
	if queued || err != nil {
		info = t.Status(ctx, c)
	}
	return info, err
}

// recoverable is what a recovery does something about: of what is queued, if nobody is
// about to do it.
const recoverable = api.TrackerStatusPinError | api.TrackerStatusUnpinError | api.TrackerStatusUnexpectedlyUnpinned | api.TrackerStatusPinQueued

// queueAgain lets the work on a CID begin anew, unless it is going on.
func (t *Tracker) queueAgain(info api.PinInfo) (queued bool, err error) {
	if t.view(info.Cid).atIt() {
		return false, nil
	}
	l := unpins
	if info.Status != api.TrackerStatusUnpinError {
		l = t.laneOf(&api.Pin{Timestamp: info.Created}, 0)
	}
	if t.fullLane(l) {
		return false, ErrFullQueue
	}
	t.takeUp(state.Own{Cid: info.Cid, Placement: &state.Placement{Attempts: info.AttemptCount}})
	return true, nil
}

// RecoverAll compares everything that this peer is to hold with what IPFS has, tries
// again what has failed or was lost, and sends what it has queued to out, which it
// closes.
//
// A call that does not come by RPC is the one that upstream's cluster makes when it
// starts. What Run does then is more, so that it does nothing.
func (t *Tracker) RecoverAll(ctx context.Context, out chan<- api.PinInfo) error {
	defer close(out)
	ctx, span := trace.StartSpan(ctx, "tracker/RecoverAll")
	defer span.End()

	if _, err := rpc.GetRequestSender(ctx); err != nil && !t.scanned.Load() {
		return nil
	}
	r := &recovery{newLister(ctx, t, recoverable, out)}
	err := t.kuboAnswers(ctx)
	if err == nil {
		err = t.walk(ctx, t.opts.Store.ListOwn, r.flush)
	}
	if err != nil {
		return fmt.Errorf("recovering pins: %w", err)
	}
	return nil
}

// recovery goes through the pins of a peer. Those that IPFS has as a row says are
// not read.
type recovery struct{ *lister }

func (r *recovery) flush(ctx context.Context, some []entry) error {
	var amiss []entry
	for _, e := range some {
		right, err := r.asNoted(ctx, &e)
		if err != nil {
			return err
		}
		if !right {
			amiss = append(amiss, e)
		}
	}
	if len(amiss) == 0 {
		return nil
	}
	return r.answers(ctx, amiss, func(info api.PinInfo) error { return r.mend(ctx, info) })
}

// asNoted reports whether nothing is to be done, as far as row and IPFS tell. It looks
// at the list of IPFS in any case: whoever comes back to the CID is behind in that.
func (r *recovery) asNoted(ctx context.Context, e *entry) (bool, error) {
	if err := r.look(ctx, e); err != nil {
		return false, err
	}
	if e.view.atIt() {
		return true, nil // also if it has ended since
	}
	row := e.Placement
	if e.view.phase != idle || row == nil || row.Status != state.PlacementPinned || row.Depth == nil {
		return false, nil
	}
	return r.held(ctx, e, &api.Pin{Cid: e.Cid, MaxDepth: *row.Depth}, row.Rev)
}

// mend queues what is to be tried again, and tells of it.
func (r *recovery) mend(ctx context.Context, info api.PinInfo) error {
	queued, err := r.t.queueAgain(info)
	if err != nil || !queued {
		return err
	}
	return r.send(ctx, r.t.Status(ctx, info.Cid))
}
