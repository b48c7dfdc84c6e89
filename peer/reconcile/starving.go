package reconcile

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
)

// starvedFactor times RecheckInterval is how long pins that nobody can take wait at
// first: 5 minutes. It is doubled with each look, up to maxPause.
const starvedFactor = 10

// starving says when pins that nobody can take are looked at again: what is in memory
// tells whether that is of use, and the pauses are for what it does not. The zero value is
// ready for use. It is not safe for concurrent use.
type starving struct {
	// looked is when the last look ended, pause what the next one waits for, 0 before the
	// first one.
	looked time.Time
	pause  time.Duration
	// takers are who could be given pins when that was asked last. more says that others
	// can since the last look.
	takers map[peer.ID]bool
	more   bool
}

// offer takes note of who can be given pins now.
func (s *starving) offer(takers map[peer.ID]bool) {
	for p := range takers {
		s.more = s.more || !s.takers[p]
	}
	s.takers = takers
}

// due tells whether a look is due: after the pause, and after first already if others can
// take pins now. A peer may lose its metrics and get them back again and again.
func (s *starving) due(first time.Duration) bool {
	since := time.Since(s.looked)
	return since >= max(s.pause, first) || s.more && since >= first
}

// begin begins a look.
func (s *starving) begin(first time.Duration) {
	s.pause, s.more = min(2*max(s.pause, first), maxPause), false
	s.looked = time.Now()
}

// starvedPause is how long pins that nobody can take wait at least.
func (r *Reconciler) starvedPause() time.Duration { return starvedFactor * r.opts.RecheckInterval }

// takers are the peers that can be given pins that they do not hold.
func (r *Reconciler) takers(ctx context.Context, view membership.View) map[peer.ID]bool {
	metrics := r.metrics(ctx)
	takers := make(map[peer.ID]bool)
	for _, id := range view.Live() {
		if member, _ := view.Get(id); member.Holds() && metrics.all(id) && r.suits(ctx, id) {
			takers[id] = true
		}
	}
	return takers
}
