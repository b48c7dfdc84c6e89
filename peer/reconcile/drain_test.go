package reconcile

import (
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func (w *world) leave(p peer.ID) {
	w.member(p, func(m *membership.Peer) { m.Leaving = true })
}

func (w *world) hasFinished(p peer.ID) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	return slices.Contains(w.finished, p)
}

func TestLeavingPeerHandsOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		w.idle = true
		alone := w.add(1, 1, 1, alice)
		pair := w.add(2, 2, 2, alice, bob)
		spare := w.add(3, 1, 2, alice, bob)
		notPinned := w.add(4, 1, 2, alice, bob)
		w.store.hold(bob, notPinned, state.PlacementQueued)
		everywhere := w.add(5, -1, -1)
		w.store.hold(alice, everywhere, state.PlacementPinned)
		others := w.add(6, 1, 1, bob)
		w.store.hold(alice, others, state.PlacementPinned)
		again := w.add(7, 1, 1, alice) // pinned again before the unpin had ended
		w.store.hold(alice, again, state.PlacementUnpinning)
		goes := w.add(8, 1, 1, bob)
		w.store.hold(alice, goes, state.PlacementUnpinning)
		strange := w.addUnheld(9, 1, 1, alice)
		w.store.hold(alice, strange, unknownStatus)
		before := *w.store.pin(pair)
		defer w.run(alice, bob, carol)()
		pass(5 * time.Minute)
		w.wantHolders(alone, alice)
		w.leave(alice)
		pass(30 * time.Second)
		w.wantHolders(alone, alice, bob)
		w.wantHolders(pair, alice, bob, carol)
		w.wantHolders(spare, bob)
		w.wantHolders(notPinned, alice, bob)
		w.wantHolders(others, bob)
		w.wantHolders(again, alice, bob)
		w.wantHolders(goes, bob)
		w.wantHolders(strange, alice, bob)
		w.store.hold(bob, strange, unknownStatus)
		w.store.hold(bob, alone, state.PlacementQueued)
		w.store.hold(carol, pair, state.PlacementQueued)
		w.store.hold(bob, again, state.PlacementQueued)
		pass(10 * time.Minute)
		w.wantHolders(alone, alice, bob)
		w.wantHolders(strange, alice, bob)
		w.store.hold(bob, strange, state.PlacementPinned)
		if w.hasFinished(alice) {
			t.Fatal("the peer has left before others had its pins")
		}
		w.store.hold(bob, alone, state.PlacementPinned)
		w.store.hold(carol, pair, state.PlacementPinned)
		w.store.hold(bob, notPinned, state.PlacementPinned)
		w.letGo(others)
		w.letGo(goes)
		pass(30 * time.Second)
		w.wantHolders(alone, bob)
		w.wantHolders(strange, bob)
		w.wantHolders(again, alice, bob)
		w.store.hold(bob, again, state.PlacementPinned)
		pass(30 * time.Second)
		w.wantHolders(again, bob)
		w.wantHolders(pair, bob, carol)
		w.wantHolders(notPinned, bob)
		after := *w.store.pin(pair)
		if before.Allocations = after.Allocations; !before.Equals(after) || !before.Timestamp.Equal(after.Timestamp) {
			t.Errorf("more than the allocations changed: %+v, was %+v", after, before)
		}
		if w.hasFinished(alice) {
			t.Error("left before the others can know that")
		}
		pass(2 * time.Minute)
		if !w.hasFinished(alice) {
			t.Error("the peer does not leave")
		}
		pass(time.Hour)
		if len(w.finished) != 1 {
			t.Errorf("left %d times", len(w.finished))
		}
	})
}

func TestPinsAllocatedToALeavingPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		w.idle = true
		w.leave(alice)
		defer w.run(alice, bob)()
		pass(45 * time.Second)
		late := w.add(1, 1, 1, alice) // by a peer that did not know
		pass(10 * time.Minute)
		if w.hasFinished(alice) {
			t.Fatal("left with a pin")
		}
		w.wantHolders(late, alice, bob)
		w.store.hold(bob, late, state.PlacementPinned)
		pass(3 * time.Minute)
		w.wantHolders(late, bob)
		if !w.hasFinished(alice) {
			t.Error("the peer does not leave")
		}
	})
}

