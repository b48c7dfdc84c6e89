package reconcile

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestMove: a pin stays with a dead peer until another one has it, and goes back to
// that peer if it returns first.
func TestMove(t *testing.T) {
	for name, c := range map[string]struct {
		then func(w *world, c api.Cid)
		want []peer.ID
	}{
		"nobody can fetch it":   {func(*world, api.Cid) {}, []peer.ID{bob, alice}},
		"the new holder has it": {func(w *world, c api.Cid) { w.has(alice, c) }, []peer.ID{alice}},
		"it failed": {func(w *world, c api.Cid) {
			w.store.hold(alice, c, state.PlacementPinError)
			w.confirm(c)
		}, []peer.ID{bob, alice}},
		"the dead peer returns": {func(w *world, c api.Cid) {
			w.revive(bob)
			w.has(bob, c)
		}, []peer.ID{bob}},
		"it returns when the other has it": {func(w *world, c api.Cid) {
			w.has(alice, c)
			w.revive(bob)
			w.has(bob, c)
		}, []peer.ID{alice}},
		"both have it at once": {func(w *world, c api.Cid) {
			w.revive(bob)
			w.store.hold(alice, c, state.PlacementPinned)
			w.has(bob, c)
		}, []peer.ID{bob}},
		"the new holder dies, too": {func(w *world, c api.Cid) {
			w.die(alice)
			pass(3 * time.Hour)
			w.has(carol, c)
		}, []peer.ID{carol}},
		"the dead peer is removed": {func(w *world, c api.Cid) {
			w.remove(bob)
			pass(2 * time.Minute)
		}, []peer.ID{alice}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, alice, bob, carol, dave, erin)
				w.idle = true
				id := w.add(1, 1, 1, bob)
				defer w.run(carol, dave)()
				w.die(bob)
				pass(2 * time.Minute)
				w.wantHolders(id, alice, bob)
				c.then(w, id)
				pass(2 * time.Minute)
				w.wantHolders(id, c.want...)
			})
		})
	}
}

// TestRemovedHolderGoesAtOnce: it is out, whatever it has.
func TestRemovedHolderGoesAtOnce(t *testing.T) {
	w := newWorld(t, alice, bob, carol)
	w.idle = true
	id := w.add(1, 1, 1, bob)
	w.remove(bob)
	r := w.reconciler(carol)
	if moved, err := r.moveAway(t.Context(), r.metrics(t.Context()), bob, id); err != nil || !moved.changed {
		t.Fatalf("moved %+v, %v", moved, err)
	}
	w.wantHolders(id, alice)
}

// has lets a peer have the current revision of a pin, and note that.
func (w *world) has(p peer.ID, c api.Cid) {
	w.store.hold(p, c, state.PlacementPinned)
	w.confirm(c)
}

// TestEndOfAMove: who is taken off a pin that has too many holders.
func TestEndOfAMove(t *testing.T) {
	const pinned, queued = state.PlacementPinned, state.PlacementQueued
	for name, c := range map[string]struct {
		rmin, rmax int
		holders    []peer.ID
		rows       map[peer.ID]state.PlacementStatus
		change     func(w *world, c api.Cid)
		want       []peer.ID
	}{
		"not before enough have it": {2, 2, []peer.ID{bob, carol, dave}, map[peer.ID]state.PlacementStatus{carol: pinned, dave: queued}, nil, []peer.ID{bob, carol, dave}},
		"the dead one":              {2, 2, []peer.ID{bob, carol, dave}, map[peer.ID]state.PlacementStatus{carol: pinned, dave: pinned}, nil, []peer.ID{carol, dave}},
		"who is removed": {1, 1, []peer.ID{carol, dave}, map[peer.ID]state.PlacementStatus{carol: pinned, dave: pinned}, func(w *world, _ api.Cid) {
			w.remove(carol)
		}, []peer.ID{dave}},
		"who leaves": {1, 1, []peer.ID{carol, dave}, map[peer.ID]state.PlacementStatus{carol: pinned, dave: pinned}, func(w *world, _ api.Cid) {
			w.leave(carol)
		}, []peer.ID{dave}},
		"who has not pinned it":         {1, 2, []peer.ID{carol, dave, erin}, map[peer.ID]state.PlacementStatus{carol: pinned, erin: pinned}, nil, []peer.ID{carol, erin}},
		"the last":                      {1, 2, []peer.ID{carol, dave, erin}, map[peer.ID]state.PlacementStatus{carol: pinned, dave: pinned, erin: pinned}, nil, []peer.ID{carol, dave}},
		"nobody while there is room":    {1, 3, []peer.ID{bob, carol, dave}, map[peer.ID]state.PlacementStatus{carol: pinned, dave: pinned}, nil, []peer.ID{bob, carol, dave}},
		"nobody of a pin of every peer": {-1, -1, nil, nil, nil, nil},
		"an older revision is none": {1, 1, []peer.ID{bob, carol}, map[peer.ID]state.PlacementStatus{carol: pinned}, func(w *world, c api.Cid) {
			w.store.write(c, w.store.pin(c))
		}, []peer.ID{bob, carol}},
		"nothing while repinning is off": {1, 1, []peer.ID{bob, carol}, map[peer.ID]state.PlacementStatus{carol: pinned}, func(w *world, _ api.Cid) {
			w.repin = false
		}, []peer.ID{bob, carol}},
		"nothing while nobody can be judged": {1, 1, []peer.ID{bob, carol}, map[peer.ID]state.PlacementStatus{carol: pinned}, func(w *world, _ api.Cid) {
			w.frozen = true
		}, []peer.ID{bob, carol}},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, alice, bob, carol, dave, erin)
			w.idle = true
			id := w.addUnheld(1, c.rmin, c.rmax, c.holders...)
			for p, status := range c.rows {
				w.store.hold(p, id, status)
			}
			w.die(bob)
			if c.change != nil {
				c.change(w, id)
			}
			pin, rev, err := w.store.GetVersion(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			w.confirmed(carol, *pin, rev)
			w.wantHolders(id, c.want...)
		})
	}
}

