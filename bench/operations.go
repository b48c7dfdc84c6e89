package main

import (
	"context"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Each pin is allocated to two of these peers.
const peersInCluster, replicas = 4, 2

// operation is one call of the store and the loop that sends the same.
type operation struct {
	name string
	// times is how often a turn calls it for each of its pins. Reads are so
	// fast that a turn would be over too soon.
	times      int
	store, raw func(context.Context, *sample) error
	// before is called, and not measured, for each pin of either side.
	before func(context.Context, *sample) error
}

func operations(st *scyllastate.Store, r *raw) []operation {
	return []operation{
		// Cluster.Pin reads the pin before it writes: the store then knows
		// that there is none, and does not read again.
		{"Add, new pin (2 feed rows + CAS)", 1,
			func(ctx context.Context, s *sample) error { return st.Add(ctx, s.pin) }, r.add,
			func(ctx context.Context, s *sample) error {
				if _, err := st.Get(ctx, s.pin.Cid); err != state.ErrNotFound {
					return fmt.Errorf("reading a pin that is not there: %w", err)
				}
				return nil
			}},
		{"Add, over a pin (read + 2 feed rows + CAS)", 1,
			func(ctx context.Context, s *sample) error { return st.Add(ctx, s.pin) }, r.addOver, nil},
		{"Get (read)", 4,
			func(ctx context.Context, s *sample) error { _, err := st.Get(ctx, s.pin.Cid); return err },
			func(ctx context.Context, s *sample) error { _, err := r.get(ctx, s); return err }, nil},
		{"Has (read)", 4,
			func(ctx context.Context, s *sample) error {
				found, err := st.Has(ctx, s.pin.Cid)
				if err == nil && !found {
					err = state.ErrNotFound
				}
				return err
			}, r.has, nil},
		{"Rm (read + 2 feed rows + CAS)", 1,
			func(ctx context.Context, s *sample) error { return st.Rm(ctx, s.pin.Cid) }, r.rm, nil},
	}
}
