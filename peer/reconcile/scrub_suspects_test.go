package reconcile

import (
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestScrubNamesSuspects: an old pin of which none of its peers knows, though all live,
// may have been unpinned. It is named and counted, its peers are told as of any other,
// and nothing else is done about it.
func TestScrubNamesSuspects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := logLines(t)
		w := newWorld(t, alice, bob, carol)
		back := w.addUnheld(1, 1, 2, alice, bob)
		everywhere := w.addUnheld(2, -1, -1)
		half := w.addUnheld(3, 1, 2, alice, bob)
		w.store.hold(alice, half, state.PlacementPinned)
		leaving := w.addUnheld(4, 1, 1, alice)
		w.store.hold(alice, leaving, state.PlacementUnpinning)
		ofTheDead := w.addUnheld(5, 1, 2, alice, carol)
		unknown := w.addUnheld(6, 1, 1, peer.ID("stranger"))
		meta := w.addUnheld(7, -1, -1)
		w.store.pin(meta).Type = api.MetaType
		pass(DefaultFeedTTL - time.Minute)
		young := w.addUnheld(8, 1, 1, alice)
		pass(2 * scrubAge)
		w.die(carol)
		all := []api.Cid{back, half, leaving, ofTheDead, unknown, meta, young, everywhere}
		want := Report{Pins: 8, Told: 8, Suspects: 2} // carol is dead
		w.scrub(want, all...)
		for _, c := range []api.Cid{back, everywhere} {
			if logged("no peer knows of the pin of "+c.String()) != 1 {
				t.Errorf("%s is not named", w.store.pin(c).Name)
			}
		}
		if n := logged("no peer knows of the pin of"); n != want.Suspects {
			t.Errorf("%d pins are named", n)
		}
		if n := w.store.count("PutIf") + w.store.count("DeleteIf"); n != 0 {
			t.Errorf("the scrub changed pins %d times", n)
		}
		// When its peers have acted it is a pin like any other.
		w.store.hold(alice, back, state.PlacementPinned)
		w.store.hold(bob, back, state.PlacementPinned)
		w.scrub(Report{Pins: 1}, back)
	})
}

// TestScrubNamesSomeSuspects: where the rows of many pins got lost the log is not filled
// with them, and says how many there are and what to do.
func TestScrubNamesSomeSuspects(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		logged := logLines(t)
		w := newWorld(t, alice)
		var all []api.Cid
		for i := range 2 * maxNamed {
			all = append(all, w.addUnheld(i, 1, 1, alice))
		}
		pass(DefaultFeedTTL + time.Minute)
		r, met := w.reconciler(alice), new(met)
		tell := newTeller(r.opts.Store)
		for _, c := range all { // as if all were of one piece
			pin, rev, err := r.opts.Store.GetVersion(t.Context(), c)
			if err == nil {
				err = r.scrubPin(t.Context(), w.view(alice), tell, met, *pin, rev)
			}
			if err != nil {
				t.Fatal(err)
			}
		}
		(&Report{Suspects: int(met.suspects.Load())}).log("all")
		if n := logged("no peer knows of the pin of"); n != maxNamed {
			t.Errorf("%d pins are named, want %d", n, maxNamed)
		}
		if n := logged("no peer knows of 20 pins of long ago, of which 10 are named above"); n != 1 {
			t.Errorf("it is told %d times how many there are", n)
		}
	})
}

// TestBulkIsNotSuspicious: pins that were brought in in bulk have revisions of long ago,
// and their peers may not have come to them yet.
func TestBulkIsNotSuspicious(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice)
		c := w.addUnheld(1, 1, 1, alice)
		r := w.reconciler(alice)
		pass(2 * DefaultFeedTTL)
		pin := *w.store.pin(c)
		for written, want := range map[time.Time]bool{
			time.Date(1997, 5, 1, 0, 0, 0, 0, time.UTC): false,
			time.Now().Add(-DefaultFeedTTL - time.Hour): true,
		} {
			if got := r.suspicious(pin, written, w.view(alice)); got != want {
				t.Errorf("a pin of %s is suspicious: %t", written, got)
			}
		}
	})
}
