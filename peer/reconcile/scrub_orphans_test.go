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

// scrub has alice look at the pieces of the pinset with these pins.
func (w *world) scrub(want Report, cids ...api.Cid) {
	w.t.Helper()
	var got Report
	pieces := map[int]bool{}
	for _, c := range cids {
		pieces[hashOf(c, scrubPieces)] = true
	}
	for piece := range pieces {
		report, _, err := w.reconciler(alice).scrubPiece(w.t.Context(), piece, api.CidUndef)
		if err != nil {
			w.t.Error(err)
		}
		got.add(report)
	}
	if got != want {
		w.t.Errorf("the scrub reports %+v, want %+v", got, want)
	}
}

// TestScrubGivesPinsOfRemovedPeersToOthers: also those that were allocated to one
// after all that it held was handed over, when nobody reads its feed any more.
func TestScrubGivesPinsOfRemovedPeersToOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol, dave)
		w.die(carol)
		w.remove(bob)
		stop := w.start(w.reconciler(alice, func(o *Options) { o.FeedTTL = time.Hour }))
		pass(time.Hour + time.Minute)
		stop()
		if w.store.following(bob) > 0 {
			t.Fatal("the feed of the removed peer is still followed")
		}
		alone := w.addUnheld(1, 1, 1, bob)
		enough := w.add(2, 1, 2, alice)
		w.store.pin(enough).Allocations = []peer.ID{alice, bob}
		everywhere := w.add(3, -1, -1)
		w.store.hold(alice, everywhere, state.PlacementPinned)
		w.store.hold(dave, everywhere, state.PlacementPinned)
		impossible := w.add(4, 3, 3, alice, bob, dave)
		dead := w.addUnheld(5, 1, 1, carol)
		unknown := w.addUnheld(6, 1, 1, peer.ID("stranger")) // may be starting
		half := w.addUnheld(7, 1, 2, alice, bob)
		all := []api.Cid{alone, enough, everywhere, impossible, dead, unknown, half}
		w.scrub(Report{Pins: 7}, all...) // all of it is young
		pass(scrubAge + time.Second)
		w.set(func() { w.repin = false })
		w.store.fail = func(call string, c api.Cid) error {
			if call == "GetVersion" && c.Equals(alone) {
				t.Error("a pin was read that may not be moved")
			}
			return nil
		}
		w.scrub(Report{Pins: 7, Told: 1}, all...) // alice of half; carol is dead
		w.store.fail = nil
		w.wantHolders(alone, bob)
		w.set(func() { w.repin = true })
		clear(w.store.told)
		w.scrub(Report{Pins: 7, Moved: 3, Starved: 1, Alone: 2}, all...)
		w.wantHolders(alone, alice)
		w.wantHolders(enough, alice)
		w.wantHolders(half, alice)
		w.wantHolders(everywhere)
		w.wantHolders(impossible, alice, bob, dave)
		w.wantHolders(dead, carol)
		w.wantHolders(unknown, "stranger")
		if told := w.store.toldOf(half); len(told) > 0 {
			t.Errorf("told %q of a pin that has just been moved", told)
		}
		w.revive(erin)
		w.scrub(Report{Pins: 7, Told: 1, Moved: 1}, all...) // erin, of what every peer holds
		w.wantHolders(impossible, alice, dave, erin)
	})
}

// TestScrubLeavesWhatIsBeingMoved: the pins of a peer that was removed a moment
// ago are moved by other loops.
func TestScrubLeavesWhatIsBeingMoved(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		c := w.add(1, 1, 1, bob)
		pass(2 * scrubAge)
		w.remove(bob)
		w.scrub(Report{Pins: 1}, c)
		w.wantHolders(c, bob)
	})
}

// TestScrubOfOrphansGivesWay: a change meanwhile is no error, what the database
// says is one.
func TestScrubOfOrphansGivesWay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		c := w.addUnheld(1, 1, 1, bob)
		w.remove(bob)
		pass(2 * scrubAge)
		w.store.beforeWrite = func(c api.Cid) { w.store.write(c, w.store.pin(c)) }
		w.scrub(Report{Pins: 1}, c)
		w.wantHolders(c, bob)
		w.store.beforeWrite = nil
		pass(2 * scrubAge)
		broken := errors.New("the database is gone")
		w.store.fail = func(call string, _ api.Cid) error {
			if call == "PutIf" {
				return broken
			}
			return nil
		}
		if _, _, err := w.reconciler(alice).scrubPiece(t.Context(), hashOf(c, scrubPieces), api.CidUndef); !errors.Is(err, broken) {
			t.Errorf("the scrub returned %v", err)
		}
	})
}
