package tracker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// rests checks that nothing is worked on, waited for or queued.
func (r *rig) rests(when string) {
	r.t.Helper()
	if n := r.inMemory(); n != 0 || r.waiters.waits != 0 {
		r.t.Errorf("%s: %d are remembered, %d wait", when, n, r.waiters.waits)
	}
	for l := range lanes {
		if n := r.queued[l].Load(); n != 0 {
			r.t.Errorf("%s: %d are in lane %d", when, n, l)
		}
	}
}

// TestOvertakenLook: a pin that comes while an older state of it is on its way counts,
// whatever is begun for the older one.
func TestOvertakenLook(t *testing.T) {
	for name, left := range map[string]bool{"without a row": false, "with a row": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newIPFS())
				pin := r.own("a")
				r.store.set(pin.Cid, pin)
				if left {
					r.store.left(pin, state.PlacementPinned)
				}
				r.store.set(pin.Cid, nil)
				r.store.edit(func() { r.store.late = time.Second })
				if err := r.Untrack(t.Context(), pin.Cid); err != nil {
					t.Fatal(err)
				}
				time.Sleep(time.Second / 2)
				done := r.act(r.store.set(pin.Cid, pin))
				seconds(20)
				row := r.store.row(pin.Cid)
				if !done() || !r.ipfs.has(pin.Cid) || row.Status != state.PlacementPinned || row.Rev != r.store.rev(pin.Cid) {
					t.Errorf("done: %t, in IPFS: %t, row %+v", done(), r.ipfs.has(pin.Cid), row)
				}
				r.rests("at the end")
			})
		})
	}
}

// TestUnpinTwice: a change that comes while the row of an older one is dropped, or could
// not be, ends when it is.
func TestUnpinTwice(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.own("a")
		r.store.left(pin, state.PlacementPinned)
		r.act(r.store.set(pin.Cid, nil))
		time.Sleep(time.Second / 2)
		r.store.edit(func() { r.store.down = true })
		seconds(2)
		r.store.edit(func() { r.store.down = false })
		second := r.act(r.store.set(pin.Cid, nil))
		seconds(60)
		if !second() || len(r.store.all()) != 0 {
			t.Errorf("done: %t, rows %v", second(), r.store.all())
		}
		r.rests("at the end")
	})
}

// TestLateRow: a row whose write has failed may yet be made. When the pin has gone
// before, no other row follows that counts more, so it is removed.
func TestLateRow(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.direct("a")
		r.store.edit(func() { r.store.down = true })
		r.act(r.store.set(pin.Cid, pin))
		time.Sleep(time.Second / 2)
		r.store.edit(func() { r.store.down = false })
		gone := r.act(r.store.set(pin.Cid, nil))
		seconds(1)
		if rows := r.store.statuses(); rows != "gone" || !gone() {
			t.Errorf("what is written: %q, done: %t", rows, gone())
		}
		r.rests("at the end")
	})
}

// TestPinWhileUnpinned: others, who pass over what is leaving, see at once that it is to
// be pinned again.
func TestPinWhileUnpinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.own("a")
		r.store.left(pin, state.PlacementPinned)
		r.ipfs.edit(func() { r.ipfs.slow = time.Hour })
		r.act(r.store.set(pin.Cid, nil))
		seconds(1)
		r.expect("unpinned", "4", "unpin")
		r.store.edit(func() { r.store.slow = time.Second / 2 })
		done := r.act(r.store.set(pin.Cid, pin))
		synctest.Wait()
		if done() {
			t.Error("the change is done before they see it")
		}
		seconds(1)
		row := r.store.row(pin.Cid)
		if !done() || row.Status != state.PlacementQueued || row.Rev != r.store.rev(pin.Cid) {
			t.Errorf("done: %t, row %+v", done(), row)
		}
	})
}

// TestTrack: a call that is no change is a look, and stands in the way of none.
func TestTrack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.own("a")
		r.store.set(pin.Cid, pin)
		if err := r.Track(t.Context(), api.PinCid(pin.Cid)); err != nil {
			t.Fatal(err)
		}
		done := r.act(r.store.set(pin.Cid, r.own("a")))
		for range 10 {
			time.Sleep(time.Second / 4)
			if err := r.Track(t.Context(), *pin); err != nil {
				t.Fatal(err)
			}
		}
		seconds(5)
		if row := r.store.row(pin.Cid); !done() || !r.ipfs.has(pin.Cid) || row.Rev != r.store.rev(pin.Cid) {
			t.Errorf("done: %t, in IPFS: %t, row %+v", done(), r.ipfs.has(pin.Cid), row)
		}
		r.store.set(pin.Cid, nil)
		if err := r.Untrack(t.Context(), pin.Cid); err != nil {
			t.Fatal(err)
		}
		seconds(5)
		if r.ipfs.has(pin.Cid) || len(r.store.all()) != 0 {
			t.Errorf("IPFS has %v, rows %v", r.ipfs.all(), r.store.all())
		}
		r.rests("at the end")
	})
}

// TestOfferWhileBusy: of what waits the newest counts, with the change that came last.
func TestOfferWhileBusy(t *testing.T) {
	rev := func(n byte) state.Revision { return state.Revision{3: n, 6: 0x10} }
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		o := &op{cid: r.own("a").Cid, busy: true}
		ended := ""
		as := func(name string) func(error) { return func(error) { ended += name } }
		for _, w := range []wanted{{rev: rev(1), done: as("first")}, {rev: rev(3)}, {rev: rev(2), done: as("last")}, {rev: rev(4)}} {
			r.offer(o, w, new(effects))
		}
		if o.next.rev != rev(4) || o.next.done == nil {
			t.Fatalf("%+v waits", o.next)
		}
		if o.next.done(nil); ended != "last" {
			t.Errorf("%q ends with it", ended)
		}
	})
}

// TestUnpinThatEndsLate: what IPFS unpins in spite of all is pinned again soon.
func TestUnpinThatEndsLate(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.own("a")
		r.act(r.store.set(pin.Cid, pin))
		seconds(2)
		r.ipfs.edit(func() { r.ipfs.slow, r.ipfs.mute = 10*time.Minute, true })
		r.act(r.store.set(pin.Cid, nil))
		synctest.Wait()
		r.ipfs.edit(func() { r.ipfs.slow, r.ipfs.mute = time.Second, false })
		r.act(r.store.set(pin.Cid, pin))
		seconds(10*60 + 1)
		if r.ipfs.has(pin.Cid) {
			t.Fatal("it was not unpinned")
		}
		seconds(12 * 60)
		if row := r.store.row(pin.Cid); !r.ipfs.has(pin.Cid) || row.Status != state.PlacementPinned {
			t.Errorf("IPFS has %v, row %+v", r.ipfs.all(), row)
		}
		questions := r.ipfs.questions
		seconds(24 * 3600)
		if n := r.ipfs.questions - questions; n > 10 {
			t.Errorf("it is asked for again and again: %d times", n)
		}
		r.rests("at the end")
	})
}
