package tracker

import (
	"context"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestComparisonEnds: a comparison after changes were missed has ended when no work is
// left of which only this process knows: not while a row says that all is done and IPFS is
// still to pin the newer pin, and not while the database does not answer. Work that rows
// tell of is left to the next process.
func TestComparisonEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Int64
		r := newRig(t, newStore(), newIPFS(), func(o *Options) {
			o.Missed = true
			o.Compared = func(context.Context) error {
				if ended.Add(1) == 1 {
					return errDown
				}
				return nil
			}
		})
		st := r.store
		fine, newer, gone, queued := r.own("fine"), r.own("newer"), r.own("gone"), r.own("queued")
		for _, pin := range []*api.Pin{fine, newer, gone} {
			st.left(pin, state.PlacementPinned)
		}
		st.left(queued, state.PlacementQueued)
		st.set(newer.Cid, newer)
		st.set(gone.Cid, nil)
		r.ipfs.edit(func() { r.ipfs.pins[fine.Cid], r.ipfs.pins[gone.Cid], r.ipfs.slow = -1, -1, time.Hour })
		r.run()
		seconds(3000)
		if n := ended.Load(); n > 0 || !r.scanned.Load() || st.row(newer.Cid).Rev == st.rev(newer.Cid) || st.row(gone.Cid).Status != state.PlacementUnpinning {
			t.Errorf("it has ended: %d; scanned: %t, rows %v", n, r.scanned.Load(), st.all())
		}
		r.ipfs.edit(func() { r.ipfs.fail = 3 }) // rows tell of that
		seconds(1200)
		if n := ended.Load(); n != 2 || st.row(newer.Cid).Status != state.PlacementPinError {
			t.Errorf("it was said %d times that it has ended, want an error and another try; rows %v", n, st.all())
		}
		if n := r.owed.Load(); n != 0 {
			t.Errorf("%d are owed", n)
		}
	})
}

// TestComparisonOfWhatIsAtWork: what others have brought counts as well.
func TestComparisonOfWhatIsAtWork(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		var ended atomic.Bool
		r := newRig(t, newStore(), newIPFS(), func(o *Options) {
			o.Missed = true
			o.Compared = func(context.Context) error { ended.Store(true); return nil }
		})
		pin := r.own("a")
		r.store.left(pin, state.PlacementPinned)
		r.store.set(pin.Cid, pin)
		r.ipfs.edit(func() { r.ipfs.slow = time.Hour })
		if err := r.Track(t.Context(), *pin); err != nil {
			t.Fatal(err)
		}
		seconds(10)
		r.run()
		seconds(60)
		if ended.Load() {
			t.Error("it ends while a pin is at work that no row tells of")
		}
		seconds(3600)
		if !ended.Load() || r.owed.Load() != 0 {
			t.Errorf("it has ended: %t, %d are owed", ended.Load(), r.owed.Load())
		}
	})
}

// TestComparisonThatIsCut: a process that ends before says nothing.
func TestComparisonThatIsCut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) {
			o.Missed = true
			o.Compared = func(context.Context) error { t.Error("it has ended"); return nil }
		})
		r.store.edit(func() { r.store.down = true })
		r.run()
		seconds(10)
		r.stop()
	})
}
