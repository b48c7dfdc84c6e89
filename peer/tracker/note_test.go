package tracker

import (
	"context"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestSlowPin: a pin that takes long has a row after a while, with which its change is
// done.
func TestSlowPin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		r.ipfs.edit(func() { r.ipfs.slow = time.Minute })
		pin := r.own("a")
		done := r.act(r.store.set(pin.Cid, pin))
		seconds(4)
		r.expect("soon", "", "pin")
		seconds(1)
		r.expect("after a while", "1", "")
		if !done() {
			t.Error("the change is not done with the row")
		}
		seconds(55)
		r.expect("at the end", "2", "")
	})
}

// TestManyWait: only so many changes wait for their work to end, the others have a row
// at once.
func TestManyWait(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) { o.Config.MaxPinQueueSize = 2 * maxWaiting })
		r.ipfs.edit(func() { r.ipfs.slow = time.Hour })
		for i := range maxWaiting + 10 {
			pin := r.own(fmt.Sprint(i))
			r.act(r.store.set(pin.Cid, pin))
		}
		synctest.Wait()
		if n := len(r.store.all()); n != 10 {
			t.Errorf("%d rows were written at once", n)
		}
		seconds(5)
		if n := len(r.store.all()); n != maxWaiting+10 {
			t.Errorf("%d rows were written after a while", n)
		}
	})
}

// TestSizeLater: a size that takes long is measured later.
func TestSizeLater(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) {
			o.Size = func(ctx context.Context, _ api.Cid) (int64, error) {
				select {
				case <-time.After(10 * time.Second):
					return 42, nil
				case <-ctx.Done():
					return 0, ctx.Err()
				}
			}
		})
		pin := r.own("a")
		done := r.act(r.store.set(pin.Cid, pin))
		seconds(2)
		r.expect("soon", "2", "pin")
		if !done() {
			t.Error("the change waits for the size")
		}
		seconds(10)
		r.expect("later", "size", "")
	})
}

// TestPinError: what has failed is noted and tried again.
func TestPinError(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		r.ipfs.edit(func() { r.ipfs.fail = 2 })
		pin := r.own("a")
		done := r.act(r.store.set(pin.Cid, pin))
		seconds(1)
		r.expect("soon", "3", "pin")
		if row := r.store.row(pin.Cid); row.Attempts != 1 || row.Error != "the daemon is busy" || !done() {
			t.Errorf("row %+v, done: %t", row, done())
		}
		seconds(3601)
		r.expect("later", "3", "pin")
		seconds(3602)
		r.expect("at the end", "2", "pin")
		if row := r.store.row(pin.Cid); row.Attempts != 0 || row.Error != "" {
			t.Errorf("row %+v", row)
		}
	})
}

// TestUnpinIsRepeated: an unpin is tried again until IPFS has done it, and left to a
// scan when it was tried often.
func TestUnpinIsRepeated(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		c := statetest.Cid("a")
		r.store.edit(func() { r.store.rows[c] = state.Placement{Cid: c, Status: state.PlacementPinned} })
		r.ipfs.edit(func() { r.ipfs.pins[c] = -1 })
		r.ipfs.edit(func() { r.ipfs.fail = 3 })
		r.act(r.store.set(c, nil))
		seconds(30)
		r.expect("in all", "4 5 5 5 gone", "unpin unpin unpin unpin")

		r.store.edit(func() { r.store.rows[c] = state.Placement{Cid: c, Status: state.PlacementPinned} })
		r.ipfs.edit(func() { r.ipfs.pins[c] = -1 })
		r.ipfs.edit(func() { r.ipfs.fail = 1 << 30 })
		r.act(r.store.set(c, nil))
		seconds(2 * 3600)
		if n := r.inMemory(); n != 0 || r.left.Load() == 0 {
			t.Errorf("%d are remembered, a scan is due: %t", n, r.left.Load() > 0)
		}
	})
}

// TestKeepContent: IPFS that refuses to unpin is asked once.
func TestKeepContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) { o.KeepContent = true })
		c := statetest.Cid("a")
		r.store.edit(func() { r.store.rows[c] = state.Placement{Cid: c, Status: state.PlacementPinned} })
		r.ipfs.edit(func() { r.ipfs.fail = 1 << 30 })
		r.act(r.store.set(c, nil))
		seconds(24 * 3600)
		r.expect("in a day", "4 5", "unpin")
		r.run()
		seconds(24 * 3600)
		r.expect("after a start", "", "")
	})
}

// TestDatabaseDown: what cannot be noted keeps its change open, and is noted as soon
// as it can be. IPFS is asked once.
func TestDatabaseDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.own("a")
		gone := statetest.Cid("gone")
		r.store.edit(func() { r.store.rows[gone] = state.Placement{Cid: gone, Status: state.PlacementPinned} })
		ch, unpin := r.store.set(pin.Cid, pin), r.store.set(gone, nil)
		r.store.edit(func() { r.store.down = true })
		pinned, unpinned := r.act(ch), r.act(unpin)
		seconds(600)
		r.expect("while it is down", "", "pin")
		if pinned() || unpinned() {
			t.Errorf("done: %t, %t", pinned(), unpinned())
		}
		r.store.edit(func() { r.store.down = false })
		seconds(60)
		if !pinned() || !unpinned() || r.store.row(pin.Cid).Status != state.PlacementPinned || len(r.store.all()) != 1 {
			t.Errorf("done: %t, %t, rows %v", pinned(), unpinned(), r.store.all())
		}
	})
}

// TestUnknownRow: while a write has no answer, the row that was known before counts
// no more. What is stored may say that nothing is left to do.
func TestUnknownRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		r.ipfs.edit(func() { r.ipfs.slow = 6500 * time.Millisecond })
		pin := r.own("a")
		first := r.act(r.store.set(pin.Cid, pin))
		seconds(6)
		r.expect("waits", "1", "pin")
		r.store.edit(func() { r.store.deaf = true })
		seconds(1)
		r.expect("was made", "2", "")
		second := r.act(r.store.set(pin.Cid, r.own("a")))
		synctest.Wait()
		if !first() || second() {
			t.Errorf("done: %t and %t", first(), second())
		}
		r.store.edit(func() { r.store.deaf = false })
		seconds(20)
		if row := r.store.row(pin.Cid); !second() || row.Status != state.PlacementPinned || row.Rev != r.store.rev(pin.Cid) {
			t.Errorf("done: %t, row %+v", second(), row)
		}
	})
}

// TestSizesHoldUpNothing: what waits for sizes leaves others to the database.
func TestSizesHoldUpNothing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) {
			o.Config.ConcurrentPins = 2 * noters
			o.Size = func(ctx context.Context, _ api.Cid) (int64, error) {
				<-ctx.Done()
				return 0, ctx.Err()
			}
		})
		for i := range 2 * noters {
			pin := r.own(fmt.Sprint(i))
			r.act(r.store.set(pin.Cid, pin))
		}
		seconds(1)
		other := r.own("other")
		r.store.left(other, state.PlacementPinned)
		done := r.act(r.store.set(other.Cid, nil))
		synctest.Wait()
		if !done() {
			t.Error("an unpin waits for the sizes of pins")
		}
	})
}
