package reconcile

import (
	"context"
	"fmt"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// copies is what the holders of a pin say of one revision of it: those that are live and
// not removed, as of others nobody knows. Whoever decides by it may ask for more:
//
//   - to warn that there may be no copy, nothing: who leaves, or holds pins against the
//     wish of the user, can send the content.
//   - to take a pin off others, mayHave: who stays has to be one that is to hold it.
//   - to hand a pin over, that it does not leave, too.
type copies struct {
	rev  state.Revision
	rows map[peer.ID]state.Placement
}

// copies asks them together: for the rows of 64 with one statement.
func (r *Reconciler) copies(ctx context.Context, view membership.View, c api.Cid, rev state.Revision, holders []peer.ID) (copies, error) {
	live := slices.DeleteFunc(slices.Clone(holders), func(p peer.ID) bool {
		member, ok := view.Get(p)
		return !ok || !member.Live || member.Removed
	})
	if len(live) == 0 {
		return copies{rev: rev}, nil
	}
	rows, err := r.opts.Store.GetPlacementsOf(ctx, live, c)
	if err != nil {
		return copies{}, fmt.Errorf("reading what the holders do with %s: %w", c, err)
	}
	return copies{rev: rev, rows: rows}, nil
}

// with tells whether a peer has confirmed the revision: IPFS has pinned it.
func (c copies) with(p peer.ID) bool {
	row, there := c.rows[p]
	return there && row.Status == state.PlacementPinned && row.Rev == c.rev
}

// none tells whether nobody has.
func (c copies) none() bool {
	for p := range c.rows {
		if c.with(p) {
			return false
		}
	}
	return true
}

// mayHave tells whether a holder is alive, a member that stays, and one that the user
// wants.
func (r *Reconciler) mayHave(ctx context.Context, view membership.View, p peer.ID) bool {
	member, ok := view.Get(p)
	return ok && member.Live && !member.Removed && !member.Leaving && member.Holds() && r.suits(ctx, p)
}
