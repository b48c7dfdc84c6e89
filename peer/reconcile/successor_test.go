package reconcile

import (
	"errors"
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func (s *fakeStore) following(p peer.ID) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.follows[p]
}

func TestWhatWasNeverActedOnMoves(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		before := w.addUnheld(1, 1, 1, bob)
		defer w.run(alice, carol)()
		pass(time.Minute)
		if n := w.store.count("Follow"); n != 0 {
			t.Errorf("the feed of a live peer was opened %d times", n)
		}
		w.die(bob)
		after := w.addUnheld(2, 1, 1, bob) // by somebody who did not know
		pass(31 * time.Second)
		w.wantHolders(before, alice)
		w.wantHolders(after, alice)
		later := w.addUnheld(3, 2, 2, alice, bob)
		enough := w.addUnheld(4, 1, 2, alice, bob)
		pass(2 * time.Second)
		w.wantHolders(later, alice, carol)
		w.wantHolders(enough, alice, bob)
		if n := w.store.following(bob); n != 1 {
			t.Errorf("%d peers follow the dead one, want 1", n)
		}
		w.revive(bob)
		pass(31 * time.Second)
		if n := w.store.following(bob); n != 0 {
			t.Errorf("%d peers follow one that lives", n)
		}
	})
}

func TestFollowingEndsWithTheFeed(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		w.die(bob)
		w.remove(carol)
		r := w.reconciler(alice)
		if r.opts.FeedTTL != 7*24*time.Hour {
			t.Errorf("feeds are followed for %s", r.opts.FeedTTL)
		}
		r.opts.FeedTTL = 3 * time.Hour
		defer w.start(r)()
		pass(3*time.Hour - time.Minute)
		if w.store.following(bob) != 1 || w.store.following(carol) != 1 {
			t.Error("a dead or removed peer is not followed to the end")
		}
		pass(2 * time.Minute)
		if w.store.following(bob)+w.store.following(carol) != 0 {
			t.Error("a feed is followed that has nothing any more")
		}
	})
}

func TestFollowingMovesWithTheOwner(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		w.die(bob)
		defer w.run(alice)()
		pass(time.Minute)
		for n := 0; w.view(alice).Owner([]byte(bob)) == alice; n++ {
			w.revive(peer.ID(fmt.Sprint("peer ", n)))
		}
		pass(time.Minute)
		if n := w.store.following(bob); n != 0 {
			t.Errorf("followed %d times by one who is not the owner", n)
		}
	})
}

func TestFeedOfADeadPeerIsNotHeldUp(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		w.die(bob)
		defer w.run(alice)()
		pass(time.Second)
		f := &follow{r: w.reconciler(alice), peer: bob, waiting: map[api.Cid]struct{}{}}
		starved := w.addUnheld(1, 2, 2, alice, bob)
		change := func(c api.Cid) state.Change { return state.Change{Cid: c, Pin: w.store.pin(c)} }
		if err := f.handle(t.Context(), change(starved)); err != nil {
			t.Errorf("a pin that nobody can take: %v", err)
		}
		if err := f.handle(t.Context(), state.Change{Cid: testCid(t, 9)}); err != nil {
			t.Errorf("a removed pin: %v", err)
		}
		w.store.fail = func(string, api.Cid) error { return errors.New("no database") }
		if err := f.handle(t.Context(), change(starved)); err == nil {
			t.Error("a failure counts as done")
		}
		w.store.fail = nil
		w.store.beforeWrite = func(c api.Cid) {
			w.store.write(c, w.store.pin(c))
		}
		movable := w.addUnheld(2, 1, 1, bob)
		if err := f.handle(t.Context(), change(movable)); !errors.Is(err, state.ErrNotYet) {
			t.Errorf("a race: %v", err)
		}
		w.store.beforeWrite = nil
		w.set(func() { w.frozen = true })
		if err := f.handle(t.Context(), change(movable)); !errors.Is(err, state.ErrNotYet) {
			t.Errorf("frozen: %v", err)
		}
		w.set(func() { w.frozen = false })
		w.member(carol, func(m *membership.Peer) { m.Live, m.Heard = true, time.Now().Add(-time.Hour) })
		if err := f.handle(t.Context(), change(movable)); !errors.Is(err, state.ErrNotYet) {
			t.Errorf("a peer that is dead, and not gone yet: %v", err)
		}
		w.wantHolders(movable, bob)
		w.member(carol, func(m *membership.Peer) { m.Live = false })
		w.revive(bob)
		if err := f.handle(t.Context(), change(movable)); err != nil {
			t.Errorf("a peer that came back: %v", err)
		}
	})
}

func TestStarvedChangesAreTriedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		w.die(bob)
		c := w.addUnheld(1, 2, 2, alice, bob)
		gone := w.addUnheld(2, 2, 2, alice, bob)
		defer w.run(alice)()
		pass(time.Minute)
		w.wantHolders(c, alice, bob)
		w.store.write(gone, nil)
		w.revive(carol)
		if w.view(alice).Owner([]byte(bob)) != alice {
			t.Fatal("choose other names: alice must stay the owner")
		}
		pass(31 * time.Second)
		w.wantHolders(c, alice, carol)
	})
}

func TestTooManyStarvedChanges(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		w.die(bob)
		r := w.reconciler(alice)
		again := false
		f := &follow{r: r, peer: bob, waiting: map[api.Cid]struct{}{}, again: func() { again = true }}
		c := w.addUnheld(1, 2, 2, alice, bob)
		f.keep(c)
		for n := range maxWaiting - 1 {
			f.waiting[testCid(t, n+2)] = struct{}{}
		}
		f.keep(testCid(t, maxWaiting+2))
		if len(f.waiting) != maxWaiting || !f.overflow {
			t.Fatalf("%d are remembered, overflow %v", len(f.waiting), f.overflow)
		}
		if err := f.retry(t.Context()); err != nil {
			t.Fatal(err)
		}
		if again || len(f.waiting) != 1 {
			t.Errorf("read again: %v, with %d left", again, len(f.waiting))
		}
		w.revive(carol)
		if err := f.retry(t.Context()); err != nil {
			t.Fatal(err)
		}
		if !again || f.overflow {
			t.Error("the feed is not read again after it held more than can be remembered")
		}
	})
}

func TestFollowingOutlastsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		w.die(bob)
		w.store.fail = func(call string, _ api.Cid) error {
			if call == "Follow" && w.store.count("Follow") < 5 {
				return errors.New("no database")
			}
			return nil
		}
		defer w.run(alice)()
		pass(3 * time.Minute)
		if n := w.store.following(bob); n != 1 {
			t.Errorf("followed %d times", n)
		}
	})
}
