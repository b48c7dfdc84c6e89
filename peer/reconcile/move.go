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
// that is needed. It reports whether it changed the pin. Errors: errPaused,
// errNoCandidates, one that matches state.ErrChanged when somebody else changed
// the pin, and those of the store.
func (r *Reconciler) moveAway(ctx context.Context, gone peer.ID, c api.Cid) (bool, error) {
	pin, rev, err := r.opts.Store.GetVersion(ctx, c)
	if err != nil {
		return false, fmt.Errorf("reading the pin of %s: %w", c, err)
	}
	if pin == nil || !allocatedTo(*pin, gone) {
		return false, nil
	}
	view := r.opts.View()
	member, ok := view.Get(gone)
	if !ok || !member.Removed && !member.Dead() {
		return false, nil // it came back, and sees to its pins itself
	}
	if !view.Gone(member) || !r.mayMove(view) {
		return false, errPaused
	}
	cl := r.classes(ctx, view, *pin, func(p peer.ID) bool { return p == gone })
	next, err := fill(ctx, r.opts.Allocator, *pin, cl)
	if err != nil {
		return false, err
	}
	if next == nil && member.Removed {
		// Enough others have it. A dead peer may come back to its pins, as
		// in upstream; a removed one has none.
		next = without(pin.Allocations, gone)
	}
	if len(next) == 0 {
		return false, nil
	}
	pin.Allocations = next
	if err := r.opts.Store.PutIf(ctx, *pin, rev); err != nil {
		return false, fmt.Errorf("moving the pin of %s away from %s: %w", c, gone, err)
	}
	logger.Debugf("moved the pin of %s away from %s to %s", c, gone, next)
	return true, nil
}
