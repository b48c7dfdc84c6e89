package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"

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
//
// A pin that no live peer held so far, so that maybe nobody can send its content, is
// counted for the log, whichever loop moves it.
// Action Repin of spec/Moves.tla.
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
	switch {
	case next != nil:
		next = joined(view, *pin, next)
	case member.Removed:
		// Enough others hold it. A dead peer may come back to its pins, as
		// in upstream; a removed one has none.
		next = without(pin.Allocations, gone)
	default:
		return r.settle(ctx, view, *pin, rev)
	}
	if len(next) == 0 {
		return false, nil
	}
	pin.Allocations = next
	if err := r.opts.Store.PutIf(ctx, *pin, rev); err != nil {
		return false, fmt.Errorf("moving the pin of %s away from %s: %w", c, gone, err)
	}
	logger.Debugf("the pin of %s, which %s held, is with %s now", c, gone, next)
	if !member.Removed && len(cl.holders) == 0 {
		r.alone.add(gone)
	}
	return true, nil
}

// onlyCopies counts, for each dead peer, the pins that were given to others and that
// no live peer held. It is safe for concurrent use.
type onlyCopies struct {
	mu   sync.Mutex
	pins map[peer.ID]int
}

func (o *onlyCopies) add(id peer.ID) {
	o.mu.Lock()
	defer o.mu.Unlock()
	if o.pins == nil {
		o.pins = make(map[peer.ID]int)
	}
	o.pins[id]++
}

// take returns what was counted since it was last called.
func (o *onlyCopies) take() map[peer.ID]int {
	o.mu.Lock()
	defer o.mu.Unlock()
	pins := o.pins
	o.pins = nil
	return pins
}
