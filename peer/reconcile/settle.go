package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// A move adds holders first, and takes off who is too many once enough have the
// content: see ADR 0018. So a pin may have more holders than its maximum meanwhile.

// inMove reports whether the pin has more holders than it is to have in the end.
func inMove(pin api.Pin) bool {
	return pin.Type != api.MetaType && pin.ReplicationFactorMax > 0 && len(pin.Allocations) > pin.ReplicationFactorMax
}

// endMoves ends the moves that confirmations of this peer make complete. While nobody can
// be judged, or the database does not answer, they wait.
// Action Settle of spec/Moves.tla.
func (r *Reconciler) endMoves(ctx context.Context) error {
	if r.opts.Repin != nil && !r.opts.Repin() {
		r.Confirmations.take()
		return nil
	}
	view := r.opts.View()
	if view.Frozen {
		return nil
	}
	var g errgroup.Group
	g.SetLimit(r.opts.Rates.Moves)
	for c, confirmed := range r.Confirmations.take() {
		pin, rev := confirmed.pin, confirmed.rev
		g.Go(func() error {
			_, err := r.settle(ctx, view, pin, rev)
			if err == nil || errors.Is(err, state.ErrChanged) {
				return nil // a change is confirmed, too
			}
			r.Confirmations.putBack(c, confirmed)
			return fmt.Errorf("taking the pin of %s off who is too many: %w", c, err)
		})
	}
	return g.Wait()
}

// settle takes the pin off those who are too many, once enough others have it. It
// reports whether it changed the pin.
// Operators Counts and Trims of spec/Moves.tla.
func (r *Reconciler) settle(ctx context.Context, view membership.View, pin api.Pin, rev state.Revision) (_ bool, err error) {
	defer func() { r.opts.Counts.notMoved(err) }()
	if !inMove(pin) {
		return false, nil
	}
	found, err := r.copies(ctx, view, pin.Cid, rev, pin.Allocations)
	if err != nil {
		return false, err
	}
	return r.settleBy(ctx, view, pin, found)
}

// settleBy is settle, by what the holders say.
func (r *Reconciler) settleBy(ctx context.Context, view membership.View, pin api.Pin, found copies) (bool, error) {
	if !inMove(pin) {
		return false, nil
	}
	var good, have []peer.ID
	for _, p := range pin.Allocations {
		if !r.mayHave(ctx, view, p) {
			continue
		}
		good = append(good, p)
		if found.with(p) {
			have = append(have, p)
		}
	}
	need := max(pin.ReplicationFactorMin, 1)
	if len(have) < need {
		return false, nil
	}
	limit := max(pin.ReplicationFactorMax, need)
	next := trim(pin.Allocations, limit, func(p peer.ID) bool { return !slices.Contains(good, p) })
	next = trim(next, limit, func(p peer.ID) bool { return !slices.Contains(have, p) })
	next = trim(next, limit, func(peer.ID) bool { return true })
	if len(next) == len(pin.Allocations) {
		return false, nil
	}
	logger.Debugf("%d peers have the pin of %s: taking it off those of %s that are too many", len(have), pin.Cid, pin.Allocations)
	pin.Allocations = next
	ctx = state.WithCause(ctx, state.CauseMove)
	if err := r.opts.Store.PutIf(ctx, pin, found.rev); err != nil {
		return false, fmt.Errorf("ending the move of the pin of %s: %w", pin.Cid, err)
	}
	r.opts.Counts.hasSettled()
	return true, nil
}

// joined are the holders of a pin that stay while others are added: all that were not
// removed, also the dead.
func joined(view membership.View, pin api.Pin, added []peer.ID) []peer.ID {
	next := slices.DeleteFunc(slices.Clone(pin.Allocations), func(p peer.ID) bool {
		member, ok := view.Get(p)
		return !ok || member.Removed
	})
	for _, p := range added {
		if !slices.Contains(next, p) {
			next = append(next, p)
		}
	}
	return next
}
