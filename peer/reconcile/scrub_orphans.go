package reconcile

import (
	"context"
	"errors"
	"sync/atomic"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// orphans counts the pins of removed peers that a scrub has met. It is safe for
// concurrent use.
type orphans struct{ moved, starved atomic.Int64 }

// scrubOrphan gives a pin that names removed peers to others, and reports whether
// it changed the pin. What such a peer held is looked through once, and its feed is
// followed for FeedTTL: a pin that was given to it after that, or of which
// neither tells any more, is found by nobody else.
func (r *Reconciler) scrubOrphan(ctx context.Context, view membership.View, orphans *orphans, pin api.Pin) (changed bool, err error) {
	for _, p := range pin.Allocations {
		member, ok := view.Get(p)
		if !ok || !member.Removed || time.Since(member.RemovedAt) < scrubAge || !r.mayMove(r.opts.View()) {
			continue
		}
		moved, err := r.moveAway(ctx, p, pin.Cid)
		switch {
		case moved:
			orphans.moved.Add(1)
			changed = true
		case errors.Is(err, errNoCandidates):
			orphans.starved.Add(1)
		case err != nil && !errors.Is(err, errPaused) && !errors.Is(err, state.ErrChanged):
			return changed, err
		}
	}
	return changed, nil
}
