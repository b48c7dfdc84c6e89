package tracker

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	logging "github.com/ipfs/go-log/v2"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// hold is what another peer has in its row, "" for no row.
func (s *store) hold(p peer.ID, c api.Cid, status state.PlacementStatus, rev state.Revision) {
	s.edit(func() {
		if s.others == nil {
			s.others = make(map[peer.ID]map[api.Cid]state.Placement)
		}
		s.others[p] = map[api.Cid]state.Placement{c: {Cid: c, Status: status, Rev: rev}}
	})
}

// TestLastCopy: content that was given to others stays until enough of them have it.
func TestLastCopy(t *testing.T) {
	a, b := statetest.Peer("a"), statetest.Peer("b")
	for name, c := range map[string]struct {
		needed int
		given  []peer.ID
		hold   func(s *store, c api.Cid, rev, before state.Revision)
		dead   []peer.ID
		goes   bool
	}{
		"nobody has it":  {1, []peer.ID{a}, func(*store, api.Cid, state.Revision, state.Revision) {}, nil, false},
		"one has it":     {1, []peer.ID{a}, func(s *store, c api.Cid, rev, _ state.Revision) { s.hold(a, c, state.PlacementPinned, rev) }, nil, true},
		"one is at it":   {1, []peer.ID{a}, func(s *store, c api.Cid, rev, _ state.Revision) { s.hold(a, c, state.PlacementQueued, rev) }, nil, false},
		"one failed":     {1, []peer.ID{a}, func(s *store, c api.Cid, rev, _ state.Revision) { s.hold(a, c, state.PlacementPinError, rev) }, nil, false},
		"one lets go":    {1, []peer.ID{a}, func(s *store, c api.Cid, rev, _ state.Revision) { s.hold(a, c, state.PlacementUnpinning, rev) }, nil, false},
		"one had it":     {1, []peer.ID{a}, func(s *store, c api.Cid, _, old state.Revision) { s.hold(a, c, state.PlacementPinned, old) }, nil, false},
		"one is dead":    {1, []peer.ID{a}, func(s *store, c api.Cid, rev, _ state.Revision) { s.hold(a, c, state.PlacementPinned, rev) }, []peer.ID{a}, false},
		"one of another": {1, []peer.ID{a}, func(s *store, c api.Cid, rev, _ state.Revision) { s.hold(b, c, state.PlacementPinned, rev) }, nil, false},
		"one of two":     {2, []peer.ID{a, b}, func(s *store, c api.Cid, rev, _ state.Revision) { s.hold(a, c, state.PlacementPinned, rev) }, nil, false},
		"one is enough":  {1, []peer.ID{a, b}, func(s *store, c api.Cid, rev, _ state.Revision) { s.hold(b, c, state.PlacementPinned, rev) }, nil, true},
		"both": {2, []peer.ID{a, b}, func(s *store, c api.Cid, rev, _ state.Revision) {
			s.hold(a, c, state.PlacementPinned, rev)
			s.hold(b, c, state.PlacementPinned, rev)
		}, nil, true},
		"a factor of 0": {0, []peer.ID{a}, func(*store, api.Cid, state.Revision, state.Revision) {}, nil, false},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, pin := newKeeper(t, c.dead...)
				before := r.store.rev(pin.Cid)
				given := r.pin("x", c.given...)
				given.ReplicationFactorMin = c.needed
				ch := r.store.set(pin.Cid, given)
				c.hold(r.store, pin.Cid, ch.Rev, before)
				done := r.act(ch)
				seconds(20)
				if !done() {
					t.Error("the change is not done")
				}
				if r.ipfs.has(pin.Cid) == c.goes {
					t.Errorf("still in IPFS: %t", r.ipfs.has(pin.Cid))
				}
				row := r.store.row(pin.Cid)
				if !c.goes && (row.Status != state.PlacementUnpinning || row.Rev != ch.Rev || row.Error != "") {
					t.Errorf("the row is %+v", row)
				}
				if n := r.inMemory(); !c.goes && n != 1 || c.goes && n != 0 {
					t.Errorf("%d are remembered", n)
				}
			})
		})
	}
}

// newKeeper is a rig that has pinned x, in which all but some peers are alive.
func newKeeper(t *testing.T, dead ...peer.ID) (*rig, *api.Pin) {
	t.Helper()
	r := newRig(t, newStore(), newIPFS(), func(o *Options) {
		o.Live = func(p peer.ID) bool { return len(dead) == 0 || p != dead[0] }
	})
	pin := r.own("x")
	r.act(r.store.set(pin.Cid, pin))
	seconds(2)
	if !r.ipfs.has(pin.Cid) {
		t.Fatal("it is not pinned")
	}
	r.expect("pinned", "2", "pin")
	return r, pin
}

