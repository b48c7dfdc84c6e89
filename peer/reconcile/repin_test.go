package reconcile

import (
	"context"
	"errors"
	"reflect"
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

func TestDeadPeersPinsMove(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		under := w.add(1, 2, 2, alice, bob)
		enough := w.add(2, 1, 3, alice, bob) // a dead holder between rmin and rmax
		alone := w.add(3, 1, 2, bob)
		notBobs := w.add(4, 1, 1, alice)
		leaving := w.add(5, 1, 1, carol)
		w.store.hold(bob, leaving, state.PlacementUnpinning)
		again := w.add(7, 1, 1, bob) // pinned again before the unpin had ended
		w.store.hold(bob, again, state.PlacementUnpinning)
		everywhere := w.add(6, -1, -1)
		w.store.hold(bob, everywhere, state.PlacementPinned)
		strange := w.addUnheld(8, 1, 1, bob)
		w.store.hold(bob, strange, unknownStatus)
		before := *w.store.pin(under)
		used := len(w.store.buckets(bob))
		clear(w.store.feeds) // another loop moves pins by them, at the same time
		defer w.run(alice, carol)()
		pass(time.Minute)
		w.wantHolders(under, alice, bob)
		if n := w.store.count("ListPlacements bob"); n != 0 {
			t.Errorf("the placements of a live peer were listed %d times", n)
		}
		w.die(bob)
		pass(31 * time.Second)
		w.wantHolders(under, alice, carol)
		w.wantHolders(enough, alice, bob)
		w.wantHolders(alone, alice, carol)
		w.wantHolders(notBobs, alice)
		w.wantHolders(leaving, carol)
		w.wantHolders(again, alice)
		w.wantHolders(strange, alice)
		if n := w.store.count("ListPlacements bob"); n != used {
			t.Errorf("two peers listed %d buckets of a dead one together, want each of the %d in use once", n, used)
		}
		after := *w.store.pin(under)
		if before.Allocations = after.Allocations; !before.Equals(after) || !before.Timestamp.Equal(after.Timestamp) {
			t.Errorf("more than the allocations changed: %+v, was %+v", after, before)
		}
		pass(50 * time.Minute)
		if n := w.store.count("ListPlacements bob"); n != used {
			t.Errorf("what was done is done again: %d listings", n)
		}
		pass(2 * time.Hour) // what was moved is looked at once more
		if n := w.store.count("ListPlacements bob"); n <= used || n > 2*used {
			t.Errorf("there were %d listings in all", n)
		}
	})
}

func TestRepinOnlyWhenAllowed(t *testing.T) {
	for name, forbid := range map[string]func(*world, bool){
		"disable_repinning": func(w *world, on bool) { w.set(func() { w.repin = !on }) },
		"frozen":            func(w *world, on bool) { w.set(func() { w.frozen = on }) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, alice, bob, carol)
				c := w.add(1, 1, 1, bob)
				fed := w.addUnheld(2, 1, 1, bob)
				forbid(w, true)
				w.die(bob)
				defer w.run(alice, carol)()
				pass(time.Hour)
				w.wantHolders(c, bob)
				w.wantHolders(fed, bob)
				forbid(w, false)
				pass(time.Minute)
				w.wantHolders(c, alice)
				w.wantHolders(fed, alice)
			})
		})
	}
}

func TestWorkOnAPeerEndsWhenItComesBack(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		w.set(func() { w.repin = false })
		w.die(bob)
		defer w.run(alice)()
		pass(time.Minute)
		w.revive(bob)
		w.set(func() { w.repin = true })
		pass(time.Minute)
		if n := w.store.count("ListPlacements bob"); n != 0 {
			t.Errorf("the placements of a live peer were listed %d times", n)
		}
	})
}

