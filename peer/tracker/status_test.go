package tracker

import (
	"fmt"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestStatus: what is said of a pin rests on the pinset, on what is being done, on
// IPFS and on the row, in this order, and never on whether the feed has told of it.
func TestStatus(t *testing.T) {
	direct := func(pin *api.Pin) *api.Pin {
		pin.MaxDepth, pin.Mode = 0, api.PinModeDirect
		return pin
	}
	acts := func(r *rig, ch state.Change, after time.Duration) {
		r.act(ch)
		time.Sleep(after)
	}
	const short = time.Second / 2
	for name, tt := range map[string]struct {
		set  func(r *rig) // of "a"
		want api.TrackerStatus
	}{
		"nothing":                {func(*rig) {}, api.TrackerStatusUnpinned},
		"written, not told":      {func(r *rig) { p := r.own("a"); r.store.set(p.Cid, p) }, api.TrackerStatusPinQueued},
		"told":                   {func(r *rig) { p := r.own("a"); acts(r, r.store.set(p.Cid, p), short) }, api.TrackerStatusPinning},
		"pinned":                 {func(r *rig) { p := r.own("a"); acts(r, r.store.set(p.Cid, p), 2*time.Second) }, api.TrackerStatusPinned},
		"held by IPFS, not told": {func(r *rig) { p := r.own("a"); r.store.set(p.Cid, p); r.ipfs.edit(func() { r.ipfs.pins[p.Cid] = -1 }) }, api.TrackerStatusPinned},
		"held in another mode, not told": {func(r *rig) {
			p := direct(r.own("a"))
			r.store.set(p.Cid, p)
			r.ipfs.edit(func() { r.ipfs.pins[p.Cid] = -1 })
		}, api.TrackerStatusPinQueued},
		"lost":                                 {func(r *rig) { r.store.left(r.own("a"), state.PlacementPinned) }, api.TrackerStatusUnexpectedlyUnpinned},
		"written again, not told, not in IPFS": {func(r *rig) { p := r.own("a"); r.store.left(p, state.PlacementPinned); r.store.set(p.Cid, p) }, api.TrackerStatusPinQueued},
		"failed": {func(r *rig) {
			p := r.own("a")
			r.ipfs.edit(func() { r.ipfs.fail = 1 })
			acts(r, r.store.set(p.Cid, p), 2*time.Second)
		}, api.TrackerStatusPinError},
		"failed, other metadata, not told": {func(r *rig) {
			p := r.own("a")
			r.ipfs.edit(func() { r.ipfs.fail = 1 })
			acts(r, r.store.set(p.Cid, p), 2*time.Second)
			r.store.set(p.Cid, r.own("a"))
		}, api.TrackerStatusPinQueued},
		"failing, other metadata, not told": {func(r *rig) {
			p := r.own("a")
			r.ipfs.edit(func() { r.ipfs.fail = 1 })
			r.store.edit(func() { r.store.slow = time.Minute })
			acts(r, r.store.set(p.Cid, p), 2*time.Second)
			r.store.set(p.Cid, r.own("a"))
		}, api.TrackerStatusPinQueued},
		"failed, in a process before":     {func(r *rig) { r.store.left(r.own("a"), state.PlacementPinError) }, api.TrackerStatusPinError},
		"failed, written again, not told": {func(r *rig) { p := r.own("a"); r.store.left(p, state.PlacementPinError); r.store.set(p.Cid, p) }, api.TrackerStatusPinQueued},
		"row of an unknown status":        {func(r *rig) { r.store.left(r.own("a"), 9) }, api.TrackerStatusPinQueued},
		"removed":                         {func(r *rig) { r.store.set(statetest.Cid("a"), nil) }, api.TrackerStatusUnpinned},
		"removed, held by IPFS, not told": {func(r *rig) {
			p := r.own("a")
			acts(r, r.store.set(p.Cid, p), 2*time.Second)
			r.store.set(p.Cid, nil)
		}, api.TrackerStatusUnpinned},
		"removed, told": {func(r *rig) {
			p := r.own("a")
			acts(r, r.store.set(p.Cid, p), 2*time.Second)
			acts(r, r.store.set(p.Cid, nil), short)
		}, api.TrackerStatusUnpinning},
		"removed, failed": {func(r *rig) {
			p := r.own("a")
			acts(r, r.store.set(p.Cid, p), 2*time.Second)
			r.ipfs.edit(func() { r.ipfs.fail = 1 })
			acts(r, r.store.set(p.Cid, nil), 1100*time.Millisecond)
		}, api.TrackerStatusUnpinError},
		"removed, failed, in a process before": {func(r *rig) {
			p := r.own("a")
			r.store.left(p, state.PlacementUnpinError)
			r.store.set(p.Cid, nil)
		}, api.TrackerStatusUnpinError},
		"removed while it is pinned, not told": {func(r *rig) {
			p := r.own("a")
			acts(r, r.store.set(p.Cid, p), short)
			r.store.set(p.Cid, nil)
		}, api.TrackerStatusUnpinned},
		"pinned again while it is unpinned, not told": {func(r *rig) {
			p := r.own("a")
			acts(r, r.store.set(p.Cid, p), 2*time.Second)
			acts(r, r.store.set(p.Cid, nil), short)
			r.store.set(p.Cid, p)
		}, api.TrackerStatusPinQueued},
		"another mode while it is pinned, not told": {func(r *rig) {
			p := direct(r.own("a"))
			acts(r, r.store.set(p.Cid, p), short)
			r.store.set(p.Cid, r.own("a"))
		}, api.TrackerStatusPinQueued},
		"other metadata while it is pinned, not told": {func(r *rig) {
			p := r.own("a")
			acts(r, r.store.set(p.Cid, p), short)
			r.store.set(p.Cid, r.own("a"))
		}, api.TrackerStatusPinning},
		"given to another peer, not told": {func(r *rig) {
			p := r.own("a")
			acts(r, r.store.set(p.Cid, p), 2*time.Second)
			r.store.set(p.Cid, r.pin("a", statetest.Peer("other")))
		}, api.TrackerStatusRemote},
		"given to another peer, told": {func(r *rig) {
			p := r.own("a")
			acts(r, r.store.set(p.Cid, p), 2*time.Second)
			acts(r, r.store.set(p.Cid, r.pin("a", statetest.Peer("other"))), short)
		}, api.TrackerStatusRemote},
		"meta":    {func(r *rig) { c := statetest.Cid("a"); r.store.set(c, &api.Pin{Cid: c, Type: api.MetaType}) }, api.TrackerStatusSharded},
		"corrupt": {func(r *rig) { p := r.own("a"); r.store.set(p.Cid, p); r.store.edit(func() { r.store.broken = p.Cid }) }, api.TrackerStatusClusterError},
		"database down": {func(r *rig) {
			r.store.left(r.own("a"), state.PlacementPinned)
			r.store.edit(func() { r.store.down = true })
		}, api.TrackerStatusClusterError},
		"database is slow": {func(r *rig) {
			r.store.edit(func() { r.store.slow = time.Minute })
			p := r.own("a")
			acts(r, r.store.set(p.Cid, p), 20*time.Second)
		}, api.TrackerStatusPinned},
	} {
		t.Run(name, func(t *testing.T) {
			synctest.Test(t, func(t *testing.T) {
				r := newRig(t, newStore(), newIPFS())
				tt.set(r)
				synctest.Wait()
				before := r.store.reads
				info := r.Status(t.Context(), statetest.Cid("a"))
				if n := r.store.reads - before; n > 2 {
					t.Errorf("it took %d reads, want at most 2", n)
				}
				if info.Status != tt.want || info.Cid != statetest.Cid("a") || info.Peer != r.self || info.IPFS != r.self {
					t.Errorf("%+v, want %s", info, tt.want)
				}
				if info.Status.Match(api.TrackerStatusError|api.TrackerStatusUnexpectedlyUnpinned) && info.Error == "" {
					if name != "failed, in a process before" && name != "removed, failed, in a process before" {
						t.Error("the error has no text")
					}
				}
				r.agree(name)
				r.scanned.Store(true)
				r.agree(name + ", after the scan")
			})
		})
	}
}

// agree compares the lists of each filter with the status of "a" alone.
func (r *rig) agree(when string) {
	r.t.Helper()
	c := statetest.Cid("a")
	r.store.edit(func() { r.store.changed[c] = true }) // as far as the position tells
	single := r.Status(r.t.Context(), c)
	for bit := range 14 {
		filter := api.TrackerStatus(1 << bit)
		if bit == 13 {
			filter = 0
		}
		infos, err := r.list(filter)
		if r.store.down {
			if err == nil && filter.Match(byKubo|leaving|api.TrackerStatusPinQueued) {
				r.t.Errorf("%s: the list of %s has no error while the database is down", when, filter)
			}
			continue
		}
		if err != nil {
			r.t.Errorf("%s: the list of %s: %s", when, filter, err)
		}
		var of []api.PinInfo
		for _, info := range infos {
			if info.Cid == c {
				of = append(of, info)
			}
		}
		want := single.Status != api.TrackerStatusUnpinned && single.Status.Match(filter)
		if filter == 0 && single.Status.Match(leaving) {
			want = false // as with stock, of which the pinset knows nothing
		}
		if single.Status == api.TrackerStatusRemote && filter.Match(leaving) && filter != 0 {
			continue // its unpin is listed
		}
		if single.Status == api.TrackerStatusUnpinned && filter.Match(leaving) {
			continue // the row says that it is still to go
		}
		if (len(of) == 1) != want || want && of[0].Status != single.Status {
			r.t.Errorf("%s: alone it is %s, the list of %q has %v", when, single.Status, filter, of)
		}
	}
}

// list is a listing by StatusAll.
func (r *rig) list(filter api.TrackerStatus) ([]api.PinInfo, error) {
	out := make(chan api.PinInfo)
	listed := make(chan error, 1)
	go func() { listed <- r.StatusAll(r.t.Context(), filter, out) }()
	var infos []api.PinInfo
	for info := range out {
		infos = append(infos, info)
	}
	return infos, <-listed
}

// many makes pins of all kinds in the order of a listing, of which IPFS has lost every
// tenth and has not pinned every seventh so far.
func (r *rig) many(n int) (want map[api.Cid]api.TrackerStatus) {
	want = make(map[api.Cid]api.TrackerStatus)
	for i := range n {
		pin := r.own(fmt.Sprint(i))
		switch {
		case i%10 == 0:
			r.store.left(pin, state.PlacementPinned)
			want[pin.Cid] = api.TrackerStatusUnexpectedlyUnpinned
		case i%7 == 0:
			r.store.set(pin.Cid, pin)
			r.store.changed[pin.Cid] = true
			want[pin.Cid] = api.TrackerStatusPinQueued
		default:
			r.store.left(pin, state.PlacementPinned)
			r.ipfs.edit(func() { r.ipfs.pins[pin.Cid] = -1 })
			want[pin.Cid] = api.TrackerStatusPinned
		}
	}
	return want
}

// TestStatusWhilePinned: a pin that is made between the questions about it is not lost.
func TestStatusWhilePinned(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		r := newRig(t, newStore(), newIPFS())
		pin := r.own("a")
		r.store.set(pin.Cid, pin)
		r.ipfs.told = func(c api.Cid) {
			r.ipfs.told = nil
			r.ipfs.edit(func() { r.ipfs.pins[c] = -1 })
			r.store.noted(c, state.PlacementPinned)
		}
		if info := r.Status(t.Context(), pin.Cid); info.Status != api.TrackerStatusPinned {
			t.Errorf("it is %s", info.Status)
		}
	})
}
