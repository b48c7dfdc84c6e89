package tracker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestLooksAreFew: IPFS is not asked for all at once that was pinned at the same time, and
// may be unpinned yet. What it has lost is found.
func TestLooksAreFew(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		r.ipfs.edit(func() { r.ipfs.answers = 10 * time.Millisecond })
		const many = 1000
		for i := range many {
			pin := r.own(fmt.Sprint(i))
			r.store.set(pin.Cid, pin)
			if i%2 == 0 {
				r.ipfs.edit(func() { r.ipfs.pins[pin.Cid] = -1 })
			}
			r.lookAgain(pin.Cid, firstLook, firstLook)
		}
		seconds(15)
		r.ipfs.edit(func() {
			if r.ipfs.mostAsking > 2*r.opts.Config.ConcurrentPins { // they ask, too
				t.Errorf("IPFS was asked %d questions at once", r.ipfs.mostAsking)
			}
		})
		time.Sleep(10 * time.Minute)
		synctest.Wait()
		if n := len(r.ipfs.all()); n != many {
			t.Errorf("%d of %d are pinned", n, many)
		}
	})
}

// TestRowsOfBeforeAreLookedAtOnce: what an earlier process has left costs one look when it
// is pinned, and no memory beyond a bound.
func TestRowsOfBeforeAreLookedAtOnce(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		const many = 15
		for i := range many {
			r.store.left(r.own(fmt.Sprint(i)), state.PlacementQueued)
		}
		r.run()
		seconds(8)
		if n := r.looks.len(); n != many {
			t.Errorf("%d of %d wait for a look", n, many)
		}
		asked := 0
		r.ipfs.edit(func() { asked = -r.ipfs.questions })
		time.Sleep(3 * time.Hour)
		r.ipfs.edit(func() { asked += r.ipfs.questions })
		if asked != many || r.looks.len() != 0 {
			t.Errorf("IPFS was asked %d times about %d pins, and %d wait", asked, many, r.looks.len())
		}
		for range maxLooks + 1 {
			r.lookAgain(statetest.Cid("x"), time.Hour, firstLook)
		}
		if n := r.looks.len(); n != maxLooks {
			t.Errorf("%d wait for a look, want %d", n, maxLooks)
		}
	})
}
