package tracker

import (
	"errors"
	"fmt"
	"hash/maphash"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestStatusAll: a listing is complete and in order, whatever is being done.
func TestStatusAll(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		want := r.many(2000)
		r.ipfs.edit(func() { r.ipfs.slow = time.Hour })
		for i := range 500 {
			pin := r.own(fmt.Sprint("new", i))
			r.act(r.store.set(pin.Cid, pin))
			want[pin.Cid] = api.TrackerStatusPinQueued | api.TrackerStatusPinning
		}
		synctest.Wait()
		infos, err := r.list(0)
		if err != nil {
			t.Fatal(err)
		}
		if len(infos) != len(want) {
			t.Errorf("%d of %d are listed", len(infos), len(want))
		}
		for _, info := range infos {
			if !info.Status.Match(want[info.Cid]) {
				t.Errorf("%s is %s, want %s", info.Cid, info.Status, want[info.Cid])
			}
		}
		if !slices.IsSortedFunc(infos, func(a, b api.PinInfo) int { return state.PlaceOf(a.Cid).Compare(state.PlaceOf(b.Cid)) }) {
			t.Error("they are in no order")
		}
	})
}

// TestShortList: a list of IPFS that lacks pins, which it does not tell, makes nothing
// look lost.
func TestShortList(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		const many = 3 * maxAsked
		for i := range many {
			pin := r.own(fmt.Sprint(i))
			r.store.left(pin, state.PlacementPinned)
			r.ipfs.edit(func() { r.ipfs.pins[pin.Cid] = -1 })
		}
		r.ipfs.lists = func(string) ([]api.IPFSPinInfo, error) { return nil, nil }
		infos, err := r.list(api.TrackerStatusPinned)
		if err != nil || len(infos) != many {
			t.Errorf("%d of %d are pinned: %v", len(infos), many, err)
		}
	})
}

// TestKuboFails: a list of IPFS that fails, or has what was not asked for, fails the
// listing.
func TestKuboFails(t *testing.T) {
	for name, lists := range map[string]func(string) ([]api.IPFSPinInfo, error){
		"fails": func(string) ([]api.IPFSPinInfo, error) { return nil, errors.New("it broke") },
		"lists pins of another type": func(string) ([]api.IPFSPinInfo, error) {
			return slices.Repeat([]api.IPFSPinInfo{{Cid: statetest.Cid("x"), Type: api.IPFSPinStatusIndirect}}, 5000), nil
		},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newIPFS())
				r.many(100)
				r.ipfs.lists = lists
				if _, err := r.list(0); err == nil {
					t.Error("the listing succeeds")
				}
				out := make(chan api.PinInfo, 100)
				r.scanned.Store(true)
				if err := r.RecoverAll(t.Context(), out); err == nil || !strings.Contains(err.Error(), "IPFS") {
					t.Errorf("RecoverAll = %v", err)
				}
			})
		})
	}
}

// TestFingerprints: above a bound they are of the first buckets only.
func TestFingerprints(t *testing.T) {
	f := &fingerprints{seed: maphash.MakeSeed(), to: state.Buckets, sorted: -1}
	cids := make([]api.Cid, 50_000)
	for i := range cids {
		cids[i] = statetest.Cid(fmt.Sprint(i))
	}
	most := maxFingerprints
	f.kept = most - 30_000 // as if there were others
	for _, c := range cids {
		f.add(api.IPFSPinStatusRecursive, c)
	}
	if f.to != state.Buckets/2 || f.kept > most {
		t.Fatalf("buckets up to %d are kept, %d pins", f.to, f.kept)
	}
	slices.SortFunc(cids, func(a, b api.Cid) int { return state.PlaceOf(a).Compare(state.PlaceOf(b)) })
	for _, c := range cids {
		if state.Bucket(c) >= f.to {
			break
		}
		if found := f.find(c); !found.has(-1) || found.has(0) {
			t.Fatalf("%s: %+v", c, found)
		}
	}
}

// TestListWhilePinning: no pin that was just made is lost in a list, however old what
// IPFS has listed and the rows are that it is made of.
func TestListWhilePinning(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) { o.Config.ConcurrentPins = 100 })
		r.ipfs.lists = func(kind string) ([]api.IPFSPinInfo, error) {
			var all []api.IPFSPinInfo
			for c := range r.ipfs.all() {
				if kind == api.IPFSPinStatusRecursive.String() {
					all = append(all, api.IPFSPinInfo{Cid: c, Type: api.IPFSPinStatusRecursive})
				}
			}
			time.Sleep(700 * time.Millisecond)
			return all, nil
		}
		const many = 600
		for i := range many {
			pin := r.own(fmt.Sprint(i))
			ch := r.store.set(pin.Cid, pin)
			r.store.edit(func() { r.store.changed[pin.Cid] = true })
			time.AfterFunc(time.Duration(i)*10*time.Millisecond, func() { r.act(ch) })
		}
		for range 12 {
			infos, err := r.list(0)
			if err != nil || len(infos) != many {
				t.Fatalf("%d are listed, %v", len(infos), err)
			}
			for _, info := range infos {
				if info.Status == api.TrackerStatusUnexpectedlyUnpinned {
					t.Fatalf("%s is %s", info.Cid, info.Status)
				}
			}
		}
	})
}

