package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// errPaused says that nothing may be moved for now.
var errPaused = errors.New("nothing is moved away from dead peers for now")

// move is what became of a pin that a peer held that is gone.
type move struct {
	// changed is set if the pin was changed.
	changed bool
	// open is set if the peer keeps it only until enough others have it, alone if no
	// live peer had it, so that nobody can send its content.
	open, alone bool
}

// moveAway gives the pin of a CID to other peers than one that is gone, where
// that is needed. A dead one keeps it as well, until enough others have it: it may have
// the only copy. Errors: errPaused, errNoCandidates, one that matches state.ErrChanged
// when somebody else changed the pin, and those of the store.
// Actions Repin and Settle of spec/Moves.tla.
func (r *Reconciler) moveAway(ctx context.Context, metrics peerMetrics, gone peer.ID, c api.Cid) (_ move, err error) {
	defer func() { r.opts.Counts.notMoved(err) }()
	pin, rev, err := r.opts.Store.GetVersion(ctx, c)
	if err != nil {
		return move{}, fmt.Errorf("reading the pin of %s: %w", c, err)
	}
	if pin == nil || !allocatedTo(*pin, gone) {
		return move{}, nil
	}
	view := r.opts.View()
	member, ok := view.Get(gone)
	if !ok || !member.Removed && !member.Dead() {
		return move{}, nil // it came back, and sees to its pins itself
	}
	if !view.Gone(member) || !r.mayMove(view) {
		return move{}, errPaused
	}
	cl := r.classes(ctx, view, metrics, *pin, func(p peer.ID) bool { return p == gone })
	next, noneErr := fill(ctx, r.opts.Allocator, *pin, cl)
	if noneErr != nil && !errors.Is(noneErr, errNoCandidates) {
		return move{}, noneErr
	}
	// Also of one that nobody can take: the gone peer may have its only copy.
	found, err := r.copies(ctx, view, c, rev, pin.Allocations)
	if err != nil {
		return move{}, err
	}
	alone := found.none()
	switch {
	case noneErr != nil:
		return move{alone: alone}, noneErr
	case next != nil:
		next = joined(view, *pin, next)
	case member.Removed:
		// Enough others hold it. A dead peer may come back to its pins, as
		// in upstream; a removed one has none.
		next = without(pin.Allocations, gone)
	default:
		changed, err := r.settleBy(ctx, view, *pin, found)
		return move{changed: changed, open: !changed && inMove(*pin), alone: alone}, err
	}
	if len(next) == 0 {
		return move{alone: alone}, nil
	}
	pin.Allocations = next
	ctx = state.WithCause(ctx, state.CauseMove)
	if err := r.opts.Store.PutIf(ctx, *pin, rev); err != nil {
		return move{}, fmt.Errorf("moving the pin of %s away from %s: %w", c, gone, err)
	}
	r.opts.Counts.hasMoved()
	logger.Debugf("the pin of %s, which %s held, is with %s now", c, gone, next)
	return move{changed: true, open: !member.Removed && inMove(*pin), alone: alone}, nil
}