// TestLastCopyGoesLater: it is counted again, after growing pauses and at a start. It is no
// failure.
func TestLastCopyGoesLater(t *testing.T) {
	other := statetest.Peer("a")
	for name, again := range map[string]func(r *rig) *rig{
		"in time": func(r *rig) *rig {
			reads := func() (n int) {
				r.store.edit(func() { n = r.store.reads })
				return n
			}
			before := reads()
			time.Sleep(24 * time.Hour)
			if n := reads() - before; n < 100 || n > 2*24*6+40 {
				r.t.Errorf("%d reads in a day", n)
			}
			return r
		},
		"at a start": func(r *rig) *rig {
			r.stop()
			next := newRig(r.t, r.store, r.ipfs, func(o *Options) { o.Live = func(peer.ID) bool { return true } })
			next.run()
			return next
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, pin := newKeeper(t)
				ch := r.store.set(pin.Cid, r.pin("x", other))
				r.act(ch)
				seconds(5)
				if info := r.Status(t.Context(), pin.Cid); info.Status != api.TrackerStatusRemote || info.Error != "it stays until other peers have it: 0 do, 1 must" {
					t.Errorf("the status is %s, %q", info.Status, info.Error)
				}
				r = again(r)
				seconds(5)
				if !r.ipfs.has(pin.Cid) {
					t.Fatal("it was unpinned")
				}
				r.store.hold(other, pin.Cid, state.PlacementPinned, ch.Rev)
				seconds(11 * 60)
				if r.ipfs.has(pin.Cid) {
					t.Error("it stays")
				}
				if row, ok := r.store.all()[pin.Cid]; ok {
					t.Errorf("there is a row %+v", row)
				}
			})
		})
	}
}

// TestLastCopyIsWantedAgain, or not by anybody.
func TestLastCopyIsWantedAgain(t *testing.T) {
	other := statetest.Peer("a")
	synctest.Test(t, func(t *testing.T) {
		r, pin := newKeeper(t)
		r.act(r.store.set(pin.Cid, r.pin("x", other)))
		seconds(5)
		r.act(r.store.set(pin.Cid, pin))
		seconds(5)
		if row := r.store.row(pin.Cid); row.Status != state.PlacementPinned || row.Rev != r.store.rev(pin.Cid) {
			t.Errorf("the row is %+v", row)
		}
		// The others' new pin has nobody of the old one: the rule is by the last.
		r.act(r.store.set(pin.Cid, r.pin("x", other)))
		seconds(5)
		if !r.ipfs.has(pin.Cid) {
			t.Error("it was unpinned before the other had it")
		}
		r.act(r.store.set(pin.Cid, nil))
		seconds(2)
		if r.ipfs.has(pin.Cid) {
			t.Error("what is gone from the pinset stays")
		}
	})
}

// TestWhatIsKeptIsSaid: also what is left to a scan, as too much has failed to be
// remembered.
func TestWhatIsKeptIsSaid(t *testing.T) {
	other := statetest.Peer("a")
	for name, failed := range map[string]int64{"in memory": 0, "left": maxFailed} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				lines := logtest.Lines(t, "tracker", logging.LevelWarn)
				r, pin := newKeeper(t)
				r.counts[pinFailed].Add(failed)
				r.run()
				seconds(2)
				r.act(r.store.set(pin.Cid, r.pin("x", other)))
				for range 3 {
					before := lines("1 pins that were given to other peers stay")
					time.Sleep(r.opts.Every)
					synctest.Wait()
					if n := lines("1 pins that were given to other peers stay"); n != before+1 {
						t.Errorf("%d lines say that it stays, want %d", n, before+1)
					}
				}
			})
		})
	}
}

// TestUnpinThatWaitsIsDecidedAgain: while it waits behind another one the pin changes, of
// which nobody tells this peer: it was removed, and is given to one that does not have it
// yet, or it was given to one, and then to another.
func TestUnpinThatWaitsIsDecidedAgain(t *testing.T) {
	first, second := statetest.Peer("a"), statetest.Peer("b")
	for name, c := range map[string]struct {
		to    peer.ID // it is removed without one
		again bool
		fails bool // reads, until the other one is unpinned
		stays bool
	}{
		"removed":                       {},
		"removed, while reads fail":     {fails: true},
		"removed and given to another":  {again: true, stays: true},
		"given to one, then to another": {to: first, again: true, stays: true},
		"given to one":                  {to: first},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, pin := newKeeper(t)
				before := r.own("y")
				r.act(r.store.set(before.Cid, before))
				seconds(3)
				r.ipfs.edit(func() { r.ipfs.gcEnds = time.Now().Add(time.Minute) })
				r.act(r.store.set(before.Cid, nil))
				seconds(1)
				if c.to == "" {
					r.act(r.store.set(pin.Cid, nil))
				} else {
					r.give(c.to)
				}
				seconds(1)
				if c.again {
					r.store.set(pin.Cid, r.pin("x", second))
				}
				r.store.edit(func() { r.store.down = c.fails })
				seconds(90)
				if c.fails && !r.ipfs.has(pin.Cid) {
					t.Error("it was unpinned unseen")
				}
				r.store.edit(func() { r.store.down = false })
				seconds(120)
				if r.ipfs.has(before.Cid) || r.ipfs.has(pin.Cid) != c.stays {
					t.Errorf("IPFS has the one before: %t, it: %t, want %t", r.ipfs.has(before.Cid), r.ipfs.has(pin.Cid), c.stays)
				}
			})
		})
	}
}

