package reconcile

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// onlyOnBob pins CIDs on bob alone, whose feed says nothing of them. It must not
// be called while a feed is read.
func (w *world) onlyOnBob(from, to int) []api.Cid {
	var cids []api.Cid
	for n := from; n < to; n++ {
		cids = append(cids, w.add(n, 1, 1, bob))
	}
	clear(w.store.feeds)
	return cids
}

func (w *world) wantNoneOnBob(cids []api.Cid) {
	w.t.Helper()
	for _, c := range cids {
		if allocatedTo(*w.store.pin(c), bob) {
			w.t.Errorf("%s is still with the removed peer", w.store.pin(c).Name)
		}
	}
}

// noted returns what is noted of the removal of bob in the view.
func (w *world) noted() []int {
	bob, _ := w.view(alice).Get(bob)
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	return slices.Clone(w.store.handed[removal{bob.ID, bob.RemovedAt.UnixMilli()}])
}

func (w *world) wantCalls(when string, want map[string]int) {
	w.t.Helper()
	w.store.mu.Lock()
	defer w.store.mu.Unlock()
	for call, n := range want {
		if got := w.store.calls[call]; got != n {
			w.t.Errorf("%s: %d calls of %s, want %d", when, got, call, n)
		}
	}
	clear(w.store.calls)
}

// nothing is what a start asks of the store for a removed peer that was handed
// over: two reads.
func nothing() map[string]int {
	return map[string]int{"PlacementBuckets bob": 1, "HandedOver": 1, "ListPlacements bob": 0, "MarkHandedOver": 0, "GetVersion": 0}
}

// TestRemovedPeerIsLookedThroughOnce: once all is handed over, neither a start nor
// another owner looks at what the removed peer held.
func TestRemovedPeerIsLookedThroughOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		cids := w.onlyOnBob(0, 300)
		used := w.store.buckets(bob)
		w.remove(bob)
		time.Sleep(DefaultSettle)
		stop := w.run(alice)
		stopCarol := w.run(carol)
		pass(time.Minute)
		w.wantNoneOnBob(cids)
		if !slices.Equal(w.noted(), used) {
			t.Errorf("noted %d, want %d", w.noted(), used)
		}
		w.wantCalls("two peers share the work", map[string]int{"PlacementBuckets bob": 2, "ListPlacements bob": len(used)})
		stopCarol()
		w.die(carol)
		pass(10 * time.Minute)
		w.wantCalls("alice has all of the work", map[string]int{"PlacementBuckets bob": 1, "HandedOver": 1, "ListPlacements bob": 0, "MarkHandedOver": 0})
		w.revive(dave)
		pass(10 * time.Minute)
		w.wantCalls("another peer comes", map[string]int{"PlacementBuckets bob": 0, "HandedOver": 0, "ListPlacements bob": 0, "MarkHandedOver": 0})
		stop()
		w.set(func() { delete(w.members, carol); delete(w.members, dave) })
		defer w.run(alice)()
		pass(time.Hour)
		w.wantCalls("alice starts again", nothing())
	})
}

// TestHandOverGoesOn: what a peer did not get to is done by the next, and
// only that.
func TestHandOverGoesOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		cids := w.onlyOnBob(0, 300)
		used := w.store.buckets(bob)
		w.remove(bob)
		time.Sleep(DefaultSettle)
		stop := w.run(alice) // carol is live and does not work
		pass(time.Minute)
		stop()
		part := len(w.noted())
		if part == 0 || part == len(used) {
			t.Fatalf("%d of %d buckets are alice's", part, len(used))
		}
		w.wantCalls("alice", map[string]int{"ListPlacements bob": part})
		stop = w.run(alice)
		pass(time.Minute)
		w.wantCalls("alice again", nothing())
		w.die(carol)
		pass(time.Minute)
		stop()
		w.wantNoneOnBob(cids)
		w.wantCalls("alice alone", map[string]int{"ListPlacements bob": len(used) - part})
		if !slices.Equal(w.noted(), used) {
			t.Errorf("noted %d, want %d", w.noted(), used)
		}
	})
}

