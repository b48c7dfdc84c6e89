package tracker

import (
	"fmt"
	"runtime"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// left is what a process has left of a pin.
func (s *store) left(pin *api.Pin, status state.PlacementStatus) {
	s.set(pin.Cid, pin)
	s.noted(pin.Cid, status)
}

// noted writes a row of the pin as it is.
func (s *store) noted(c api.Cid, status state.PlacementStatus) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.rows[c] = state.Placement{Cid: c, Status: status, Rev: s.revs[c], Size: 1, Updated: time.Now()}
}

// TestRestart: the next process ends what the one before has left, by pin and row as
// they are then, also where no change tells of it.
func TestRestart(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) { o.Missed, o.Live = true, func(peer.ID) bool { return true } })
		st := r.store
		queued, failed, fine, everywhere := r.own("queued"), r.own("failed"), r.own("fine"), r.pin("everywhere")
		st.left(queued, state.PlacementQueued)
		st.left(failed, state.PlacementPinError)
		st.left(fine, state.PlacementPinned)
		r.ipfs.edit(func() { r.ipfs.pins[fine.Cid] = -1 })
		everywhere.ReplicationFactorMin, everywhere.ReplicationFactorMax = -1, -1
		st.set(everywhere.Cid, everywhere)
		var gone []api.Cid
		for i, status := range []state.PlacementStatus{state.PlacementQueued, state.PlacementPinned, state.PlacementPinError, state.PlacementUnpinning, state.PlacementUnpinError} {
			pin := r.own(fmt.Sprint("gone", i))
			st.left(pin, status)
			st.set(pin.Cid, nil)
			r.ipfs.edit(func() { r.ipfs.pins[pin.Cid] = -1 })
			gone = append(gone, pin.Cid)
		}
		moved := r.own("moved")
		st.left(moved, state.PlacementPinned)
		r.ipfs.edit(func() { r.ipfs.pins[moved.Cid] = -1 })
		ch := st.set(moved.Cid, r.pin("moved", statetest.Peer("other")))
		st.hold(statetest.Peer("other"), moved.Cid, state.PlacementPinned, ch.Rev)
		again := r.own("again")
		st.left(again, state.PlacementUnpinning)

		r.run()
		seconds(20)
		for _, pin := range []*api.Pin{queued, failed, fine, everywhere, again} {
			if row := st.rows[pin.Cid]; !r.ipfs.has(pin.Cid) || row.Status != state.PlacementPinned || row.Rev != st.revs[pin.Cid] {
				t.Errorf("%s: in IPFS: %t, row %+v", pin.Cid, r.ipfs.has(pin.Cid), row)
			}
		}
		for _, c := range append(gone, moved.Cid) {
			if row, there := st.rows[c]; there || r.ipfs.has(c) {
				t.Errorf("%s is held: %t, row %+v", c, r.ipfs.has(c), row)
			}
		}
		if !r.scanned.Load() || r.inMemory() != 0 {
			t.Errorf("scanned: %t, %d remembered", r.scanned.Load(), r.inMemory())
		}
	})
}

// TestStartReadsFewPins: of what is at its end a start reads no pin, as the feed tells
// what has changed. What is at no end, and what every peer is to hold, it takes up.
func TestStartReadsFewPins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		st, everywhere := r.store, func(label string) *api.Pin {
			pin := r.pin(label)
			pin.ReplicationFactorMin, pin.ReplicationFactorMax = -1, -1
			return pin
		}
		const many = 2000
		for i := range many {
			pin := r.own(fmt.Sprint("fine", i))
			if i%2 == 0 {
				pin = everywhere(fmt.Sprint("fine", i))
			}
			st.left(pin, state.PlacementPinned)
			r.ipfs.edit(func() { r.ipfs.pins[pin.Cid] = -1 })
		}
		queued, unheld, gone := r.own("queued"), everywhere("unheld"), r.own("gone")
		st.left(queued, state.PlacementQueued)
		st.set(unheld.Cid, unheld)
		st.left(gone, state.PlacementUnpinning)
		st.set(gone.Cid, nil)
		r.ipfs.edit(func() { r.ipfs.pins[gone.Cid] = -1 })
		r.run()
		seconds(20)
		for _, pin := range []*api.Pin{queued, unheld} {
			if !r.ipfs.has(pin.Cid) || st.row(pin.Cid).Status != state.PlacementPinned {
				t.Errorf("%s: in IPFS: %t, row %+v", pin.Cid, r.ipfs.has(pin.Cid), st.row(pin.Cid))
			}
		}
		if r.ipfs.has(gone.Cid) || !r.scanned.Load() {
			t.Errorf("what is to go is in IPFS: %t, scanned: %t", r.ipfs.has(gone.Cid), r.scanned.Load())
		}
		if st.read != 3 {
			t.Errorf("%d pins were read of %d, want 3", st.read, many+3)
		}
	})
}