// TestEndOfAMoveGivesWay to whoever wrote the pin meanwhile, and goes on after errors.
func TestEndOfAMoveGivesWay(t *testing.T) {
	w := newWorld(t, alice, bob, carol)
	w.idle = true
	id := w.add(1, 1, 1, bob, carol)
	w.die(bob)
	pin, rev, err := w.store.GetVersion(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	w.store.fail = failAll
	w.confirmed(carol, *pin, rev)
	w.store.fail = nil
	w.wantHolders(id, bob, carol)
	changed := *pin
	changed.Allocations = []peer.ID{bob}
	w.store.write(id, &changed)
	w.confirmed(carol, *pin, rev)
	w.wantHolders(id, bob)
	if _, err := w.reconciler(carol).settle(t.Context(), w.view(carol), *pin, rev); !errors.Is(err, state.ErrChanged) {
		t.Errorf("it returned %v", err)
	}
}

// TestUnendedMoveIsEnded by the look through what the dead peer held, and by the scrub,
// if the process that had to was killed.
func TestUnendedMoveIsEnded(t *testing.T) {
	for name, look := range map[string]func(w *world, c api.Cid){
		"the placements of the dead peer": func(w *world, _ api.Cid) {
			defer w.run(alice)()
			pass(2 * time.Minute)
		},
		"the scrub": func(w *world, c api.Cid) {
			if _, err := w.reconciler(alice).ScrubOnce(w.t.Context()); err != nil {
				w.t.Error(err)
			}
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, alice, bob, carol)
				w.idle = true
				id := w.add(1, 1, 1, bob, carol)
				w.die(bob)
				pass(2 * scrubAge)
				look(w, id)
				w.wantHolders(id, carol)
			})
		})
	}
}

// TestLeavingPeerKeepsTheLastCopy: it does not leave with content that a pin add took
// off it before others had it.
func TestLeavingPeerKeepsTheLastCopy(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		w.idle = true
		taken := w.add(1, 1, 1, alice)
		pin := *w.store.pin(taken)
		pin.Allocations = []peer.ID{bob}
		w.store.write(taken, &pin)
		w.store.hold(alice, taken, state.PlacementUnpinning)
		w.leave(alice)
		defer w.run(alice)()
		pass(time.Hour)
		if w.hasFinished(alice) {
			t.Error("it has left with what nobody else has")
		}
		w.has(bob, taken)
		pass(10 * time.Minute)
		if !w.hasFinished(alice) {
			t.Error("it does not leave")
		}
	})
}

// TestLeavingPeerWithoutTheContent takes the pin off none of the others: one of those
// that failed may have the content, and an IPFS daemon that does not answer.
func TestLeavingPeerWithoutTheContent(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		w.idle = true
		id := w.addUnheld(2, 1, 1, alice, carol)
		w.store.hold(alice, id, state.PlacementQueued)
		failed := state.Placement{Cid: id, Status: state.PlacementPinError, Attempts: 9}
		if err := w.store.PutPlacement(t.Context(), carol, failed); err != nil {
			t.Fatal(err)
		}
		w.leave(alice)
		defer w.run(alice)()
		pass(time.Hour)
		w.wantHolders(id, alice, bob, carol)
		w.has(carol, id)
		pass(time.Minute)
		w.wantHolders(id, carol)
	})
}

// TestDrainCountsTheRevisionOfThePin: what others had of an earlier one does not count.
func TestDrainCountsTheRevisionOfThePin(t *testing.T) {
	w := newWorld(t, alice, bob)
	w.idle = true
	id := w.add(1, 1, 2, alice, bob)
	w.leave(alice)
	w.store.write(id, w.store.pin(id)) // which bob has not heard of
	for _, want := range [][]peer.ID{{alice, bob}, {bob}} {
		if _, err := w.reconciler(alice).drainAll(t.Context()); err != nil {
			t.Fatal(err)
		}
		w.wantHolders(id, want...)
		w.store.hold(bob, id, state.PlacementPinned)
	}
}