func TestFollowerRunsNoLoop(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		c := w.add(1, 1, 1, bob)
		w.die(bob)
		r := w.reconciler(alice, func(o *Options) { o.Follower, o.ScrubEvery = true, time.Hour })
		ctx, cancel := context.WithTimeout(t.Context(), time.Hour)
		defer cancel()
		r.Run(ctx)
		if ctx.Err() == nil {
			t.Error("Run returned before its context ended")
		}
		w.wantHolders(c, bob)
		if len(w.store.calls) > 0 {
			t.Errorf("a follower used the store: %v", w.store.calls)
		}
	})
}

func TestRemovedPeerIsTakenOut(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		enough := w.add(1, 1, 3, alice, bob)
		under := w.add(2, 2, 3, alice, bob)
		impossible := w.add(3, 3, 3, alice, bob, carol)
		again := w.add(4, 1, 2, alice, bob) // pinned again before the unpin had ended
		w.store.hold(bob, again, state.PlacementUnpinError)
		w.store.feeds[bob] = slices.DeleteFunc(w.store.feeds[bob], again.Equals) // only the placement tells
		w.die(bob)
		defer w.run(alice, carol)()
		pass(time.Minute)
		w.wantHolders(enough, alice, bob)
		w.remove(bob)
		pass(time.Minute)
		w.wantHolders(enough, alice)
		w.wantHolders(again, alice)
		w.wantHolders(under, alice, carol)
		w.wantHolders(impossible, alice, bob, carol)
		w.revive(dave)
		pass(time.Minute)
		w.wantHolders(impossible, alice, carol, dave)
	})
}

func TestRemovedPeerThatCameBackKeepsItsPins(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		first, second := w.add(1, 1, 1, bob), w.add(2, 1, 1, bob)
		r := w.reconciler(alice)
		w.remove(bob)
		if moved, err := r.moveAway(t.Context(), r.metrics(t.Context()), bob, first); !moved.changed || err != nil {
			t.Fatalf("moved %v, %v", moved, err)
		}
		w.revive(bob)
		if moved, err := r.moveAway(t.Context(), r.metrics(t.Context()), bob, second); moved.changed || err != nil {
			t.Errorf("moved %v, %v", moved, err)
		}
		w.wantHolders(second, bob)
	})
}

func TestRepinGivesWay(t *testing.T) {
	for name, c := range map[string]struct {
		race func(w *world, c api.Cid)
		want func(w *world, c api.Cid)
	}{
		"to an unpin": {
			race: func(w *world, c api.Cid) { w.store.write(c, nil) },
			want: func(w *world, c api.Cid) {
				if w.store.pin(c) != nil {
					w.t.Error("the repin brought an unpinned CID back")
				}
			},
		},
		"to a change of options": {
			race: func(w *world, c api.Cid) {
				pin := *w.store.pin(c)
				pin.Name, pin.ReplicationFactorMin, pin.ReplicationFactorMax = "renamed", 2, 2
				w.store.write(c, &pin)
			},
			want: func(w *world, c api.Cid) {
				w.wantHolders(c, alice, carol) // by the new factors, later
				if name := w.store.pin(c).Name; name != "renamed" {
					w.t.Errorf("the pin is named %q: the repin wrote over a change", name)
				}
			},
		},
	} {
		for _, when := range []string{"while choosing", "while writing"} {
			t.Run(name+" "+when, func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					w := newWorld(t, alice, bob, carol)
					id := w.add(1, 1, 1, bob)
					clear(w.store.feeds) // only the placement tells
					raced := false
					hook := func(api.Cid) {
						if raced {
							return
						}
						raced = true
						c.race(w, id)
						w.store.mu.Lock()
						defer w.store.mu.Unlock()
						clear(w.store.feeds)
					}
					if when == "while choosing" {
						w.onAllocate = hook
					} else {
						w.store.beforeWrite = hook
					}
					w.die(bob)
					defer w.run(alice, carol)()
					pass(2 * time.Minute)
					if !raced {
						t.Fatal("there was no race")
					}
					c.want(w, id)
				})
			})
		}
	}
}

