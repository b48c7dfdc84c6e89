package statetest

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	"github.com/ipfs/go-datastore"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestUpstream is the proof that the suite asks for nothing that ipfs-cluster
// does not have already.
func TestUpstream(t *testing.T) {
	Run(t, upstreamSuite())
}

func upstreamSuite() Suite {
	return Suite{
		New: func(tb testing.TB) state.Store { return newUpstream(tb, inmem.New()) },
		NewBatching: func(tb testing.TB) (state.BatchingStore, state.Store) {
			ds, ok := inmem.New().(datastore.Batching)
			if !ok {
				tb.Fatal("the datastore in memory has no batches")
			}
			batching, err := dsstate.NewBatching(tb.Context(), ds, "/pins", nil)
			if err != nil {
				tb.Fatalf("batching dsstate: %v", err)
			}
			return batching, newUpstream(tb, ds)
		},
	}
}

func newUpstream(tb testing.TB, ds datastore.Datastore) *dsstate.State {
	tb.Helper()
	s, err := dsstate.New(tb.Context(), ds, "/pins", nil)
	if err != nil {
		tb.Fatalf("dsstate: %v", err)
	}
	return s
}