// TestScanGoesOn: a bucket that cannot be read does not keep the scan from the others,
// and is read when it can be. What was done is not done again.
func TestScanGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		const many = 600
		for i := range many {
			r.store.left(r.own(fmt.Sprint(i)), state.PlacementQueued)
		}
		bad := r.own("bad")
		r.store.left(bad, state.PlacementQueued)
		r.store.edit(func() { r.store.badAt = state.Bucket(bad.Cid) })
		r.run()
		seconds(300)
		pinned := len(r.ipfs.all())
		if pinned < many-5 || pinned > many { // some are in the bad bucket, too
			t.Errorf("%d of %d were pinned", pinned, many)
		}
		r.store.edit(func() { r.store.badAt = 0 })
		seconds(120)
		if !r.ipfs.has(bad.Cid) || !r.scanned.Load() {
			t.Errorf("pinned: %t, scanned: %t", r.ipfs.has(bad.Cid), r.scanned.Load())
		}
		if n := len(r.ipfs.asked); n != many+1 {
			t.Errorf("IPFS was asked %d times for %d pins", n, many+1)
		}
	})
}

// TestScanWhileDatabaseIsDown: a scan waits for the database.
func TestScanWhileDatabaseIsDown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.own("a")
		r.store.left(pin, state.PlacementQueued)
		r.store.edit(func() { r.store.down = true })
		r.run()
		seconds(3600)
		r.store.edit(func() { r.store.down = false })
		seconds(120)
		if !r.ipfs.has(pin.Cid) || !r.scanned.Load() {
			t.Errorf("pinned: %t, scanned: %t", r.ipfs.has(pin.Cid), r.scanned.Load())
		}
	})
}

// TestScanOfMoreThanTheQueueTakes: a scan waits for room in the queue.
func TestScanOfMoreThanTheQueueTakes(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) { o.Config.MaxPinQueueSize = 20 })
		for i := range 1000 {
			r.store.left(r.own(fmt.Sprint(i)), state.PlacementQueued)
		}
		r.store.edit(func() { r.store.late = 1500 * time.Millisecond }) // the pin is read, and then the row
		r.run()
		for range 20 {
			seconds(1)
			if n := r.counts[looking].Load() + r.counts[pinQueued].Load(); n > 20 {
				t.Errorf("%d are queued, or about to be", n)
			}
		}
		r.store.edit(func() { r.store.late = 0 })
		seconds(1000)
		if n := len(r.ipfs.all()); n != 1000 {
			t.Errorf("%d were pinned", n)
		}
	})
}

// TestScanHasFewGoroutines: what a scan takes up does not wait for the database in a
// goroutine each.
func TestScanHasFewGoroutines(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		const many = 5000
		r := newRig(t, newStore(), newIPFS(), func(o *Options) { o.Config.MaxPinQueueSize = 2 * many })
		r.ipfs.edit(func() { r.ipfs.slow = time.Hour })
		for i := range many {
			r.store.left(r.own(fmt.Sprint(i)), state.PlacementQueued)
		}
		r.store.edit(func() { r.store.late = time.Second }) // 128 rows a second
		before := runtime.NumGoroutine()
		r.run()
		for range 60 {
			seconds(1)
			if n := runtime.NumGoroutine() - before; n > maxNoting+10 {
				t.Fatalf("%d goroutines", n)
			}
		}
		seconds(60)
		if n := r.inMemory(); n != many || !r.scanned.Load() {
			t.Errorf("%d are taken up, scanned: %t", n, r.scanned.Load())
		}
	})
}

