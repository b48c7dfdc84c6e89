package tracker

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// due is a pin of this peer in the bucket that is checked after n others from now on.
func (r *rig) due(n int, label string) *api.Pin {
	step := r.opts.CheckEvery / state.Buckets
	bucket := (int(time.Now().UnixNano()/int64(step)%state.Buckets) + n) % state.Buckets
	for i := 0; ; i++ {
		if c := statetest.Cid(fmt.Sprint(label, i)); state.Bucket(c) == bucket {
			return r.own(fmt.Sprint(label, i))
		}
	}
}

func checkEvery(every time.Duration) func(*Options) {
	return func(o *Options) { o.CheckEvery = every }
}

// TestCheckComesBack: what could not be checked while IPFS, the database, or one bucket
// was away is checked soon after, and not at the same time of the next day.
func TestCheckComesBack(t *testing.T) {
	for name, away := range map[string]func(r *rig, lost *api.Pin, away bool){
		"IPFS":         func(r *rig, _ *api.Pin, away bool) { r.ipfs.edit(func() { r.ipfs.down = away }) },
		"IPFS hangs":   func(r *rig, _ *api.Pin, away bool) { r.ipfs.edit(func() { r.ipfs.hangs = away }) },
		"the database": func(r *rig, _ *api.Pin, away bool) { r.store.edit(func() { r.store.down = away }) },
		"one bucket": func(r *rig, lost *api.Pin, away bool) {
			r.store.edit(func() {
				r.store.badAt = 0
				if away {
					r.store.badAt = state.Bucket(lost.Cid)
				}
			})
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newIPFS(), checkEvery(24*time.Hour))
				r.run()
				seconds(1)
				lost := r.due(40, "lost")
				r.store.left(lost, state.PlacementPinned)
				away(r, lost, true)
				seconds(30 * 60)
				away(r, lost, false)
				seconds(60 * 60)
				if !r.ipfs.has(lost.Cid) {
					t.Error("what IPFS has lost was not found")
				}
			})
		})
	}
}

// TestSlowCheck: a check that takes long lets none be left out.
func TestSlowCheck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), checkEvery(state.Buckets*time.Second))
		r.ipfs.edit(func() { r.ipfs.answers = 8 * time.Second })
		r.run()
		synctest.Wait()
		slow, lost := r.due(5, "slow"), r.due(8, "lost")
		r.store.left(slow, state.PlacementPinned)
		r.ipfs.edit(func() { r.ipfs.pins[slow.Cid] = -1 })
		r.store.left(lost, state.PlacementPinned)
		seconds(60)
		if !r.ipfs.has(lost.Cid) {
			t.Error("what IPFS has lost was not found")
		}
	})
}

// TestCheckFailsLate: an error of IPFS keeps from nothing that is known by then.
func TestCheckFailsLate(t *testing.T) {
	for _, status := range []string{"to go", "lost"} {
		t.Run(status, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newIPFS(), checkEvery(24*time.Hour))
				if status == "lost" {
					r.ipfs.told = func(api.Cid) { r.ipfs.edit(func() { r.ipfs.down = true }) }
				}
				r.run()
				synctest.Wait()
				two := []*api.Pin{r.due(5, "a"), r.due(5, "b")}
				slices.SortFunc(two, func(a, b *api.Pin) int { return state.PlaceOf(a.Cid).Compare(state.PlaceOf(b.Cid)) })
				for _, pin := range two {
					r.store.left(pin, state.PlacementPinned)
					r.ipfs.edit(func() { r.ipfs.pins[pin.Cid] = -1 })
				}
				if status == "lost" {
					r.ipfs.edit(func() { delete(r.ipfs.pins, two[0].Cid) })
				} else {
					r.store.set(two[1].Cid, nil)
					r.ipfs.edit(func() { r.ipfs.down = true })
				}
				seconds(10 * 60)
				if lost := status == "lost"; r.ipfs.has(two[0].Cid) != true || r.ipfs.has(two[1].Cid) != lost {
					t.Errorf("IPFS has %v", r.ipfs.all())
				}
			})
		})
	}
}

