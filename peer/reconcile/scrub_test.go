package reconcile

import (
	"context"
	"errors"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// toldOf returns who was told of a CID, and forgets it.
func (s *fakeStore) toldOf(c api.Cid) []peer.ID {
	s.mu.Lock()
	defer s.mu.Unlock()
	var told []peer.ID
	for p, cids := range s.told {
		for range slices.DeleteFunc(slices.Clone(cids), func(d api.Cid) bool { return !d.Equals(c) }) {
			told = append(told, p)
		}
	}
	slices.Sort(told)
	return told
}

func TestScrubFindsWhatIsMissing(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol, dave)
		w.member(carol, func(m *membership.Peer) { m.Role = membership.RoleAPI })
		w.die(bob)
		w.remove(dave)
		want := map[api.Cid][]peer.ID{
			w.add(1, 2, 2, alice, bob):                nil,
			w.addUnheld(2, 2, 3, alice, bob, dave):    {alice}, // bob is dead
			w.addUnheld(3, 1, 1, peer.ID("stranger")): nil,
			w.addUnheld(4, -1, -1):                    {alice},
		}
		leaving := w.add(5, 1, 1, alice)
		w.store.hold(alice, leaving, state.PlacementUnpinError)
		want[leaving] = []peer.ID{alice}
		failed := w.add(6, 1, 1, alice)
		w.store.hold(alice, failed, state.PlacementPinError)
		want[failed] = nil // its recovery tries again
		meta := w.addUnheld(7, -1, -1)
		w.store.pin(meta).Type = api.MetaType
		want[meta] = nil
		pass(scrubAge + time.Second)
		young := w.addUnheld(8, 1, 1, alice)
		want[young] = nil
		report, err := w.reconciler(bob).ScrubOnce(t.Context()) // whoever the owner is
		if err != nil {
			t.Fatal(err)
		}
		if noted := w.store.renoted[alice]; len(w.store.renoted) != 1 || !slices.Equal(slices.Sorted(slices.Values(noted)), w.store.buckets(alice)) {
			t.Errorf("noted to be in use: %v, want %v of %s", w.store.renoted, w.store.buckets(alice), alice)
		}
		for c, peers := range want {
			if got := w.store.toldOf(c); !slices.Equal(got, peers) {
				t.Errorf("%s: told %q, want %q", w.store.pin(c).Name, got, peers)
			}
		}
		if want := (Report{Pins: 8, Told: 3, Starved: 1, Alone: 1}); report != want {
			t.Errorf("report %+v, want %+v", report, want)
		}
		if n := w.store.count("PutIf") + w.store.count("DeleteIf"); n != 0 {
			t.Errorf("the scrub changed pins %d times", n)
		}
		pass(scrubAge)
		if _, err := w.reconciler(bob).ScrubOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.store.toldOf(young); !slices.Equal(got, []peer.ID{alice}) {
			t.Errorf("told %q of what is old by now", got)
		}
	})
}

func TestScrubFindsStrays(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		w.die(carol)
		mine := w.add(1, 1, 1, alice)
		moved := w.add(2, 1, 1, bob)
		w.store.hold(alice, moved, state.PlacementPinned)
		w.store.hold(carol, moved, state.PlacementPinned) // dead: nobody listens
		unpinned := w.add(3, 1, 1, bob)
		w.store.write(unpinned, nil)
		unknown := testCid(t, 4)
		w.store.hold(alice, unknown, state.PlacementUnpinError)
		everywhere := w.add(5, -1, -1)
		w.store.hold(alice, everywhere, state.PlacementPinned)
		w.store.hold(bob, everywhere, state.PlacementPinned)
		pass(scrubAge + time.Second)
		young := w.add(6, 1, 1, bob)
		w.store.hold(alice, young, state.PlacementPinned)
		w.store.strays[17], w.store.strays[4000] = 2, 1
		report, err := w.reconciler(alice).ScrubOnce(t.Context())
		if err != nil {
			t.Fatal(err)
		}
		for c, want := range map[api.Cid][]peer.ID{
			mine: nil, moved: {alice}, unpinned: {bob}, unknown: {alice}, everywhere: nil, young: nil,
		} {
			if got := w.store.toldOf(c); !slices.Equal(got, want) {
				t.Errorf("%s: told %q, want %q", c, got, want)
			}
		}
		if want := (Report{Pins: 4, Told: 3, Strays: 3}); report != want {
			t.Errorf("report %+v, want %+v", report, want)
		}
	})
}

