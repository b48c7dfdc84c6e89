package tracker

import (
	"context"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func (s *store) ListPlaced(_ context.Context, _ peer.ID, after state.Place, f func(state.Own) error) error {
	return s.list(after, false, func(own state.Own) error {
		if own.Placement == nil && !own.Everywhere {
			return nil
		}
		own.Changed = false
		return f(own)
	})
}