// TestListOfOld: a row that was written after the rows were listed, and IPFS, counts.
func TestListOfOld(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.own("a")
		r.store.set(pin.Cid, pin)
		r.store.changed[pin.Cid] = true
		r.ipfs.lists = func(string) ([]api.IPFSPinInfo, error) {
			r.ipfs.edit(func() { r.ipfs.pins[pin.Cid] = -1 })
			r.store.noted(pin.Cid, state.PlacementPinned)
			return nil, nil
		}
		infos, err := r.list(0)
		if err != nil || len(infos) != 1 || infos[0].Status != api.TrackerStatusPinned {
			t.Errorf("%v, %v", infos, err)
		}
	})
}

// TestListOfErrorsIsCheap: while a start is not over, IPFS is not asked for each pin that
// is noted as pinned.
func TestListOfErrorsIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		for i := range 3000 {
			pin := r.own(fmt.Sprint(i))
			r.store.left(pin, state.PlacementPinned)
			r.ipfs.edit(func() { r.ipfs.pins[pin.Cid] = -1 })
		}
		failed := r.own("failed")
		r.store.left(failed, state.PlacementPinError)
		infos, err := r.list(api.TrackerStatusError)
		if err != nil || len(infos) != 1 || infos[0].Cid != failed.Cid {
			t.Errorf("%v, %v", infos, err)
		}
		if n := r.ipfs.questions; n > 2 {
			t.Errorf("IPFS was asked %d times", n)
		}
	})
}

// TestListOfBacklogIsCheap: of changes of which the tracker has not heard so far, as its
// queue is full, only so many are asked for one by one.
func TestListOfBacklogIsCheap(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		const queued = 2 * maxAsked
		for i := range 2 * queued {
			pin := r.own(fmt.Sprint(i))
			r.store.set(pin.Cid, pin)
			r.store.edit(func() { r.store.changed[pin.Cid] = true })
			if i%2 == 0 { // before a stop, or by somebody else
				r.ipfs.edit(func() { r.ipfs.pins[pin.Cid] = -1 })
			}
		}
		r.scanned.Store(true)
		infos, err := r.list(api.TrackerStatusPinQueued)
		if err != nil || len(infos) != queued {
			t.Errorf("%d of %d are listed, %v", len(infos), queued, err)
		}
		if n := r.ipfs.questions; n > maxAsked {
			t.Errorf("IPFS was asked %d times", n)
		}
	})
}

// TestListOfCorruptPins: a pin that cannot be decoded is listed once, whether this peer
// has a row of it or not.
func TestListOfCorruptPins(t *testing.T) {
	for _, placed := range []bool{true, false} {
		t.Run(fmt.Sprintf("placed here: %t", placed), func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newIPFS())
				pin := r.pin("a", statetest.Peer("other"))
				r.store.set(pin.Cid, pin)
				if placed {
					r.store.noted(pin.Cid, state.PlacementPinned)
				}
				r.store.edit(func() { r.store.broken = pin.Cid })
				for filter, n := range map[api.TrackerStatus]int{0: 1, api.TrackerStatusClusterError | api.TrackerStatusRemote: 1, api.TrackerStatusRemote: 0} {
					infos, err := r.list(filter)
					if err != nil || len(infos) != n {
						t.Errorf("the list of %s has %d entries, want %d, %v", filter, len(infos), n, err)
					}
					for _, info := range infos {
						if info.Status != api.TrackerStatusClusterError || info.Error == "" {
							t.Errorf("%+v", info)
						}
					}
				}
			})
		})
	}
}

// TestListOfWhatIsNotRemembered: what is at an end that nobody works on is listed as it
// is told alone.
func TestListOfWhatIsNotRemembered(t *testing.T) {
	for name, tt := range map[string]struct {
		set    func(r *rig, pin *api.Pin)
		filter api.TrackerStatus
	}{
		"an unpin that IPFS refuses": {func(r *rig, pin *api.Pin) {
			r.store.left(pin, state.PlacementUnpinError)
			r.store.set(pin.Cid, nil)
		}, api.TrackerStatusUnpinError},
		"a pin that cannot be decoded": {func(r *rig, pin *api.Pin) {
			r.store.left(pin, state.PlacementPinned)
			r.store.broken = pin.Cid
		}, api.TrackerStatusClusterError},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newIPFS(), func(o *Options) { o.KeepContent = true })
				pin := r.own("a")
				tt.set(r, pin)
				r.scanned.Store(true)
				if single := r.Status(t.Context(), pin.Cid); single.Status != tt.filter {
					t.Errorf("alone it is %s", single.Status)
				}
				for _, filter := range []api.TrackerStatus{tt.filter, api.TrackerStatusError} {
					if infos, err := r.list(filter); err != nil || len(infos) != 1 {
						t.Errorf("the list of %s has %v, %v", filter, infos, err)
					}
				}
			})
		})
	}
}

// TestListDuringScan: what a scan has not come to is listed while it waits for room.
func TestListDuringScan(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS(), func(o *Options) { o.Config.MaxPinQueueSize, o.Config.ConcurrentPins = 1, 1 })
		r.ipfs.edit(func() { r.ipfs.slow = time.Hour })
		const many = 10
		for i := range many {
			r.store.left(r.own(fmt.Sprint(i)), state.PlacementPinError)
		}
		r.scanned.Store(true)
		r.left.Store(1)
		go r.scanLeft(t.Context())
		seconds(5)
		infos, err := r.list(api.TrackerStatusPinError | api.TrackerStatusPinQueued | api.TrackerStatusPinning)
		if err != nil || len(infos) != many {
			t.Errorf("%d of %d are listed, %v", len(infos), many, err)
		}
		r.left.Add(1) // while it scans
		seconds(many * 3600)
		if n := r.left.Load(); n != 1 || len(r.ipfs.all()) != many {
			t.Errorf("%d are left to another scan, %d are pinned", n, len(r.ipfs.all()))
		}
	})
}