func TestDrainSettlesAfterTheLastPin(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		w.idle = true
		w.leave(alice)
		defer w.run(alice)()
		pass(45 * time.Second)
		late := w.add(1, 1, 2, alice, bob) // bob has it: it leaves in one pass
		pass(50 * time.Second)
		w.wantHolders(late, bob)
		if w.hasFinished(alice) {
			t.Error("left as if nobody had allocated pins to this peer lately")
		}
		pass(2 * time.Minute)
		if !w.hasFinished(alice) {
			t.Error("the peer does not leave")
		}
	})
}

func TestDrainGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		w.idle = true
		w.leave(alice)
		renewed := w.add(1, 1, 2, alice, bob)
		unpinned := w.add(2, 1, 2, alice, bob)
		raced := map[api.Cid]bool{}
		w.store.beforeWrite = func(c api.Cid) {
			if raced[c] {
				return
			}
			raced[c] = true
			if c.Equals(unpinned) {
				w.store.write(c, nil)
				return
			}
			// Somebody wants it on this peer and carol.
			pin := *w.store.pin(c)
			pin.Name, pin.Allocations = "renewed", []peer.ID{alice, carol}
			w.store.write(c, &pin)
		}
		r := w.reconciler(alice, func(o *Options) { o.Rates.Moves = 1 })
		count, err := r.drainAll(t.Context())
		if err != nil || count.by[drainWaiting] != 2 {
			t.Fatalf("%v, %v", count, err)
		}
		w.wantHolders(renewed, alice, carol)
		w.store.hold(carol, renewed, state.PlacementPinned)
		if _, err := r.drainAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantHolders(renewed, carol)
		if name := w.store.pin(renewed).Name; name != "renewed" {
			t.Errorf("the pin is named %q: the drain wrote over a change", name)
		}
		if w.store.pin(unpinned) != nil {
			t.Error("the drain brought an unpinned CID back")
		}
	})
}

func TestDrainChoosesAgain(t *testing.T) {
	for name, c := range map[string]struct {
		fail func(w *world, c api.Cid)
		wait time.Duration
		want []peer.ID
	}{
		"after errors": {func(w *world, c api.Cid) {
			_ = w.store.PutPlacement(w.t.Context(), bob, state.Placement{Cid: c, Status: state.PlacementPinError, Attempts: 3})
		}, 31 * time.Second, []peer.ID{alice, carol}},
		"after an old error": {func(w *world, c api.Cid) {
			_ = w.store.PutPlacement(w.t.Context(), bob, state.Placement{Cid: c, Status: state.PlacementPinError, Attempts: 1})
		}, 6 * time.Minute, []peer.ID{alice, carol}},
		"not after one error": {func(w *world, c api.Cid) {
			_ = w.store.PutPlacement(w.t.Context(), bob, state.Placement{Cid: c, Status: state.PlacementPinError, Attempts: 1})
		}, 4 * time.Minute, []peer.ID{alice, bob}},
		"not while it is queued": {func(w *world, c api.Cid) {
			w.store.hold(bob, c, state.PlacementQueued)
		}, 9 * time.Minute, []peer.ID{alice, bob}},
		"not while its status is unknown": {func(w *world, c api.Cid) {
			w.store.hold(bob, c, unknownStatus)
		}, 9 * time.Minute, []peer.ID{alice, bob}},
		"after silence":        {func(*world, api.Cid) {}, 6 * time.Minute, []peer.ID{alice, carol}},
		"not after a moment":   {func(*world, api.Cid) {}, 4 * time.Minute, []peer.ID{alice, bob}},
		"after a death":        {func(w *world, _ api.Cid) { w.die(bob) }, 31 * time.Second, []peer.ID{alice, carol}},
		"after bob leaves too": {func(w *world, _ api.Cid) { w.leave(bob) }, 31 * time.Second, []peer.ID{alice, carol}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, alice, bob, carol)
				w.idle = true
				id := w.add(1, 1, 1, alice)
				w.leave(alice)
				defer w.run(alice)()
				pass(10 * time.Second)
				w.wantHolders(id, alice, bob)
				c.fail(w, id)
				pass(c.wait)
				w.wantHolders(id, c.want...)
			})
		})
	}
}

