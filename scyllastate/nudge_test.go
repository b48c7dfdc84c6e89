package scyllastate

import (
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestWokenFeedsRest: while others wake it, a peer reads its feeds a tenth as often, sees
// at once what it is woken for, and looks at once when it is not woken any more.
func TestWokenFeedsRest(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, func(*feedRig, state.Change) error { return nil })
		shared := sharedFeeds()
		reads := func(d time.Duration) (own, all int) {
			r.mu.Lock()
			clear(r.reads)
			r.mu.Unlock()
			time.Sleep(d)
			synctest.Wait()
			r.mu.Lock()
			defer r.mu.Unlock()
			return r.reads[ownName], r.reads[shared[0]]
		}
		for _, quiet := range []bool{false, true} {
			if quiet {
				time.Sleep(2 * quietAfter)
			} else {
				r.write(ownName, "an early one")
				r.write(shared[0], "one for all")
				time.Sleep(time.Second)
			}
			own, all := reads(40 * time.Second)
			r.store.SetWoken(true)
			time.Sleep(time.Minute / 2) // the pauses that have begun
			if !quiet {
				r.write(ownName, "a later one")
				r.write(shared[0], "one more for all")
				r.store.Wake(ownName, shared[0])
				time.Sleep(time.Second)
			}
			ownWoken, allWoken := reads(40 * time.Second)
			passes := 1 // reads of a look, if nothing was written lately
			if !quiet {
				passes = 2
			}
			if ownWoken == 0 || ownWoken > passes*(own/wokenFactor+1) || allWoken == 0 || allWoken > passes*(all/wokenFactor+1) {
				t.Errorf("quiet %t: a peer reads %d and %d times, woken %d and %d times", quiet, own, all, ownWoken, allWoken)
			}
			r.store.SetWoken(false)
			time.Sleep(time.Minute / 2)
		}

		r.store.SetWoken(true)
		time.Sleep(time.Minute)
		r.write(ownName, "woken for")
		r.store.Wake(ownName)
		time.Sleep(wakeEvery)
		synctest.Wait()
		if len(r.calls("woken for")) != 1 {
			t.Error("what it is woken for waits")
		}
		time.Sleep(time.Minute)
		r.write(shared[2], "nobody wakes")
		r.write(ownName, "neither here")
		r.store.SetWoken(false)
		time.Sleep(2 * wakeEvery)
		synctest.Wait()
		if len(r.calls("nobody wakes")) != 1 || len(r.calls("neither here")) != 1 {
			t.Error("what it is not woken for any more waits")
		}
		if !r.passed(time.Now().Add(-time.Second)) {
			t.Error("the cursor does not move")
		}
	})
}

// TestCursorMovesWhileWoken: it is not far behind, however seldom feeds are read.
func TestCursorMovesWhileWoken(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newFeedRig(t, func(*feedRig, state.Change) error { return nil })
		r.store.SetWoken(true)
		for range 20 {
			time.Sleep(time.Minute)
			if behind := time.Since(r.tail.position()); behind > r.store.lim.window()+wokenFactor*sharedIdle+time.Second {
				t.Fatalf("it is %s behind", behind)
			}
		}
	})
}

// TestOnWrite: who asks for it learns of each write that was made, and of no other, with
// the feeds of those who must know.
func TestOnWrite(t *testing.T) {
	s := newTestStore(t)
	var mu sync.Mutex
	var told [][]string
	s.OnWrite(func(feeds []string) {
		mu.Lock()
		defer mu.Unlock()
		told = append(told, slices.Clone(feeds))
	})
	a, b := statetest.Peer("a"), statetest.Peer("b")
	pin := held("x", a)
	everywhere := api.PinWithOpts(statetest.Cid("y"), api.PinOptions{ReplicationFactorMin: -1, ReplicationFactorMax: -1})
	must(t, s.Add(t.Context(), pin))
	pin.Allocations[0] = b
	must(t, s.Add(t.Context(), pin))
	must(t, s.Add(t.Context(), everywhere))
	must(t, s.Tell(t.Context(), a, pin.Cid))
	if err := s.PutIf(t.Context(), pin, state.Revision{1}); !errors.Is(err, state.ErrChanged) {
		t.Errorf("PutIf of another revision: %v", err)
	}
	must(t, s.Rm(t.Context(), statetest.Cid("nothing")))
	want := [][]string{{a.String()}, {a.String(), b.String()}, {everywhereFeed(everywhere.Cid)}, {a.String()}}
	if !slices.EqualFunc(told, want, slices.Equal) {
		t.Errorf("told of %q, want %q", told, want)
	}
}
