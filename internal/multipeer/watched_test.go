package multipeer

import (
	"context"
	"sync/atomic"

	"github.com/libp2p/go-libp2p/core/peer"

	sharedpeer "github.com/ipfs-cluster/ipfs-cluster-scylla/peer"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// watched is the store of one peer, which tells the tests how far the peer is.
type watched struct {
	*scyllastate.Store
	self peer.ID
	// members counts the reads of the peers that succeeded.
	members atomic.Int64
	// looks counts how often the peer found out where its placements are.
	looks atomic.Int64
}

var _ sharedpeer.Store = (*watched)(nil)

// ListMembers implements state.Members.
func (w *watched) ListMembers(ctx context.Context) ([]state.Member, error) {
	rows, err := w.Store.ListMembers(ctx)
	if err == nil {
		w.members.Add(1)
	}
	return rows, err
}

// PlacementBuckets implements state.Placements.
func (w *watched) PlacementBuckets(ctx context.Context, p peer.ID) ([]int, error) {
	buckets, err := w.Store.PlacementBuckets(ctx, p)
	if err == nil && p == w.self {
		w.looks.Add(1)
	}
	return buckets, err
}