// TestDrainKeepsCopiesOfTheDead: a holder that died stays one, as it may have a copy, until
// enough others have it.
func TestDrainKeepsCopiesOfTheDead(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol, dave)
		w.idle = true
		id := w.add(1, 2, 2, alice, bob)
		w.leave(alice)
		w.die(bob)
		defer w.run(alice)()
		pass(time.Minute)
		w.wantHolders(id, alice, bob, carol, dave)
		w.has(carol, id)
		pass(time.Minute)
		w.wantHolders(id, alice, bob, carol, dave)
		w.has(dave, id)
		pass(time.Minute)
		w.wantHolders(id, carol, dave)
	})
}

func TestDrainWithoutCandidates(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		w.idle = true
		c := w.add(1, 2, 2, alice, bob)
		w.leave(alice)
		defer w.run(alice)()
		pass(10 * time.Minute)
		w.wantHolders(c, alice, bob)
		if w.hasFinished(alice) {
			t.Fatal("left with a pin that nobody else can take")
		}
		w.revive(carol)
		pass(time.Minute)
		w.wantHolders(c, alice, bob, carol)
	})
}

func TestTwoLeaveAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		w.idle = true
		c := w.add(1, 1, 2, alice, bob)
		w.leave(alice)
		w.leave(bob)
		defer w.run(alice, bob, carol)()
		for range 20 {
			pass(30 * time.Second)
			if pin := w.store.pin(c); slices.Contains(pin.Allocations, carol) {
				w.store.hold(carol, c, state.PlacementPinned)
			}
		}
		w.wantHolders(c, carol)
		if !w.hasFinished(alice) || !w.hasFinished(bob) {
			t.Errorf("left: %q", w.finished)
		}
	})
}

func TestDrainOutlastsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		w.idle = true
		c := w.add(1, 1, 2, alice, bob)
		bad := w.add(2, 1, 2, alice, bob)
		var blind, broken atomic.Bool
		blind.Store(true)
		broken.Store(true)
		w.store.fail = func(call string, id api.Cid) error {
			if blind.Load() && call == "PlacementBuckets alice" || broken.Load() && id.Equals(bad) {
				return errors.New(call + " does not work")
			}
			return nil
		}
		w.leave(alice)
		defer w.run(alice)()
		pass(10 * time.Minute)
		if w.wantHolders(c, alice, bob); w.hasFinished(alice) {
			t.Fatal("left without a look at its pins")
		}
		blind.Store(false)
		pass(10 * time.Minute)
		w.wantHolders(c, bob)
		if w.hasFinished(alice) {
			t.Fatal("left with a pin that cannot be read")
		}
		broken.Store(false)
		pass(3 * time.Minute)
		w.wantHolders(bad, bob)
		if !w.hasFinished(alice) {
			t.Error("the peer does not leave")
		}
	})
}

func TestDrainWaitsWhileFrozen(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		w.idle = true
		c := w.add(1, 1, 2, alice, bob)
		w.leave(alice)
		w.set(func() { w.frozen = true })
		defer w.run(alice)()
		pass(10 * time.Minute)
		w.wantHolders(c, alice, bob)
	})
}

func TestTrim(t *testing.T) {
	dead := func(p peer.ID) bool { return p == bob || p == carol }
	for _, c := range []struct {
		peers []peer.ID
		limit int
		want  []peer.ID
	}{
		{[]peer.ID{alice, bob, carol}, 3, []peer.ID{alice, bob, carol}},
		{[]peer.ID{alice, bob, carol}, 2, []peer.ID{alice, bob}},
		{[]peer.ID{bob, alice, carol, dave}, 1, []peer.ID{alice, dave}},
		{[]peer.ID{bob}, 0, []peer.ID{bob}},
	} {
		if got := trim(c.peers, c.limit, dead); !slices.Equal(got, c.want) {
			t.Errorf("%q to %d: %q, want %q", c.peers, c.limit, got, c.want)
		}
	}
}
