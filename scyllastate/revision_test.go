package scyllastate

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestNotedRevision: a write notes the revision that others read, also if somebody else was
// faster and it had to begin again, and none when it writes nothing.
func TestNotedRevision(t *testing.T) {
	s := newTestStore(t)
	pin := held("a", statetest.Peer("self"))
	overtaken := false
	put := func(current *api.Pin) (*api.Pin, error) {
		if !overtaken {
			overtaken = true
			must(t, s.Add(t.Context(), pin))
		}
		return &pin, nil
	}
	var noted state.Revision
	must(t, s.Update(state.WithRevision(t.Context(), &noted), pin.Cid, put))
	_, rev, err := s.GetVersion(t.Context(), pin.Cid)
	must(t, err)
	if noted != rev || noted == (state.Revision{}) {
		t.Errorf("noted %x, and the revision is %x", noted, rev)
	}
	var none state.Revision
	must(t, s.Update(state.WithRevision(t.Context(), &none), statetest.Cid("absent"), func(*api.Pin) (*api.Pin, error) { return nil, nil }))
	if none != (state.Revision{}) {
		t.Errorf("noted %x of a write that wrote nothing", none)
	}
}
