package scyllastate

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func TestConformance(t *testing.T) {
	suite := statetest.Suite{
		New: func(tb testing.TB) state.Store { return newTestStore(tb) },
		NewBatching: func(tb testing.TB) (state.BatchingStore, state.Store) {
			s := newTestStore(tb)
			return s.Batching(), s
		},
		Corrupt: func(tb testing.TB, s state.Store, c api.Cid) { corrupt(tb, s.(*Store), c) },
	}
	t.Run("contract", func(t *testing.T) { statetest.Run(t, suite) })
	t.Run("strict", func(t *testing.T) { statetest.RunStrict(t, suite) })
	t.Run("updater", func(t *testing.T) {
		statetest.RunUpdater(t, func(tb testing.TB) statetest.UpdatingStore { return newTestStore(tb) })
	})
}

// corrupt writes bytes that are no pin into the row of c.
func corrupt(tb testing.TB, s *Store, c api.Cid) {
	tb.Helper()
	r, err := s.readRow(tb.Context(), c, s.read)
	if err != nil {
		tb.Fatal(err)
	}
	applied, err := s.db.Session.Query("UPDATE pins SET pin = ? WHERE cid = ? IF rev = ?", []byte{0x0a, 0xff}, c.Bytes(), r.rev).
		MapScanCAS(map[string]any{})
	if err != nil || !applied {
		tb.Fatalf("corrupting the row of %s: applied %t, %v", c, applied, err)
	}
}