// TestScrubLeavesWhatWaitsForOthers: what a peer keeps until others have it, it looks at by
// itself. It does not know that it may go at once when nobody is to have it any more.
func TestScrubLeavesWhatWaitsForOthers(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		kept, gone := w.add(1, 1, 1, bob), w.add(2, 1, 1, bob)
		for _, c := range []api.Cid{kept, gone} {
			w.store.hold(alice, c, state.PlacementUnpinning)
		}
		w.store.write(gone, nil)
		pass(scrubAge + time.Second)
		for range 3 {
			clear(w.store.told)
			if _, err := w.reconciler(alice).ScrubOnce(t.Context()); err != nil {
				t.Fatal(err)
			}
			if told := w.store.toldOf(kept); len(told) != 0 {
				t.Errorf("told %q of what waits", told)
			}
			if told := w.store.toldOf(gone); !slices.Contains(told, alice) {
				t.Errorf("told %q of what is not pinned any more", told)
			}
		}
		pass(leavingAge)
		if _, err := w.reconciler(alice).ScrubOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if told := w.store.toldOf(kept); !slices.Contains(told, alice) {
			t.Errorf("after a day told %q of what waits", told)
		}
	})
}

func TestScrubListsAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice)
		plain := w.add(1, 1, 1, alice)
		everywhere := w.add(2, -1, -1)
		w.store.hold(alice, everywhere, state.PlacementPinned)
		later := w.addExpiring(3, time.Now().Add(time.Hour))
		// Long run out, and listed nowhere.
		expired := w.addExpiring(4, time.Now().Add(-72*time.Hour))
		epoch := w.addExpiring(5, time.Unix(0, 0))
		clear(w.store.due)
		r := w.reconciler(alice)
		if _, err := r.ScrubOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		for c, want := range map[api.Cid]int{plain: 0, everywhere: 1, later: 1, expired: 1, epoch: 0} {
			if got := w.store.indexed[c]; got != want {
				t.Errorf("%s was listed %d times, want %d", w.store.pin(c).Name, got, want)
			}
		}
		defer w.start(r)()
		pass(30 * time.Second)
		if w.store.pin(expired) != nil {
			t.Error("an expiry that was lost did not come back with the scrub")
		}
	})
}

func TestScrubReportsBadRows(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice)
		w.add(1, 1, 1, alice)
		w.store.bad[5], w.store.bad[6] = errors.New("no pin"), errors.New("no pin")
		report, err := w.reconciler(alice).ScrubOnce(t.Context())
		if want := (Report{Pins: 1, BadRows: 2}); err != nil || report != want {
			t.Errorf("report %+v, %v; want %+v", report, err, want)
		}
	})
}

func TestScrubOnceFails(t *testing.T) {
	for _, broken := range []string{"ScanFrom", "scanned", "GetPlacementsOf", "Tell", "Index", "DropStrays", "ListPlacements alice", "NoteBucket"} {
		synctest.Test(t, func(t *testing.T) {
			w := newWorld(t, alice)
			w.addUnheld(1, 1, 1, alice)
			w.addExpiring(2, time.Now().Add(time.Hour))
			w.add(3, 1, 1, alice)
			pass(scrubAge + time.Second)
			w.store.fail = func(call string, _ api.Cid) error {
				if call == broken {
					return context.DeadlineExceeded
				}
				return nil
			}
			if _, err := w.reconciler(alice).ScrubOnce(t.Context()); !errors.Is(err, context.DeadlineExceeded) {
				t.Errorf("%s failed, and ScrubOnce returned %v", broken, err)
			}
		})
	}
}

// TestScrubTellsInBounds: the fake refuses more than maxTell at once.
func TestScrubTellsInBounds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice)
		tell := newTeller(w.store)
		for n := range 3*maxTell + 1 {
			if err := tell.add(t.Context(), alice, testCid(t, n)); err != nil {
				t.Fatal(err)
			}
		}
		if err := tell.flush(t.Context()); err != nil {
			t.Fatal(err)
		}
		if n := len(w.store.told[alice]); n != 3*maxTell+1 || tell.told != n {
			t.Errorf("told %d, counted %d", n, tell.told)
		}
	})
}

