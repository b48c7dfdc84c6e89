package reconcile

import (
	"errors"
	"slices"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestHoldersAreAskedTogether, whoever counts the copies of a pin: with one statement,
// however many hold it.
func TestHoldersAreAskedTogether(t *testing.T) {
	for name, count := range map[string]func(t *testing.T, r *Reconciler, pin api.Pin, rev state.Revision) error{
		"a confirmation": func(t *testing.T, r *Reconciler, pin api.Pin, rev state.Revision) error {
			_, err := r.settle(t.Context(), r.opts.View(), pin, rev)
			return err
		},
		"a look at what a dead peer holds": func(t *testing.T, r *Reconciler, pin api.Pin, _ state.Revision) error {
			_, err := r.moveAway(t.Context(), r.metrics(t.Context()), bob, pin.Cid)
			return err
		},
		"a hand-over": func(t *testing.T, r *Reconciler, pin api.Pin, _ state.Revision) error {
			_, err := r.drainPin(t.Context(), r.metrics(t.Context()), state.Placement{Cid: pin.Cid})
			return err
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, alice, bob, carol, dave, erin)
			w.idle = true
			id := w.addUnheld(1, 3, 4, alice, bob, carol, dave, erin)
			w.store.hold(erin, id, state.PlacementPinned)
			w.die(bob)
			pin, rev, err := w.store.GetVersion(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			if err := count(t, w.reconciler(alice), *pin, rev); err != nil && !errors.Is(err, errNoCandidates) {
				t.Fatal(err)
			}
			if one, all := w.store.count("GetPlacement"), w.store.count("GetPlacementsOf"); one != 0 || all != 1 {
				t.Errorf("%d holders were asked one by one, and %d times all together", one, all)
			}
		})
	}
}

// TestWhoCountsAsACopy: to be warned of, to be let go of others for, and to leave.
func TestWhoCountsAsACopy(t *testing.T) {
	for name, c := range map[string]struct {
		change                 func(w *world)
		exists, settles, stays bool
	}{
		"live":                {func(*world) {}, true, true, true},
		"dead":                {func(w *world) { w.die(carol) }, false, false, false},
		"removed":             {func(w *world) { w.remove(carol) }, false, false, false},
		"leaving":             {func(w *world) { w.leave(carol) }, true, false, false},
		"not to hold pins":    {func(w *world) { w.member(carol, func(m *membership.Peer) { m.Role = membership.RoleAPI }) }, true, false, true},
		"not wanted":          {func(*world) {}, true, false, true},
		"at another revision": {func(w *world) { w.store.write(testCid(w.t, 1), w.store.pin(testCid(w.t, 1))) }, false, false, false},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, alice, bob, carol)
			w.idle = true
			id := w.addUnheld(1, 1, 1, bob, carol)
			w.store.hold(carol, id, state.PlacementPinned)
			w.die(bob)
			c.change(w)
			pin, rev, err := w.store.GetVersion(t.Context(), id)
			if err != nil {
				t.Fatal(err)
			}
			r := w.reconciler(alice, func(o *Options) {
				if name == "not wanted" {
					o.Trusted, o.OnlyTrusted = trustOnly(alice, bob), true
				}
			})
			found, err := r.copies(t.Context(), w.view(alice), id, rev, pin.Allocations)
			if err != nil {
				t.Fatal(err)
			}
			if found.none() == c.exists {
				t.Errorf("there is none: %t", found.none())
			}
			o, err := r.others(t.Context(), w.view(alice), *pin, rev)
			if err != nil {
				t.Fatal(err)
			}
			if slices.Contains(o.pinned, carol) != c.stays {
				t.Errorf("who hands over counts %q", o.pinned)
			}
			changed, err := r.settleBy(t.Context(), w.view(alice), *pin, found)
			if err != nil || changed != c.settles {
				t.Errorf("the move ended: %t, %v", changed, err)
			}
		})
	}
}
