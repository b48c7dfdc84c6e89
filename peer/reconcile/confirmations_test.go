package reconcile

import (
	"errors"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestConfirmationsWait: a move is ended by the peer whose confirmation makes it complete,
// also if that cannot judge others at that moment, or the database fails, or its loops
// have not begun; not by what the look through a dead peer's placements or a scrub find.
func TestConfirmationsWait(t *testing.T) {
	for name, c := range map[string]struct{ begin, end func(w *world) }{
		"nobody can be judged":       {func(w *world) { w.frozen = true }, func(w *world) { w.set(func() { w.frozen = false }) }},
		"the database does not read": {func(w *world) { w.store.failing("GetPlacementsOf") }, func(w *world) { w.store.failing("") }},
		"nor write":                  {func(w *world) { w.store.failing("PutIf") }, func(w *world) { w.store.failing("") }},
		"moves are stopped":          {func(w *world) { w.coldStart(dave) }, func(*world) {}},
		"the loops do not run":       {func(*world) {}, func(*world) {}},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, alice, bob, carol, dave)
				w.idle = true
				id := w.add(1, 1, 1, bob, carol) // bob is back, carol has not fetched it
				w.store.hold(carol, id, state.PlacementQueued)
				pin, rev, err := w.store.GetVersion(t.Context(), id)
				if err != nil {
					t.Fatal(err)
				}
				c.begin(w)
				var confirmations Confirmations
				confirmations.Confirmed(t.Context(), *pin, rev)
				pass(time.Minute)
				defer w.start(w.reconciler(bob, func(o *Options) { o.Confirmations = &confirmations }))()
				pass(time.Minute)
				c.end(w)
				pass(time.Minute)
				w.wantHolders(id, bob)
				if n := len(confirmations.pins); n != 0 {
					t.Errorf("%d are remembered", n)
				}
			})
		})
	}
}

// failing lets one kind of call fail, none if it is empty.
func (s *fakeStore) failing(what string) {
	s.mu.Lock()
	defer s.mu.Unlock()
	s.fail = func(call string, _ api.Cid) error {
		if call == what {
			return errors.New("it fails")
		}
		return nil
	}
}

// TestConfirmationsAreBounded, and of one pin the last counts.
func TestConfirmationsAreBounded(t *testing.T) {
	w := newWorld(t, alice, bob)
	id := w.add(1, 1, 1, alice, bob)
	pin, rev, err := w.store.GetVersion(t.Context(), id)
	if err != nil {
		t.Fatal(err)
	}
	var c Confirmations
	c.Confirmed(t.Context(), *pin, state.Revision{1})
	c.Confirmed(t.Context(), *pin, rev)
	c.putBack(id, confirmation{*pin, state.Revision{2}})
	if got := c.take(); len(got) != 1 || got[id].rev != rev {
		t.Errorf("there are %v", got)
	}
	notInMove := *pin
	notInMove.ReplicationFactorMax = 2
	noFactor := *pin
	noFactor.ReplicationFactorMin, noFactor.ReplicationFactorMax = 0, 0
	c.Confirmed(t.Context(), notInMove, rev)
	c.Confirmed(t.Context(), noFactor, rev)
	if got := c.take(); len(got) != 0 {
		t.Errorf("there are %v", got)
	}
	for n := range maxConfirmations + 10 {
		pin.Cid.Cid = testCid(t, n).Cid
		c.Confirmed(t.Context(), *pin, rev)
	}
	if n := len(c.take()); n != maxConfirmations {
		t.Errorf("%d are remembered", n)
	}
}

// TestMoveOfAFollowerEnds: nobody confirms, as a follower ends no moves, nor does a peer
// that was killed before it could. What is open is looked at again.
func TestMoveOfAFollowerEnds(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		w.member(alice, func(m *membership.Peer) { m.Role = membership.RoleFollower })
		w.idle = true
		id := w.add(1, 1, 1, bob)
		w.die(bob)
		defer w.run(carol)()
		pass(2 * time.Minute)
		w.wantHolders(id, alice, bob)
		w.store.hold(alice, id, state.PlacementPinned)
		pass(2 * time.Hour)
		w.wantHolders(id, alice)
	})
}
