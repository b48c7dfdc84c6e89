package tracker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// unknown is a status that a later version may write.
const unknown state.PlacementStatus = 9

// TestStartOverUnknownRows: a start takes up rows whose status it does not know, as all
// that are at no end: what is to be pinned is, and what is not goes.
func TestStartOverUnknownRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		missing, held, gone := r.own("missing"), r.own("held"), r.own("gone")
		for _, pin := range []*api.Pin{missing, held, gone} {
			r.store.left(pin, unknown)
		}
		r.ipfs.edit(func() { r.ipfs.pins[held.Cid], r.ipfs.pins[gone.Cid] = -1, -1 })
		r.store.set(gone.Cid, nil)
		r.run()
		seconds(10)
		for _, pin := range []*api.Pin{missing, held} {
			if row := r.store.row(pin.Cid); !r.ipfs.has(pin.Cid) || row.Status != state.PlacementPinned || row.Rev != r.store.rev(pin.Cid) {
				t.Errorf("in IPFS: %t, row %+v", r.ipfs.has(pin.Cid), row)
			}
		}
		if row, there := r.store.all()[gone.Cid]; there || r.ipfs.has(gone.Cid) {
			t.Errorf("what was removed is in IPFS: %t, row %+v", r.ipfs.has(gone.Cid), row)
		}
		if r.inMemory() != 0 {
			t.Errorf("%d are remembered", r.inMemory())
		}
	})
}

// TestChangesOverUnknownRows: a row whose status is not known says that the peer may have
// asked IPFS for the pin: an unpin undoes that, and is noted first.
func TestChangesOverUnknownRows(t *testing.T) {
	for name, direct := range map[string]bool{"recursive": false, "direct": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newIPFS())
				pin := r.own("a")
				if direct {
					pin = r.direct("a")
				}
				r.store.left(pin, unknown)
				r.ipfs.edit(func() { r.ipfs.pins[pin.Cid] = pin.MaxDepth })
				done := r.act(r.store.set(pin.Cid, nil))
				time.Sleep(3 * time.Second)
				synctest.Wait()
				if _, there := r.store.all()[pin.Cid]; there || r.ipfs.has(pin.Cid) || !done() {
					t.Errorf("row: %t, in IPFS: %t, done: %t", there, r.ipfs.has(pin.Cid), done())
				}
				if got := r.store.statuses(); got != "4 gone" {
					t.Errorf("the rows written are %q", got)
				}
				again := *pin
				r.act(r.store.set(pin.Cid, &again))
				time.Sleep(3 * time.Second)
				synctest.Wait()
				if row := r.store.row(pin.Cid); !r.ipfs.has(pin.Cid) || row.Status != state.PlacementPinned {
					t.Errorf("pinned again: row %+v, in IPFS: %t", row, r.ipfs.has(pin.Cid))
				}
			})
		})
	}
}
