package tracker

import (
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestEvidence: what may have been pinned for this peer is unpinned, however that is
// known.
func TestEvidence(t *testing.T) {
	for name, had := range map[string]func(*rig, api.Cid) (unpassed bool){
		"a row": func(r *rig, c api.Cid) bool {
			r.store.edit(func() { r.store.rows[c] = state.Placement{Cid: c, Status: state.PlacementPinned} })
			return false
		},
		"a change that was not passed": func(*rig, api.Cid) bool { return true },
		"IPFS was asked": func(r *rig, c api.Cid) bool {
			r.ipfs.edit(func() { r.ipfs.slow = time.Minute })
			r.act(r.store.set(c, r.own("a")))
			seconds(1)
			r.ipfs.edit(func() { r.ipfs.slow = time.Second })
			r.ipfs.requests()
			return false
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newIPFS())
				c := statetest.Cid("a")
				unpassed := had(r, c)
				r.ipfs.edit(func() { r.ipfs.pins[c] = -1 })
				ch := r.store.set(c, nil)
				ch.Unpassed = unpassed
				done := r.act(ch)
				seconds(1)
				r.expect("unpinned", "4 gone", "unpin")
				if !done() || r.ipfs.has(c) {
					t.Errorf("done: %t, still in IPFS: %t", done(), r.ipfs.has(c))
				}
			})
		})
	}
}

// TestDirectOverRecursive: a direct pin takes the place of a recursive one only if
// that was made for this peer.
func TestDirectOverRecursive(t *testing.T) {
	depth := func(d api.PinDepth) *api.PinDepth { return &d }
	for name, tt := range map[string]struct {
		row      *state.Placement
		replaces bool
		rows     string
		stays    bool // the recursive pin, when the direct one is unpinned
	}{
		"made by this peer":          {&state.Placement{Status: state.PlacementPinned, Depth: depth(-1)}, true, "1 2", false},
		"made by the user":           {nil, false, "1 3", true},
		"beside a direct one":        {&state.Placement{Status: state.PlacementPinned, Depth: depth(0)}, false, "3", true},
		"by a version without depth": {&state.Placement{Status: state.PlacementPinned}, false, "3", false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newIPFS())
				pin := r.own("a")
				pin.MaxDepth, pin.Mode = 0, api.PinModeDirect
				r.ipfs.edit(func() { r.ipfs.pins[pin.Cid] = -1 })
				if tt.row != nil {
					r.store.edit(func() { r.store.rows[pin.Cid] = *tt.row })
				}
				done := r.act(r.store.set(pin.Cid, pin))
				seconds(4)
				if got := r.store.statuses(); got != tt.rows {
					t.Errorf("rows %q, want %q", got, tt.rows)
				}
				if direct := r.ipfs.all()[pin.Cid] == 0; direct != tt.replaces || !done() {
					t.Errorf("direct: %t, done: %t", direct, done())
				}
				// The unpin leaves the user's pin alone.
				r.act(r.store.set(pin.Cid, nil))
				seconds(2)
				if r.ipfs.has(pin.Cid) != tt.stays {
					t.Errorf("in IPFS after the unpin: %t", r.ipfs.has(pin.Cid))
				}
				if len(r.store.all()) != 0 {
					t.Errorf("rows left: %v", r.store.all())
				}
			})
		})
	}
}

// TestChangeOfMode: a pin whose depth has changed is made anew, at once. Rows say so
// before IPFS is asked for the one and for the other.
func TestChangeOfMode(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.own("a")
		pin.MaxDepth, pin.Mode = 0, api.PinModeDirect
		first := r.act(r.store.set(pin.Cid, pin))
		time.Sleep(time.Second / 2)
		recursive := r.own("a")
		second := r.act(r.store.set(pin.Cid, recursive))
		seconds(1)
		if r.ipfs.all()[pin.Cid] != -1 || !first() || !second() {
			t.Errorf("IPFS has %v, done: %t and %t", r.ipfs.all(), first(), second())
		}
		r.expect("at the end", "1 1 2", "pin pin")
	})
}

// TestDirectWhileKuboIsDown: a recursive pin that a direct one is to replace stays that of
// this peer while IPFS does not answer.
func TestDirectWhileKuboIsDown(t *testing.T) {
	for name, unpinned := range map[string]bool{"and then made": false, "and then unpinned": true} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newIPFS())
				pin := r.own("a")
				r.act(r.store.set(pin.Cid, pin))
				seconds(2)
				r.ipfs.edit(func() { r.ipfs.fail, r.ipfs.down = 1, true })
				r.act(r.store.set(pin.Cid, r.direct("a")))
				seconds(2)
				if row := r.store.row(pin.Cid); row.Status != state.PlacementPinError || *row.Depth != -1 {
					t.Errorf("row %+v of depth %d", row, *row.Depth)
				}
				r.ipfs.edit(func() { r.ipfs.fail, r.ipfs.down = 0, false })
				if unpinned {
					r.act(r.store.set(pin.Cid, nil))
				}
				seconds(3700)
				depth, held := r.ipfs.all()[pin.Cid]
				if held == unpinned || depth != 0 || len(r.store.all()) != len(r.ipfs.all()) {
					t.Errorf("IPFS has %v, rows are %v", r.ipfs.all(), r.store.all())
				}
			})
		})
	}
}

