package tracker

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestRecoverAll queues what has failed or was lost, or of which nobody has told, and
// nothing else.
func TestRecoverAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		depth := api.PinDepth(-1)
		const lost, notTold = 100, 128
		r.many(1000)
		r.store.edit(func() {
			for c, row := range r.store.rows {
				row.Depth = &depth
				r.store.rows[c] = row
			}
		})
		failed := r.own("failed")
		r.store.left(failed, state.PlacementPinError)
		if err := r.RecoverAll(t.Context(), make(chan api.PinInfo)); err != nil {
			t.Errorf("the call of upstream's start: %s", err)
		}
		seconds(1)
		r.expect("after it", "", "")
		r.scanned.Store(true)
		out := make(chan api.PinInfo, 1000)
		if err := r.RecoverAll(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		n := 0
		for range out {
			n++
		}
		if n != lost+notTold+1 {
			t.Errorf("%d were queued", n)
		}
		seconds(30)
		if got := len(strings.Fields(r.ipfs.requests())); got != n {
			t.Errorf("IPFS was asked for %d", got)
		}
		if infos, err := r.list(api.TrackerStatusUnexpectedlyUnpinned | api.TrackerStatusPinError); err != nil || len(infos) != 0 {
			t.Errorf("%v, %v", infos, err)
		}
	})
}

// TestRecover queues one, and says so.
func TestRecover(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.own("a")
		r.ipfs.edit(func() { r.ipfs.fail = 2 })
		r.act(r.store.set(pin.Cid, pin))
		seconds(2)
		for try := 1; try <= 2; try++ {
			info, err := r.Recover(t.Context(), pin.Cid)
			if err != nil || !info.Status.Match(api.TrackerStatusPinQueued|api.TrackerStatusPinning) {
				t.Errorf("try %d: %+v, %v", try, info, err)
			}
			seconds(2)
		}
		if info, err := r.Recover(t.Context(), pin.Cid); err != nil || info.Status != api.TrackerStatusPinned {
			t.Errorf("%+v, %v", info, err)
		}
	})
}

// TestRecoverAllIntoFullQueue: it ends with an error, and leaves nothing running.
func TestRecoverAllIntoFullQueue(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) { o.Config.MaxPinQueueSize, o.Config.ConcurrentPins = 10, 1 })
		r.many(2000)
		r.ipfs.edit(func() { r.ipfs.slow = time.Hour })
		r.scanned.Store(true)
		for range 20 {
			ctx, cancel := context.WithCancel(t.Context())
			if err := r.RecoverAll(ctx, make(chan api.PinInfo, 100)); !errors.Is(err, ErrFullQueue) {
				t.Errorf("RecoverAll = %v", err)
			}
			cancel()
		}
	}) // which fails if a goroutine is left that waits
}

// TestRecoverTells: who lets something be tried again is told that it is queued, also
// before the pin was read for that.
func TestRecoverTells(t *testing.T) {
	for name, left := range map[string]func(r *rig, pin *api.Pin){
		"lost":                 func(r *rig, pin *api.Pin) { r.store.left(pin, state.PlacementPinned) },
		"failed":               func(r *rig, pin *api.Pin) { r.store.left(pin, state.PlacementPinError) },
		"lost, written again":  func(r *rig, pin *api.Pin) { r.store.left(pin, state.PlacementPinned); r.store.set(pin.Cid, pin) },
		"forgotten":            func(r *rig, pin *api.Pin) { r.store.set(pin.Cid, pin); r.store.changed[pin.Cid] = true },
		"an unpin that failed": func(r *rig, pin *api.Pin) { r.store.left(pin, state.PlacementUnpinError); r.store.set(pin.Cid, nil) },
	} {
		for _, all := range []bool{false, true} {
			t.Run(fmt.Sprintf("%s, all: %t", name, all), func(t *testing.T) {
				synctest.Test(t, func(t *testing.T) {
					r := newRig(t, newStore(), newIPFS())
					pin := r.own("a")
					left(r, pin)
					r.scanned.Store(true)
					for range noters { // nothing is read
						r.noters <- struct{}{}
					}
					var info api.PinInfo
					var err error
					if all {
						out := make(chan api.PinInfo, 10)
						err = r.RecoverAll(t.Context(), out)
						info = <-out
					} else {
						info, err = r.Recover(t.Context(), pin.Cid)
					}
					if err != nil || !info.Status.Match(api.TrackerStatusQueued) || info.Status == api.TrackerStatusUndefined {
						t.Errorf("%s, %v", info.Status, err)
					}
					for range noters {
						<-r.noters
					}
					seconds(5)
					if _, wanted := r.store.pins[pin.Cid]; r.ipfs.has(pin.Cid) != wanted || len(r.store.all()) != len(r.ipfs.all()) {
						t.Errorf("IPFS has %v, rows are %v", r.ipfs.all(), r.store.all())
					}
				})
			})
		}
	}
}

// TestRecoverAllEverywhere: the bound of the queue is kept, too, for pins that all hold.
func TestRecoverAllEverywhere(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) { o.Config.MaxPinQueueSize, o.Config.ConcurrentPins = 10, 1 })
		r.ipfs.edit(func() { r.ipfs.slow = time.Hour })
		for i := range 500 {
			pin := r.pin(fmt.Sprint(i))
			pin.ReplicationFactorMin, pin.ReplicationFactorMax = -1, -1
			r.store.left(pin, state.PlacementPinned)
		}
		r.scanned.Store(true)
		if err := r.RecoverAll(t.Context(), make(chan api.PinInfo, 500)); !errors.Is(err, ErrFullQueue) {
			t.Errorf("RecoverAll = %v", err)
		}
		if n := r.inMemory(); n > 20 {
			t.Errorf("%d are remembered", n)
		}
	})
}

// TestRecoverAllWithoutDepths: rows of a version that knew no depths cost no question
// each, and are not pinned again.
func TestRecoverAllWithoutDepths(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		depth := api.PinDepth(-1)
		for i := range 6000 {
			pin := r.own(fmt.Sprint(i))
			r.store.left(pin, state.PlacementPinned)
			r.ipfs.edit(func() { r.ipfs.pins[pin.Cid] = -1 })
			if i%2 == 0 {
				row := r.store.rows[pin.Cid]
				row.Depth = &depth
				r.store.rows[pin.Cid] = row
			}
		}
		r.scanned.Store(true)
		out := make(chan api.PinInfo, 6000)
		if err := r.RecoverAll(t.Context(), out); err != nil {
			t.Fatal(err)
		}
		if len(out) != 0 || r.ipfs.questions != 1 { // whether it answers
			t.Errorf("%d were queued, IPFS was asked %d times", len(out), r.ipfs.questions)
		}
	})
}
