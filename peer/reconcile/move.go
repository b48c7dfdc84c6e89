package reconcile

import (
	"context"
	"errors"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
)

// errPaused says that nothing may be moved for now.
var errPaused = errors.New("nothing is moved away from dead peers for now")

// moveAway gives the pin of a CID to other peers than one that is gone, where
// that is needed. A dead one keeps it as well, until enough others have it: it may have
// the only copy. It reports whether it changed the pin. Errors: errPaused,
// errNoCandidates, one that matches state.ErrChanged when somebody else changed
// the pin, and those of the store.
func (r *Reconciler) moveAway(ctx context.Context, gone peer.ID, c api.Cid) (bool, error) {
	moved, _, err := r.move(ctx, gone, c)
	return moved, err
}

// move is moveAway. It also reports whether no live peer held the pin so far, so that
// maybe nobody can send its content.
// Action Repin of spec/Moves.tla.
func (r *Reconciler) move(ctx context.Context, gone peer.ID, c api.Cid) (moved, alone bool, err error) {
	pin, rev, err := r.opts.Store.GetVersion(ctx, c)
	if err != nil {
		return false, false, fmt.Errorf("reading the pin of %s: %w", c, err)
	}
	if pin == nil || !allocatedTo(*pin, gone) {
		return false, false, nil
	}
	view := r.opts.View()
	member, ok := view.Get(gone)
	if !ok || !member.Removed && !member.Dead() {
		return false, false, nil // it came back, and sees to its pins itself
	}
	if !view.Gone(member) || !r.mayMove(view) {
		return false, false, errPaused
	}
	cl := r.classes(ctx, view, *pin, func(p peer.ID) bool { return p == gone })
	next, err := fill(ctx, r.opts.Allocator, *pin, cl)
	if err != nil {
		return false, false, err
	}
	switch {
	case next != nil:
		next = joined(view, *pin, next)
	case member.Removed:
		// Enough others hold it. A dead peer may come back to its pins, as
		// in upstream; a removed one has none.
		next = without(pin.Allocations, gone)
	default:
		moved, err := r.settle(ctx, view, *pin, rev)
		return moved, false, err
	}
	if len(next) == 0 {
		return false, false, nil
	}
	pin.Allocations = next
	if err := r.opts.Store.PutIf(ctx, *pin, rev); err != nil {
		return false, false, fmt.Errorf("moving the pin of %s away from %s: %w", c, gone, err)
	}
	logger.Debugf("the pin of %s, which %s held, is with %s now", c, gone, next)
	return true, !member.Removed && len(cl.holders) == 0, nil
}