// TestDirectThatWaits: a direct pin that IPFS was not asked for is no evidence of a
// recursive one.
func TestDirectThatWaits(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) { o.Config.ConcurrentPins = 1 })
		r.ipfs.edit(func() { r.ipfs.slow = time.Hour })
		other, pin := r.own("other"), r.direct("a")
		r.ipfs.edit(func() { r.ipfs.pins[pin.Cid] = -1 }) // by its user
		r.act(r.store.set(other.Cid, other))
		done := r.act(r.store.set(pin.Cid, pin))
		seconds(6)
		if !done() {
			t.Error("its change is not done")
		}
		r.act(r.store.set(pin.Cid, nil))
		seconds(1)
		r.expect("in all", "1 1 4 gone", "pin")
		if !r.ipfs.has(pin.Cid) {
			t.Error("the pin of the user is gone")
		}
	})
}

// TestRecursiveOverDirect: what was pinned recursively over a direct pin is unpinned,
// although nothing could be noted of that.
func TestRecursiveOverDirect(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.direct("a")
		r.act(r.store.set(pin.Cid, pin))
		seconds(2)
		r.act(r.store.set(pin.Cid, r.own("a")))
		time.Sleep(time.Second / 2)
		r.store.edit(func() { r.store.down = true })
		seconds(1)
		if r.ipfs.all()[pin.Cid] != -1 {
			t.Fatalf("IPFS has %v", r.ipfs.all())
		}
		r.store.edit(func() { r.store.down = false })
		done := r.act(r.store.set(pin.Cid, nil))
		seconds(10)
		if !done() || r.ipfs.has(pin.Cid) || len(r.store.all()) != 0 {
			t.Errorf("done: %t, IPFS has %v, rows %v", done(), r.ipfs.all(), r.store.all())
		}
	})
}

// TestDirectOverRecursiveOnItsWay: a recursive pin that IPFS makes although it was
// cancelled is that of this peer.
func TestDirectOverRecursiveOnItsWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		r.ipfs.edit(func() { r.ipfs.late = true })
		pin := r.own("a")
		r.act(r.store.set(pin.Cid, pin))
		time.Sleep(time.Second / 2)
		r.act(r.store.set(pin.Cid, r.direct("a")))
		seconds(10)
		row := r.store.row(pin.Cid)
		if depth, held := r.ipfs.all()[pin.Cid]; !held || depth != 0 || row.Status != state.PlacementPinned {
			t.Errorf("IPFS has %v, row %+v", r.ipfs.all(), row)
		}
	})
}

// TestDepthAfterErrors: an unpin that is tried again after IPFS and the database have
// failed still leaves alone what is not of this peer.
func TestDepthAfterErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.direct("a")
		r.act(r.store.set(pin.Cid, pin))
		seconds(2)
		r.ipfs.edit(func() { r.ipfs.fail = 1 })
		r.act(r.store.set(pin.Cid, nil))
		time.Sleep(time.Second / 2)
		r.store.edit(func() { r.store.down = true })
		seconds(2)
		r.store.edit(func() { r.store.down = false })
		r.ipfs.edit(func() { r.ipfs.pins[pin.Cid] = -1 }) // by its user
		seconds(60)
		if !r.ipfs.has(pin.Cid) || len(r.store.all()) != 0 {
			t.Errorf("IPFS has %v, rows %v", r.ipfs.all(), r.store.all())
		}
	})
}

// TestDirectWhileRowIsUnknown: while a write has no answer IPFS is not asked to replace
// what may be that of its user.
func TestDirectWhileRowIsUnknown(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) { o.Config.ConcurrentPins = 1 })
		pin, other := r.own("a"), r.own("other")
		r.act(r.store.set(pin.Cid, pin))
		seconds(2)
		r.ipfs.edit(func() { r.ipfs.slow = time.Hour })
		r.act(r.store.set(other.Cid, other))
		seconds(1)
		r.ipfs.edit(func() { r.ipfs.slow, r.ipfs.fail = time.Second/2, 1 })
		r.act(r.store.set(pin.Cid, nil))
		time.Sleep(time.Second / 4)
		direct, gone := r.store.set(pin.Cid, r.direct("a")), r.store.set(other.Cid, nil)
		r.store.edit(func() { r.store.slow, r.store.down = time.Second, true })
		r.act(direct) // waits for the worker
		seconds(2)
		r.ipfs.edit(func() { r.ipfs.slow = time.Second })
		r.act(gone) // and has it
		seconds(5)
		r.store.edit(func() { r.store.slow, r.store.down = 0, false })
		seconds(60)
		row := r.store.row(pin.Cid)
		if depth, held := r.ipfs.all()[pin.Cid]; !held || depth != 0 || row.Status != state.PlacementPinned {
			t.Errorf("IPFS has %v, row %+v", r.ipfs.all(), row)
		}
		if rows := r.store.statuses(); strings.Contains(rows, "3") {
			t.Errorf("rows %q were written: somebody else's pin was in the way", rows)
		}
	})
}