// TestDeadPeerIsNotHandedOver: it may come back to its pins.
func TestDeadPeerIsNotHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		cids := w.onlyOnBob(0, 20)
		w.die(bob)
		defer w.run(alice)()
		pass(50 * time.Minute)
		w.wantNoneOnBob(cids)
		w.wantCalls("dead", map[string]int{"MarkHandedOver": 0, "HandedOver": 0, "ListPlacements bob": len(w.store.buckets(bob))})
		w.remove(bob)
		pass(time.Hour)
		if !slices.Equal(w.noted(), w.store.buckets(bob)) {
			t.Errorf("noted %d after the removal", w.noted())
		}
	})
}

// TestRemovedAgain: the notes on a removal say nothing of the next one.
func TestRemovedAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		first := w.onlyOnBob(0, 20)
		defer w.run(alice)()
		w.remove(bob)
		pass(10 * time.Minute)
		w.wantNoneOnBob(first)
		before := w.noted()
		w.revive(bob)
		pass(time.Minute)
		second := w.onlyOnBob(0, 40)
		w.remove(bob)
		pass(10 * time.Minute)
		w.wantNoneOnBob(second)
		if used := w.store.buckets(bob); !slices.Equal(w.noted(), used) || len(before) == 0 || len(w.store.handed) != 2 {
			t.Errorf("noted %d, before %d, want %d", w.noted(), before, used)
		}
	})
}

// TestOnlyWhatIsDoneIsNoted: a bucket with a pin that stays with the removed
// peer, whatever the reason, is not done, and holds up no other.
func TestOnlyWhatIsDoneIsNoted(t *testing.T) {
	for name, broken := range map[string]error{
		"cannot be decoded": fmt.Errorf("the stored pin is %w", state.ErrCorrupt),
		"cannot be read":    errors.New("no database"),
		"nobody can take":   nil,
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, alice, bob)
				cids := w.onlyOnBob(0, 20)
				bad := w.add(20, 1, 1, bob)
				if broken == nil {
					bad = w.add(20, 3, 3, bob)
				}
				clear(w.store.feeds)
				w.store.fail = func(call string, c api.Cid) error {
					if call == "GetVersion" && c.Equals(bad) {
						return broken
					}
					return nil
				}
				w.remove(bob)
				time.Sleep(DefaultSettle)
				stop := w.run(alice)
				pass(time.Minute)
				stop()
				w.wantNoneOnBob(cids)
				left := hashOf(bad, state.Buckets)
				want := slices.DeleteFunc(w.store.buckets(bob), func(b int) bool { return b == left })
				if !slices.Equal(w.noted(), want) {
					t.Errorf("noted %d, want %d", w.noted(), want)
				}
				w.store.fail = nil
				w.revive(carol)
				w.revive(dave)
				clear(w.store.calls)
				stop = w.run(alice, carol, dave)
				pass(time.Minute)
				w.wantCalls("the next start", map[string]int{"ListPlacements bob": 1})
				stop()
				w.wantNoneOnBob([]api.Cid{bad})
				if !slices.Equal(w.noted(), w.store.buckets(bob)) {
					t.Errorf("noted %d in the end", w.noted())
				}
			})
		})
	}
}

// TestHandOverOutlastsErrors: a note that fails costs no other look at the
// placements, and without the notes there is none.
func TestHandOverOutlastsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		cids := w.onlyOnBob(0, 200)
		used := w.store.buckets(bob)
		broken := "HandedOver"
		w.store.fail = func(call string, _ api.Cid) error {
			if call == broken {
				return errors.New("no database")
			}
			return nil
		}
		w.remove(bob)
		time.Sleep(DefaultSettle)
		l := newRepin(w.reconciler(alice))
		if err := l.pass(t.Context()); err == nil {
			t.Error("notes that could not be read are not reported")
		}
		w.wantCalls("without the notes", map[string]int{"ListPlacements bob": 0, "HandedOver": 1})
		broken = "MarkHandedOver"
		if err := l.pass(t.Context()); err == nil {
			t.Error("notes that could not be written are not reported")
		}
		w.wantNoneOnBob(cids)
		w.wantCalls("that cannot be noted", map[string]int{"ListPlacements bob": len(used), "MarkHandedOver": 1})
		if err := l.pass(t.Context()); err == nil {
			t.Error("notes that could not be written are forgotten")
		}
		broken = ""
		if err := l.pass(t.Context()); err != nil {
			t.Error(err)
		}
		w.wantCalls("that can be noted", map[string]int{"ListPlacements bob": 0, "MarkHandedOver": 2})
		if !slices.Equal(w.noted(), used) {
			t.Errorf("noted %d, want %d", w.noted(), used)
		}
	})
}