func TestScrubIsSharedAndEven(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		day := func(o *Options) { o.ScrubEvery = 24 * time.Hour }
		var rs []*Reconciler
		var stores []*fakeStore // of each peer, to see who does what
		for _, p := range []peer.ID{alice, bob, carol} {
			store := newFakeStore()
			stores = append(stores, store)
			rs = append(rs, w.reconciler(p, day, func(o *Options) { o.Store = store }))
		}
		stop := w.start(rs...)
		start := time.Now()
		pass(24*time.Hour - time.Second)
		stop()
		var scanned []scan
		buckets := 0
		for _, s := range stores {
			scanned = append(scanned, s.scanned...)
			buckets += s.count("DropStrays")
			if pieces, b := len(s.scanned), s.count("DropStrays"); min(pieces, b) < scrubPieces/4 || max(pieces, b) > scrubPieces/2 {
				t.Errorf("one of three peers did %d pieces and %d buckets of %d", pieces, b, scrubPieces)
			}
		}
		seen := map[int]int{}
		hours := make([]int, 24)
		for _, s := range scanned {
			seen[s.piece]++
			hours[int(s.at.Sub(start)/time.Hour)]++
			if due := float64(s.at.Unix()%86400) / 86400 * scrubPieces; due < float64(s.piece)-1 || due > float64(s.piece)+2 {
				t.Fatalf("piece %d was scrubbed when %f was due", s.piece, due)
			}
		}
		if len(seen) != scrubPieces {
			t.Errorf("%d of %d pieces were scrubbed in a day", len(seen), scrubPieces)
		}
		for piece, n := range seen {
			if n > 1 {
				t.Errorf("piece %d was scrubbed %d times in a day", piece, n)
			}
		}
		for hour, n := range hours {
			if n < 160 || n > 180 {
				t.Errorf("%d pieces in hour %d, want about 171", n, hour)
			}
		}
		if buckets < state.Buckets-1 || buckets > state.Buckets+1 {
			t.Errorf("%d of %d buckets", buckets, state.Buckets)
		}
	})
}

func TestScrubStartsAtTheTimeOfDay(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice)
		r := w.reconciler(alice, func(o *Options) { o.ScrubEvery = 24 * time.Hour })
		time.Sleep(time.Until(time.Now().Truncate(24 * time.Hour).Add(30 * time.Hour))) // a quarter of a day
		stop := w.start(r)
		pass(time.Minute)
		stop()
		if got := w.store.scanned[0].piece; got < scrubPieces/4-1 || got > scrubPieces/4+1 {
			t.Errorf("began at piece %d, want about %d", got, scrubPieces/4)
		}
	})
}

func TestScrubTurnedOff(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice)
		defer w.run(alice)()
		pass(2 * time.Hour)
		if n := w.store.count("ScanFrom") + w.store.count("DropStrays"); n != 0 {
			t.Errorf("%d pieces were scrubbed", n)
		}
	})
}

// TestScrubFindsOlderVersions: a peer that acted on an older version of a pin is
// told of the newer one, which may be of another mode.
func TestScrubFindsOlderVersions(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice)
		c := w.add(1, 1, 1, alice)
		time.Sleep(time.Second)
		pin := *w.store.pin(c)
		w.store.put(c, &pin)
		time.Sleep(scrubAge + time.Second)
		if _, err := w.reconciler(alice).ScrubOnce(t.Context()); err != nil {
			t.Fatal(err)
		}
		if got := w.store.toldOf(c); !slices.Equal(got, []peer.ID{alice}) {
			t.Errorf("told %q", got)
		}
	})
}

// TestScrubReportsTheDatabase: rows that could not be compared are not counted as
// compared.
func TestScrubReportsTheDatabase(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice)
		c := w.add(1, 1, 1, alice)
		w.store.put(c, nil)
		pass(scrubAge + time.Second)
		broken := errors.New("the database is gone")
		w.store.fail = func(call string, _ api.Cid) error {
			if call == "GetVersions" {
				return broken
			}
			return nil
		}
		if _, err := w.reconciler(alice).ScrubOnce(t.Context()); !errors.Is(err, broken) {
			t.Errorf("ScrubOnce = %v", err)
		}
		w.store.fail, w.store.corrupt = nil, c
		if _, err := w.reconciler(alice).ScrubOnce(t.Context()); err != nil {
			t.Errorf("ScrubOnce over a row that cannot be decoded: %v", err)
		}
	})
}
