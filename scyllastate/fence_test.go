package scyllastate

import (
	"slices"
	"testing"

	"github.com/gocql/gocql"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestFenceTellsTheHolders: a fence is a revision as any other, which the holders have
// to confirm before they count as copies.
func TestFenceTellsTheHolders(t *testing.T) {
	s := newTestStore(t)
	holders := []peer.ID{statetest.Peer("fenced a"), statetest.Peer("fenced b")}
	pin := statetest.Samples(t)[0].Pin
	pin.ReplicationFactorMin, pin.ReplicationFactorMax, pin.Allocations = 2, 2, holders
	must(t, s.Add(t.Context(), pin))
	old, err := s.readRow(t.Context(), pin.Cid, gocql.Quorum)
	must(t, err)
	now, err := s.fence(t.Context(), pin.Cid, old)
	must(t, err)
	if now.rev == old.rev || now.prev != old.rev {
		t.Fatalf("the row is %v after %v, was %v", now.rev, now.prev, old.rev)
	}
	for _, p := range holders {
		var revs []gocql.UUID
		for _, slot := range []int64{slotOf(s.now()) - 1, slotOf(s.now())} {
			iter := s.db.Session.Query("SELECT rev, prev, kind FROM changes WHERE feed = ? AND slot = ?", p.String(), slot).Iter()
			var rev, prev gocql.UUID
			var kind int8
			for iter.Scan(&rev, &prev, &kind) {
				revs = append(revs, rev)
				if rev == now.rev && (prev != old.rev || kind != kindFence) {
					t.Errorf("%s is told of %v after %v, kind %d", p, rev, prev, kind)
				}
			}
			must(t, iter.Close())
		}
		if !slices.Contains(revs, now.rev) {
			t.Errorf("%s is not told of the fence, only of %v", p, revs)
		}
	}
	// A marker has no holders.
	must(t, s.Rm(t.Context(), pin.Cid))
	old, err = s.readRow(t.Context(), pin.Cid, gocql.Quorum)
	must(t, err)
	_, err = s.fence(t.Context(), pin.Cid, old)
	must(t, err)
}