// TestScanOfCorruptPin: a pin that cannot be decoded is left alone.
func TestScanOfCorruptPin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin, fine := r.own("a"), r.own("fine")
		r.store.left(pin, state.PlacementPinned)
		r.store.left(fine, state.PlacementQueued)
		r.ipfs.edit(func() { r.ipfs.pins[pin.Cid] = -1 })
		r.store.edit(func() { r.store.broken = pin.Cid })
		r.run()
		seconds(10)
		if !r.ipfs.has(pin.Cid) || !r.ipfs.has(fine.Cid) {
			t.Errorf("IPFS has %v", r.ipfs.all())
		}
	})
}

// TestOverflow: of what fails only so much is remembered, and the rest is found by
// scans.
func TestOverflow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		r.run()
		synctest.Wait()
		r.counts[pinFailed].Add(maxFailed) // as if others had
		pin := r.own("a")
		r.ipfs.edit(func() { r.ipfs.fail = 1 })
		r.act(r.store.set(pin.Cid, pin))
		seconds(60)
		if n := r.inMemory(); n != 0 || r.left.Load() == 0 {
			t.Errorf("%d are remembered, a scan is due: %t", n, r.left.Load() > 0)
		}
		r.counts[pinFailed].Add(-maxFailed)
		time.Sleep(time.Hour)
		seconds(10)
		if !r.ipfs.has(pin.Cid) {
			t.Error("it was not tried again")
		}
	})
}

// TestRollingCheck: what IPFS has lost, and what nobody has told of, is found within
// the time for a check of everything.
func TestRollingCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) { o.CheckEvery = 24 * time.Hour })
		r.run()
		seconds(1)
		lost, gone, fine := r.own("lost"), r.own("gone"), r.own("fine")
		for _, pin := range []*api.Pin{lost, gone, fine} {
			r.store.left(pin, state.PlacementPinned)
		}
		r.store.set(gone.Cid, nil)
		r.ipfs.edit(func() { r.ipfs.pins[gone.Cid], r.ipfs.pins[fine.Cid] = -1, -1 })
		time.Sleep(24*time.Hour + time.Minute)
		seconds(10)
		if !r.ipfs.has(lost.Cid) || r.ipfs.has(gone.Cid) || !r.ipfs.has(fine.Cid) {
			t.Errorf("IPFS has %v", r.ipfs.all())
		}
		if n := len(strings.Fields(r.ipfs.requests())); n != 2 {
			t.Errorf("IPFS was asked %d times", n)
		}
	})
}

// TestCheckOfOneBucket reads that bucket, and nothing of the others.
func TestCheckOfOneBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) { o.CheckEvery = 24 * time.Hour })
		_ = r.check(t.Context(), 7)
		if r.store.lists != 0 || r.store.buckets != 1 {
			t.Errorf("%d lists of all, %d buckets were read", r.store.lists, r.store.buckets)
		}
	})
}

// TestScanOfNewPin: a pin that no change tells of is noted before IPFS is asked: after a
// stop nothing else is known of it.
func TestScanOfNewPin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		st, daemon := newStore(), newIPFS()
		r := newRig(t, st, daemon)
		pin := r.pin("a")
		pin.ReplicationFactorMin, pin.ReplicationFactorMax = -1, -1
		st.set(pin.Cid, pin)
		r.run()
		time.Sleep(time.Second / 2)
		st.edit(func() { st.down = true })
		seconds(1)
		r.stop() // killed before it is noted that it is pinned
		if !daemon.has(pin.Cid) {
			t.Fatal("it is not pinned")
		}
		st.edit(func() { st.down = false })
		next := newRig(t, st, daemon)
		next.act(st.set(pin.Cid, nil))
		next.run()
		seconds(10)
		if daemon.has(pin.Cid) || len(st.all()) != 0 {
			t.Errorf("IPFS has %v, rows %v", daemon.all(), st.all())
		}
	})
}
