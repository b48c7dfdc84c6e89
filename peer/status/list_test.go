package status

import (
	"fmt"
	"maps"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// many makes pins on all pairs of three peers.
func (w *world) many(n int) {
	for i := range n {
		w.pin(fmt.Sprint(i), i%3, (i+1)%3)
	}
}

// check wants each pin once, in order, with these statuses for its holders.
func (w *world) check(all []api.GlobalPinInfo, of func(holder int) api.TrackerStatus) {
	w.t.Helper()
	if len(all) != len(w.pins.pins) {
		w.t.Errorf("%d of %d pins are listed", len(all), len(w.pins.pins))
	}
	for i, info := range all {
		if i > 0 && state.PlaceOf(all[i-1].Cid).Compare(state.PlaceOf(info.Cid)) >= 0 {
			w.t.Fatalf("%s comes after %s", info.Cid, all[i-1].Cid)
		}
		pin := w.pins.pins[info.Cid]
		for k, got := range w.byPeer(info) {
			want := api.TrackerStatusRemote
			for _, id := range pin.Allocations {
				if id == w.id(k) {
					want = of(k)
				}
			}
			if got&want == 0 {
				w.t.Fatalf("%s is %s at peer %d, want %s", pin.Name, got, k, want)
			}
		}
		if len(info.PeerMap) != len(w.nodes) || info.Name != pin.Name {
			w.t.Fatalf("%s: %+v", pin.Name, info)
		}
	}
}

// TestAll: a listing is complete, in order and agrees with the answers about each.
func TestAll(t *testing.T) {
	w := newWorld(t, 3)
	w.many(2000)
	all, err := w.list(t.Context(), 0)
	if err != nil {
		t.Fatal(err)
	}
	w.check(all, func(int) api.TrackerStatus { return api.TrackerStatusPinned })
	for _, n := range w.nodes {
		n.set(func() {
			if n.filter.Match(ofOthers) {
				t.Error("a peer was asked for the pins of others")
			}
		})
	}
	some, err := w.list(t.Context(), api.TrackerStatusPinned)
	if err != nil || len(some) != 2000 || len(some[0].PeerMap) != 2 {
		t.Errorf("pinned: %d, %v", len(some), err)
	}
	some, err = w.list(t.Context(), api.TrackerStatusRemote)
	if err != nil || len(some) != 2000 || len(some[0].PeerMap) != 1 {
		t.Errorf("remote: %d, %v", len(some), err)
	}
	if some, err = w.list(t.Context(), api.TrackerStatusPinError); err != nil || len(some) != 0 {
		t.Errorf("pin_error: %d, %v", len(some), err)
	}
}

// TestOthers: pins that stand for others, of peers that are gone, and corrupt ones are
// listed once.
func TestOthers(t *testing.T) {
	w := newWorld(t, 2)
	w.pin("fine", 0)
	meta := w.pin("meta")
	meta.Type = api.MetaType
	w.pins.pins[meta.Cid] = meta
	lost := w.pin("lost")
	lost.ReplicationFactorMin, lost.ReplicationFactorMax, lost.Allocations = 1, 1, []peer.ID{statetest.Peer("gone")}
	w.pins.pins[lost.Cid] = lost
	bad := w.pin("bad", 0)
	w.pins.bad[bad.Cid] = true
	for range 3 {
		all, err := w.list(t.Context(), 0)
		if err != nil {
			t.Fatal(err)
		}
		got := make(map[api.Cid]int)
		for _, info := range all {
			got[info.Cid]++
		}
		if want := map[api.Cid]int{meta.Cid: 1, statetest.Cid("fine"): 1, lost.Cid: 1, bad.Cid: 1}; !maps.Equal(got, want) {
			t.Errorf("listed: %v", got)
		}
	}
}

// TestFollower answers for itself only.
func TestFollower(t *testing.T) {
	w := newWorld(t, 3, func(o *Options) { o.Follower = true })
	w.many(30)
	if got, err := w.status(statetest.Cid("0")); err != nil || len(got) != 1 || got[0] != api.TrackerStatusPinned {
		t.Errorf("%v, %v", got, err)
	}
	all, err := w.list(t.Context(), 0)
	if err != nil || len(all) != 30 || len(all[0].PeerMap) != 1 {
		t.Errorf("%d, %v", len(all), err)
	}
	if all, err = w.list(t.Context(), api.TrackerStatusRemote); err != nil || len(all) != 10 {
		t.Errorf("of others: %d, %v", len(all), err)
	}
}

// TestWalks: only what may be found nowhere else has the whole pinset walked.
func TestWalks(t *testing.T) {
	w := newWorld(t, 1)
	for filter, want := range map[api.TrackerStatus]int{
		0: 1, api.TrackerStatusRemote: 1, api.TrackerStatusError: 1, api.TrackerStatusSharded: 1,
		api.TrackerStatusPinned: 0, api.TrackerStatusPinError: 0, api.TrackerStatusUnpinError: 0, api.TrackerStatusQueued: 0,
	} {
		w.pins.walks = 0
		if _, err := w.list(t.Context(), filter); err != nil || w.pins.walks != want {
			t.Errorf("%d: %d walks, want %d; %v", filter, w.pins.walks, want, err)
		}
	}
	w.pins.walks = 0
	in, out := make(chan struct{}), make(chan api.GlobalPinInfo, 10)
	close(in)
	if err := w.client.Stream(t.Context(), "", "Cluster", "RecoverAll", in, out); err != nil || w.pins.walks != 0 {
		t.Errorf("a recovery: %d walks, %v", w.pins.walks, err)
	}
}

// TestUnpinTellsNothingOfThePin: an entry of the peer that loses a pin leaves what is
// known of it as it is.
func TestUnpinTellsNothingOfThePin(t *testing.T) {
	w := newWorld(t, 2)
	pin := w.pin("moved", 0)
	for k := range w.nodes {
		w.nodes[k].unpins = k == 1
	}
	all, err := w.list(t.Context(), api.TrackerStatusPinned|api.TrackerStatusRemote|api.TrackerStatusUnpinning)
	if err != nil || len(all) != 1 || all[0].Name != pin.Name || len(all[0].Allocations) != 1 || len(all[0].PeerMap) != 2 {
		t.Errorf("%+v, %v", all, err)
	}
}