func TestStarvedPinsAreLookedAtAgain(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		c := w.add(1, 2, 2, alice, bob)
		clear(w.store.feeds)
		w.die(bob)
		defer w.run(alice)()
		pass(time.Minute)
		reads := w.store.count("GetVersion")
		if reads != 1 {
			t.Errorf("a pin that nobody can take was read %d times in a minute, want 1", reads)
		}
		pass(5 * time.Minute)
		if n := w.store.count("GetVersion"); n != reads+1 {
			t.Errorf("and %d times in the next five, want 1", n-reads)
		}
		w.wantHolders(c, alice, bob)
		w.revive(carol)
		pass(31 * time.Second)
		w.wantHolders(c, alice, carol)
	})
}

// TestStarvedPinsAreLeftAlone: pins that nobody can take cost ever less as long as
// nobody comes who could, whether a placement tells of them or a feed.
func TestStarvedPinsAreLeftAlone(t *testing.T) {
	for name, clearing := range map[string]func(w *world){
		"in its placements": func(w *world) { clear(w.store.feeds) },
		"in its feed":       func(w *world) { clear(w.store.placements) },
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				const pins = 20
				w := newWorld(t, alice, bob)
				w.noMetric[carol] = true
				var cids []api.Cid
				for n := range pins {
					cids = append(cids, w.add(n, 2, 2, alice, bob))
				}
				clearing(w)
				w.die(bob)
				w.member(carol, func(m *membership.Peer) { m.Live, m.Seen, m.Role = true, true, membership.RoleFollower })
				defer w.run(alice)()
				// After 5, 15, 35, 75, 155 ... minutes.
				pass(24 * time.Hour)
				reads := w.store.count("GetVersion")
				if looks := float64(reads) / pins; looks < 4 || looks > 12 {
					t.Errorf("each was read %.1f times in a day", looks)
				}
				pass(5 * 24 * time.Hour)
				if looks := float64(w.store.count("GetVersion")-reads) / pins; looks < 3 || looks > 6 {
					t.Errorf("each was read %.1f times in the next five days", looks)
				}
				w.wantHolders(cids[0], alice, bob)
				w.set(func() { w.noMetric[carol] = false })
				pass(31 * time.Second)
				for _, c := range cids {
					w.wantHolders(c, alice, carol)
				}
			})
		})
	}
}

// TestStarvedPinsOfAFlickeringPeer: one whose metrics come and go, and who is not enough,
// lets nothing be read more often than every five minutes.
func TestStarvedPinsOfAFlickeringPeer(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		w.member(carol, func(m *membership.Peer) { m.Role = membership.RoleFollower })
		c := w.add(1, 4, 4, alice, bob)
		clear(w.store.feeds)
		w.die(bob)
		defer w.run(alice)()
		pass(time.Minute)
		for range 60 {
			w.set(func() { w.noMetric[carol] = !w.noMetric[carol] })
			pass(time.Minute)
		}
		if n := w.store.count("GetVersion"); n > 13 {
			t.Errorf("it was read %d times in an hour", n)
		}
		w.wantHolders(c, alice, bob)
	})
}

// TestMetricsAreReadOncePerBucket, and not for each pin in it.
func TestMetricsAreReadOncePerBucket(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob)
		cids := inOneBucket(t, 50)
		for _, c := range cids {
			pin := api.PinWithOpts(c, api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 1})
			pin.Allocations = []peer.ID{bob}
			w.store.write(c, &pin)
			w.store.hold(bob, c, state.PlacementPinned)
		}
		clear(w.store.feeds)
		w.die(bob)
		var read atomic.Int32
		r := w.reconciler(alice, func(o *Options) {
			o.Metrics = func(ctx context.Context, name string) []api.Metric {
				read.Add(1)
				return w.metrics(ctx, name)
			}
		})
		if err := newRepin(r).pass(t.Context()); err != nil {
			t.Fatal(err)
		}
		for _, c := range cids {
			w.wantHolders(c, alice)
		}
		if n := int(read.Load()); n > 2*len(w.Metrics()) {
			t.Errorf("metrics were read %d times for one bucket", n)
		}
	})
}

