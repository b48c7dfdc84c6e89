package scyllastate

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// ListPlaced implements state.OwnPins for the simulation, whose ListOwn has no changes.
func (s simPlacements) ListPlaced(ctx context.Context, p peer.ID, after state.Place, f func(state.Own) error) error {
	return s.ListOwn(ctx, p, after, f) // which has no changes
}