// TestNothingIsKept: what this peer could not pin, or has lost, is no content to keep, and
// its row goes. While IPFS does not answer, or may yet pin it, that is not known.
func TestNothingIsKept(t *testing.T) {
	other := statetest.Peer("a")
	for name, c := range map[string]struct {
		before func(r *rig, c api.Cid)
		stays  bool
	}{
		"it is pinned":         {func(r *rig, c api.Cid) { r.ipfs.edit(func() { r.ipfs.pins[c] = -1 }) }, true},
		"it is not":            {func(*rig, api.Cid) {}, false},
		"IPFS does not answer": {func(r *rig, _ api.Cid) { r.ipfs.edit(func() { r.ipfs.down = true }) }, true},
	} {
		for _, status := range []state.PlacementStatus{state.PlacementQueued, state.PlacementPinned, state.PlacementPinError} {
			t.Run(name, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, newStore(), newIPFS())
					pin := r.own("x")
					r.store.left(pin, status)
					c.before(r, pin.Cid)
					done := r.act(r.store.set(pin.Cid, r.pin("x", other)))
					seconds(10)
					if _, there := r.store.all()[pin.Cid]; there != c.stays || !done() {
						t.Errorf("there is a row: %t, done: %t", there, done())
					}
				})
			})
		}
	}
}

// TestNothingIsKeptOfALateUnpin: what IPFS unpins for an earlier process is no content to
// keep either, though it was when it was counted first.
func TestNothingIsKeptOfALateUnpin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		other := statetest.Peer("a")
		r, pin := newKeeper(t)
		r.ipfs.edit(func() { r.ipfs.late, r.ipfs.gcEnds = true, time.Now().Add(10*time.Minute) })
		r.give(other)
		r = r.killed()
		r.store.hold(other, pin.Cid, state.PlacementQueued, r.store.rev(pin.Cid))
		r.run()
		seconds(9 * 60)
		if _, there := r.store.all()[pin.Cid]; !there || !r.ipfs.has(pin.Cid) {
			t.Fatalf("before IPFS unpins it there is a row: %t, IPFS has it: %t", there, r.ipfs.has(pin.Cid))
		}
		seconds(12 * 60)
		if _, there := r.store.all()[pin.Cid]; there || r.ipfs.has(pin.Cid) {
			t.Errorf("there is a row: %t, IPFS has it: %t", there, r.ipfs.has(pin.Cid))
		}
	})
}

// TestFailedUnpinIsCountedAgain: who had it when the unpin was decided on may be gone when
// IPFS does it.
func TestFailedUnpinIsCountedAgain(t *testing.T) {
	first, second := statetest.Peer("a"), statetest.Peer("b")
	for name, told := range map[string]bool{"told of the change": true, "not told": false} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r, pin := newKeeper(t)
				r.ipfs.edit(func() { r.ipfs.fail = 3 })
				ch := r.store.set(pin.Cid, r.pin("x", first))
				r.store.hold(first, pin.Cid, state.PlacementPinned, ch.Rev)
				r.act(ch)
				seconds(2)
				ch = r.store.set(pin.Cid, r.pin("x", second)) // the first is gone
				if told {
					r.act(ch)
				}
				seconds(60)
				if !r.ipfs.has(pin.Cid) {
					t.Fatal("it was unpinned, and nobody else has it")
				}
				r.store.hold(second, pin.Cid, state.PlacementPinned, ch.Rev)
				seconds(11 * 60)
				if _, there := r.store.all()[pin.Cid]; there || r.ipfs.has(pin.Cid) {
					t.Errorf("there is a row: %t, IPFS has it: %t", there, r.ipfs.has(pin.Cid))
				}
			})
		})
	}
}

// TestWithoutAViewNobodyIsAlive.
func TestWithoutAViewNobodyIsAlive(t *testing.T) {
	other := statetest.Peer("a")
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.own("x")
		r.act(r.store.set(pin.Cid, pin))
		seconds(2)
		ch := r.store.set(pin.Cid, r.pin("x", other))
		r.store.hold(other, pin.Cid, state.PlacementPinned, ch.Rev)
		r.act(ch)
		seconds(20)
		if !r.ipfs.has(pin.Cid) {
			t.Error("it was unpinned")
		}
	})
}
