package tracker

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestUnpinOfIndirectPin: IPFS refuses to unpin what it has by another pin only. There is
// nothing to undo then: the unpin ends, and the other pin stays.
func TestUnpinOfIndirectPin(t *testing.T) {
	for name, depth := range map[string]api.PinDepth{"recursive": -1, "direct": 0} {
		t.Run(name, func(t *testing.T) {
			r, kubo := withKubo(t, nil)
			pin := r.own("a")
			r.store.left(pin, state.PlacementPinned)
			r.store.edit(func() {
				row := r.store.rows[pin.Cid]
				row.Depth = &depth
				r.store.rows[pin.Cid] = row
			})
			kubo.pins[pin.Cid.String()] = "indirect"
			dropped := make(chan struct{})
			r.store.edit(func() { r.store.drop = func(api.Cid) { close(dropped) } })
			r.acts(r.store.set(pin.Cid, nil))
			r.await("the row to go", dropped)
			if info := r.Status(t.Context(), pin.Cid); info.Status != api.TrackerStatusUnpinned && info.Status != api.TrackerStatusUnpinning {
				t.Errorf("%+v", info)
			}
			if got := r.store.statuses(); got != "4 gone" {
				t.Errorf("the rows written are %q", got)
			}
			kubo.mu.Lock()
			defer kubo.mu.Unlock()
			if kubo.pins[pin.Cid.String()] != "indirect" {
				t.Errorf("IPFS has %v", kubo.pins)
			}
		})
	}
}