func TestRepinOutlastsErrors(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol)
		c := w.add(1, 1, 1, bob)
		bad := w.add(2, 1, 1, bob)
		clear(w.store.feeds)
		var works atomic.Int32 // of these calls in turn
		calls := []string{"PlacementBuckets bob", "ListPlacements bob", "GetVersion", "PutIf"}
		w.store.fail = func(call string, id api.Cid) error {
			if i := slices.Index(calls, call); i >= int(works.Load()) || id.Equals(bad) {
				return errors.New(call + " does not work")
			}
			return nil
		}
		w.die(bob)
		defer w.run(alice, carol)()
		for range calls {
			pass(3 * time.Minute)
			w.wantHolders(c, bob)
			works.Add(1)
		}
		pass(time.Minute)
		w.wantHolders(c, alice)
		w.wantHolders(bad, bob)
	})
}

func TestSharesOfAPeerThatDiesAreTakenOver(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		w := newWorld(t, alice, bob, carol, dave, erin)
		var cids []api.Cid
		for n := range 100 {
			cids = append(cids, w.add(n, 1, 1, bob))
		}
		clear(w.store.feeds)
		w.die(bob)
		defer w.run(alice, dave, erin)() // carol is live and does not work
		pass(time.Minute)
		left := 0
		for _, c := range cids {
			if w.store.pin(c).Allocations[0] == bob {
				left++
			}
		}
		if left == 0 || left == 100 {
			t.Fatalf("%d of 100 are left for carol", left)
		}
		w.die(carol)
		pass(time.Minute)
		for _, c := range cids {
			if w.store.pin(c).Allocations[0] == bob {
				t.Errorf("%s still is with the dead peer", c)
			}
		}
	})
}

// TestMovesAreBounded: a peer that died long ago was most likely dealt with, one
// that was removed was not, where there is no note of it.
func TestMovesAreBounded(t *testing.T) {
	long := 2 * DefaultFeedTTL
	for name, c := range map[string]struct {
		goes func(w *world)
		want int
	}{
		"just died":        {func(w *world) { w.die(bob) }, 8},
		"died long ago":    {func(w *world) { w.die(bob); time.Sleep(long) }, 1},
		"removed long ago": {func(w *world) { w.remove(bob); time.Sleep(long) }, 8},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				w := newWorld(t, alice, bob)
				for n, added := 0, 0; added < 100; n++ {
					// Close together, so that the pins are what is waited for.
					if hashOf(testCid(t, n), state.Buckets) < repinChunk {
						w.add(n, 1, 1, bob)
						added++
					}
				}
				clear(w.store.feeds)
				w.store.slow = time.Second
				c.goes(w)
				defer w.run(alice)()
				pass(10 * time.Minute)
				// The feed of a dead peer tells of each move: one more.
				if w.store.mostBusy != c.want && w.store.mostBusy != c.want+1 {
					t.Errorf("%d pins were looked at at once, want %d", w.store.mostBusy, c.want)
				}
			})
		})
	}
}

// TestRepinPeerIsSmall: one is kept for each peer that was ever removed.
func TestRepinPeerIsSmall(t *testing.T) {
	if n := reflect.TypeFor[repinPeer]().Size(); n > state.Buckets+512 {
		t.Errorf("it takes %d bytes, want one for each bucket and few others", n)
	}
	var p repinPeer
	p.add(7, bucketResult{alone: 2}, false)
	p.add(8, bucketResult{alone: 3}, false)
	p.add(7, bucketResult{}, false)
	if len(p.lonely) != 1 || p.alone() != 3 || !p.lookedAlone {
		t.Errorf("%d pins have no other copy, by bucket %v", p.alone(), p.lonely)
	}
}