// TestPeerAtWorkAfterItsRemoval: what it does until it knows is found, in
// buckets that were looked at before and in others.
func TestPeerAtWorkAfterItsRemoval(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		cids := w.onlyOnBob(0, 20)
		late := cids[0] // moved, and given to bob again
		w.remove(bob)
		l := newRepin(w.reconciler(alice)) // without its feed
		look := func(after time.Duration) {
			t.Helper()
			time.Sleep(after)
			if err := l.pass(t.Context()); err != nil {
				t.Error(err)
			}
		}
		look(time.Second)
		w.wantNoneOnBob(cids)
		pin := *w.store.pin(late)
		pin.Allocations = []peer.ID{bob}
		w.store.write(late, &pin)
		cids = append(cids, w.onlyOnBob(20, 30)...)
		look(30 * time.Second)
		if n := len(w.noted()); n > 0 {
			t.Errorf("%d buckets are noted while the removed peer may be at work", n)
		}
		look(30 * time.Second)
		w.wantNoneOnBob(append(cids, late))
		if used := w.store.buckets(bob); !slices.Equal(w.noted(), used) {
			t.Errorf("noted %d, want %d", w.noted(), used)
		}
		w.wantCalls("in all", map[string]int{"PlacementBuckets bob": 2, "HandedOver": 2})
		look(time.Hour)
		w.wantCalls("an hour later", map[string]int{"PlacementBuckets bob": 0, "ListPlacements bob": 0})
	})
}

// TestOwnerChangesInAnEarlyLook: the buckets that were looked at early are done
// again, also when the rest of the look is not early.
func TestOwnerChangesInAnEarlyLook(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		cids := w.onlyOnBob(0, 300)
		w.store.slow = 100 * time.Millisecond
		w.remove(bob)
		time.Sleep(DefaultSettle - 200*time.Millisecond)
		begun := time.Now()
		w.onAllocate = func(api.Cid) {
			if time.Since(begun) > 500*time.Millisecond {
				w.die(carol)
			}
		}
		l := newRepin(w.reconciler(alice))
		for range 2 {
			if err := l.pass(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		w.wantNoneOnBob(cids)
		if used := w.store.buckets(bob); !slices.Equal(w.noted(), used) {
			t.Errorf("%d buckets are noted, want %d", len(w.noted()), len(used))
		}
	})
}

// TestPeerThatCameBackIsNotHandedOver: the pins that were left to it are not
// done with.
func TestPeerThatCameBackIsNotHandedOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		w.onlyOnBob(0, 20)
		w.remove(bob)
		removed := w.members[bob]
		time.Sleep(DefaultSettle)
		w.onAllocate = func(api.Cid) { w.revive(bob) }
		l := newRepin(w.reconciler(alice))
		if err := l.pass(t.Context()); err != nil {
			t.Error(err)
		}
		if w.store.count("ListPlacements bob") == 0 || w.store.count("MarkHandedOver") > 0 {
			t.Errorf("the calls are %v", w.store.calls)
		}
		// The same when it is removed once more while the look goes on.
		w.onAllocate = nil
		w.member(bob, func(m *membership.Peer) { *m = removed; m.RemovedAt = time.Now() })
		l.mark(t.Context(), bob, &repinPeer{since: removed.RemovedAt, removed: true, buckets: [state.Buckets]bucketState{7: bucketUnmarked}})
		if w.store.count("MarkHandedOver") > 0 {
			t.Error("noted under a removal that is over")
		}
	})
}

// TestTwoHandOverAtOnce: two that both take themselves for the owner get in each
// other's way with nothing.
func TestTwoHandOverAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		cids := w.onlyOnBob(0, 200)
		w.store.slow = time.Millisecond
		w.remove(bob)
		time.Sleep(DefaultSettle)
		stop := w.start(w.reconciler(alice), w.reconciler(alice))
		pass(2 * time.Minute)
		stop()
		w.wantNoneOnBob(cids)
		if used := w.store.buckets(bob); !slices.Equal(w.noted(), used) {
			t.Errorf("noted %d, want %d", w.noted(), used)
		}
	})
}
