package tracker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"
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
			r.lookAgain(pin.Cid, firstLook)
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