// TestCheckBesideScans: neither a full queue nor a bucket that cannot be read, which hold
// up the scan at the start, hold up the others.
func TestCheckBesideScans(t *testing.T) {
	for name, hold := range map[string]func(r *rig, pins []*api.Pin){
		"a full queue": func(r *rig, pins []*api.Pin) {
			for _, pin := range pins {
				r.store.left(pin, state.PlacementQueued)
			}
		},
		"a bad bucket": func(r *rig, pins []*api.Pin) {
			r.store.left(pins[0], state.PlacementPinned)
			r.store.badAt = state.Bucket(pins[0].Cid)
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newIPFS(), checkEvery(24*time.Hour), func(o *Options) {
					o.Config.MaxPinQueueSize, o.Config.ConcurrentPins = 1, 0 // which stays full
				})
				pins := make([]*api.Pin, 6)
				for i := range pins {
					pins[i] = r.own(fmt.Sprint(i))
				}
				slices.SortFunc(pins, func(a, b *api.Pin) int { return state.PlaceOf(a.Cid).Compare(state.PlaceOf(b.Cid)) })
				failed, gone := pins[0], pins[5]
				hold(r, pins[1:5])
				r.run()
				seconds(5)
				for _, pin := range []*api.Pin{failed, gone} {
					r.store.left(pin, state.PlacementPinned)
					r.ipfs.edit(func() { r.ipfs.pins[pin.Cid] = -1 })
					r.store.set(pin.Cid, nil)
				}
				r.store.noted(failed.Cid, state.PlacementUnpinError)
				r.left.Add(1)
				seconds(3600 + 60)
				if r.ipfs.has(failed.Cid) || r.scanned.Load() {
					t.Errorf("what was left to a scan is in IPFS: %t, the first one has ended: %t", r.ipfs.has(failed.Cid), r.scanned.Load())
				}
				seconds(24 * 3600)
				if r.ipfs.has(gone.Cid) || r.scanned.Load() {
					t.Errorf("what is to go is in IPFS: %t, the first scan has ended: %t", r.ipfs.has(gone.Cid), r.scanned.Load())
				}
			})
		})
	}
}

// TestScanOfWhatIsWorkedOn: a scan waits for no room for what is in the queue.
func TestScanOfWhatIsWorkedOn(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) { o.Config.MaxPinQueueSize, o.Config.ConcurrentPins = 1, 0 })
		pin := r.own("a")
		r.act(r.store.set(pin.Cid, pin))
		seconds(10)
		if row := r.store.row(pin.Cid); row.Status != state.PlacementQueued || !r.full(pin) {
			t.Fatalf("row %+v, the queue is full: %t", row, r.full(pin))
		}
		ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
		defer cancel()
		r.scan(ctx, true)
		if ctx.Err() != nil {
			t.Error("it waits")
		}
	})
}

// TestRounds: a round that takes longer than it may is told of, and those that do not are
// not. Of what was missed no more than one round is made up for.
func TestRounds(t *testing.T) {
	const every = state.Buckets * time.Minute
	now := time.Unix(1_000_000_000, 0)
	r := newRounds(now, every)
	round := func(step time.Duration) (late bool, seen map[int]int) {
		seen = make(map[int]int)
		for range state.Buckets {
			now = now.Add(step)
			seen[r.todo[0]]++
			r.checked(now, nil)
			late = late || r.late
		}
		return late, seen
	}
	for i, tt := range []struct {
		step   time.Duration
		late   bool
		behind time.Duration
	}{{time.Minute, false, 0}, {time.Minute, false, 0}, {2 * time.Minute, true, every}, {3 * time.Minute, true, every}, {time.Minute / 2, false, every / 2}} {
		late, seen := round(tt.step)
		if late != tt.late || r.late || len(seen) != state.Buckets {
			t.Errorf("round %d: late: %t, after it: %t, %d buckets were checked", i, late, r.late, len(seen))
		}
		if behind := now.Sub(r.due); behind != tt.behind {
			t.Errorf("round %d is behind by %s, want %s", i, behind, tt.behind)
		}
	}
	bad, tries := r.todo[0], 0
	for range 2 * state.Buckets {
		now = now.Add(time.Minute)
		if r.todo[0] != bad {
			r.checked(now, nil)
			continue
		}
		tries++
		r.checked(now, errors.New("no answer"))
	}
	if want := 2 * state.Buckets / (checkAgain + 1); tries < want || tries > want+1 {
		t.Errorf("a bucket that cannot be checked was tried %d times, want %d", tries, want)
	}
}
