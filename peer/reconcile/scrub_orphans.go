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

// met counts pins that a scrub has met: of removed peers, alone if no live peer had them,
// and those that may have come back. It is safe for concurrent use.
type met struct{ moved, starved, alone, suspects atomic.Int64 }

// scrubOrphan gives a pin that names removed peers to others, and reports whether
// it changed the pin. What such a peer held is looked through once, and its feed is
// followed for FeedTTL: a pin that was given to it after that, or of which
// neither tells any more, is found by nobody else.
func (r *Reconciler) scrubOrphan(ctx context.Context, view membership.View, met *met, pin api.Pin) (changed bool, err error) {
	for _, p := range pin.Allocations {
		member, ok := view.Get(p)
		if !ok || !member.Removed || time.Since(member.RemovedAt) < scrubAge || !r.mayMove(r.opts.View()) {
			continue
		}
		moved, err := r.moveAway(ctx, r.metrics(ctx), p, pin.Cid)
		if moved.alone {
			met.alone.Add(1)
		}
		switch {
		case moved.changed:
			met.moved.Add(1)
			changed = true
		case errors.Is(err, errNoCandidates):
			met.starved.Add(1)
		case err != nil && !errors.Is(err, errPaused) && !errors.Is(err, state.ErrChanged):
			return changed, err
		}
	}
	return changed, nil
}
