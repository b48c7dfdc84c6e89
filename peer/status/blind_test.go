package status

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// TestBlindPeer: when no holder of a pin can read it, but the peer that answers can, the
// answer says what the pin is.
func TestBlindPeer(t *testing.T) {
	w := newWorld(t, 2)
	pin := w.pin("a", 0, 1)
	for _, n := range w.nodes {
		n.set(func() { n.blind = true })
	}
	var got api.GlobalPinInfo
	if err := w.client.CallContext(t.Context(), "", "Cluster", "Status", pin.Cid, &got); err != nil {
		t.Fatal(err)
	}
	if got.Name != "a" || !got.Created.Equal(pin.Timestamp) || len(got.Allocations) != 2 {
		t.Errorf("%+v is not of %+v", got, pin)
	}
	for _, k := range []int{0, 1} {
		if of := got.PeerMap[w.id(k).String()]; of.Status != api.TrackerStatusClusterError || of.Error != "no database" {
			t.Errorf("peer %d: %+v", k, of)
		}
	}
}
