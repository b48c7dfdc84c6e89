package multipeer

import (
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/test"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestManyPeers: pins of every kind arrive at exactly the peers that are to hold
// them, every peer says the same of them, and unpinning leaves nothing.
func TestManyPeers(t *testing.T) {
	w := newWorld(t)
	w.ping = 3 * time.Second // nobody dies here, or looks dead because the machine is busy
	w.start(w.newNodes(5)...)
	pinned := w.pinKinds()
	w.updates(pinned)
	w.refusals()
	if got := w.desired(); len(got) != len(pinned) {
		t.Errorf("%d pins are in the table, want %d", len(got), len(pinned))
	}
	w.converge()
	for name, pin := range pinned {
		w.checkPin(name, pin)
	}
	for _, n := range w.nodes {
		eventually(t, "the right status of all", func() string { return w.wrongStatusOfAll(n, len(pinned)) })
	}

	for i, pin := range slices.Collect(maps.Values(pinned)) {
		w.unpin(w.nodes[i%len(w.nodes)], pin.Cid)
	}
	w.converge()
	for _, n := range w.nodes {
		if held := n.kubo.held(); len(held) > 0 {
			t.Errorf("after all is unpinned %s holds %v", n.name, held)
		}
	}
	if placed := w.placements(); len(placed) > 0 {
		t.Errorf("after all is unpinned there are placements: %v", placed)
	}
}

// pinKinds pins one CID of each kind, through different peers.
func (w *world) pinKinds() map[string]api.Pin {
	w.t.Helper()
	stranger := test.PeerID1
	origin, err := api.NewMultiaddr("/ip4/1.2.3.4/tcp/1234/p2p/" + test.PeerID2.String())
	must(w.t, err)
	kinds := []struct {
		name   string
		opts   api.PinOptions
		copies int
	}{
		{"one copy", factors(1, 1), 1},
		{"two copies", factors(2, 2), 2},
		{"one to three copies", factors(1, 3), 3},
		{"everywhere", factors(-1, -1), 0},
		{"by the configuration", api.PinOptions{}, 0},
		{"where the user wants", api.PinOptions{ReplicationFactorMin: 2, ReplicationFactorMax: 2, UserAllocations: ids(w.nodes[3], w.nodes[1])}, 2},
		{"at a stranger", api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 1, UserAllocations: []peer.ID{stranger}}, 1},
		{"fewer than asked for", factors(2, 9), 5},
		{"direct", api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 1, Mode: api.PinModeDirect}, 1},
		{"described", api.PinOptions{
			ReplicationFactorMin: 3, ReplicationFactorMax: 3, Name: "a name",
			Metadata: map[string]string{"key": "value"}, Origins: []api.Multiaddr{origin},
		}, 3},
	}
	pinned := make(map[string]api.Pin)
	for i, k := range kinds {
		pin := w.pin(w.nodes[i%len(w.nodes)], k.name, k.opts)
		if len(pin.Allocations) != k.copies {
			w.t.Errorf("%s: allocated to %d peers, want %d", k.name, len(pin.Allocations), k.copies)
		}
		pinned[k.name] = pin
	}
	if got := pinned["where the user wants"].Allocations; !slices.Contains(got, w.nodes[3].id) || !slices.Contains(got, w.nodes[1].id) {
		w.t.Errorf("where the user wants: allocated to %v", got)
	}
	if slices.Contains(pinned["at a stranger"].Allocations, stranger) {
		w.t.Error("a pin was allocated to a peer that does not exist")
	}
	limited := api.PinWithOpts(cidOf(w.t, "limited"), factors(1, 1))
	limited.MaxDepth = 2
	var stored api.Pin
	must(w.t, w.nodes[2].client.CallContext(w.t.Context(), "", "Cluster", "Pin", limited, &stored))
	pinned["limited"] = stored
	return pinned
}

// updates pins by updating others, and pins again with other options.
func (w *world) updates(pinned map[string]api.Pin) {
	w.t.Helper()
	from := pinned["two copies"]
	opts := api.PinOptions{PinUpdate: from.Cid, Name: "updated"}
	pin, err := w.nodes[4].cluster.Pin(w.t.Context(), cidOf(w.t, "updated"), opts)
	must(w.t, err)
	if !slices.Equal(pin.Allocations, from.Allocations) || pin.Name != "updated" {
		w.t.Errorf("updated: allocated to %v, want %v; named %q", pin.Allocations, from.Allocations, pin.Name)
	}
	pinned["updated"] = pin
	once := pinned["one copy"]
	pin, err = w.nodes[1].cluster.Pin(w.t.Context(), once.Cid, factors(2, 2))
	must(w.t, err)
	if len(pin.Allocations) != 2 || !slices.Contains(pin.Allocations, once.Allocations[0]) {
		w.t.Errorf("one copy, then two: allocated to %v, which was %v", pin.Allocations, once.Allocations)
	}
	pinned["one copy"] = pin
}

// refusals are what upstream does not pin.
func (w *world) refusals() {
	w.t.Helper()
	for name, tt := range map[string]struct {
		opts api.PinOptions
		want string
	}{
		"more copies than peers": {factors(6, 6), "not enough peers to allocate CID. Needed at least: 6. Wanted at most: 6. Available candidates: 5."},
		"factors of no sense":    {factors(3, 2), "replication_factor_min is larger than max"},
		"run out":                {api.PinOptions{ExpireAt: time.Now().Add(-time.Hour)}, "before current time"},
	} {
		_, err := w.nodes[0].cluster.Pin(w.t.Context(), cidOf(w.t, name), tt.opts)
		if err == nil || !strings.Contains(err.Error(), tt.want) {
			w.t.Errorf("%s: %v", name, err)
		}
	}
	// What is pinned recursively does not become direct.
	_, err := w.nodes[1].cluster.Pin(w.t.Context(), cidOf(w.t, "two copies"), api.PinOptions{ReplicationFactorMin: 2, ReplicationFactorMax: 2, Mode: api.PinModeDirect})
	if err == nil || !strings.Contains(err.Error(), "recursive") {
		w.t.Errorf("a recursive pin became a direct one: %v", err)
	}
}

// checkPin asks every peer for the pin and its status.
func (w *world) checkPin(name string, want api.Pin) {
	w.t.Helper()
	for _, n := range w.nodes {
		got, err := n.cluster.PinGet(w.t.Context(), want.Cid)
		must(w.t, err)
		if !got.Equals(stored(w.t, want)) {
			w.t.Errorf("%s: %s says %v, want %v", name, n.name, got, want)
		}
		// The row says pinned a moment before the tracker does.
		eventually(w.t, name+": the right status", func() string { return w.wrongStatus(n, want) })
	}
	direct := name == "direct"
	for _, id := range want.Allocations {
		if typ := w.node(id).kubo.held()[want.Cid]; (typ == api.IPFSPinStatusDirect) != direct {
			w.t.Errorf("%s: IPFS of %s has it pinned as %v", name, w.node(id).name, typ)
		}
	}
}

// wrongStatus is what is wrong with the status of a pin that a peer tells.
func (w *world) wrongStatus(by *node, pin api.Pin) string {
	w.t.Helper()
	status, err := by.cluster.Status(w.t.Context(), pin.Cid)
	must(w.t, err)
	if len(status.PeerMap) != len(w.nodes) {
		return fmt.Sprintf("%s tells that of %d peers", by.name, len(status.PeerMap))
	}
	for _, at := range w.nodes {
		want := api.TrackerStatusPinned
		if pin.IsRemotePin(at.id) {
			want = api.TrackerStatusRemote
		}
		if got := status.PeerMap[at.id.String()]; got.Status != want || got.PeerName != at.name {
			return fmt.Sprintf("%s says that it is %s at %s (%q, %s), want %s", by.name, got.Status, at.name, got.PeerName, got.Error, want)
		}
	}
	return ""
}

// stored is the pin as any store of upstream gives it back.
func stored(t *testing.T, pin api.Pin) api.Pin {
	t.Helper()
	value, err := pin.ProtoMarshal()
	must(t, err)
	var back api.Pin
	must(t, back.ProtoUnmarshal(value))
	back.Cid = pin.Cid
	return back
}

// wrongStatusOfAll is what is wrong with the status of all pins that a peer tells.
func (w *world) wrongStatusOfAll(by *node, pins int) string {
	w.t.Helper()
	out := make(chan api.GlobalPinInfo, pins+1)
	must(w.t, by.cluster.StatusAll(w.t.Context(), api.TrackerStatusUndefined, out))
	got := 0
	for info := range out {
		got++
		if len(info.PeerMap) != len(w.nodes) {
			return fmt.Sprintf("%s tells that of %s at %d peers", by.name, info.Cid, len(info.PeerMap))
		}
		for id, at := range info.PeerMap {
			if at.Status != api.TrackerStatusPinned && at.Status != api.TrackerStatusRemote {
				return fmt.Sprintf("%s says that %s is %s at %s: %s", by.name, info.Cid, at.Status, id, at.Error)
			}
		}
	}
	if got != pins {
		return fmt.Sprintf("%s tells that of %d pins, want %d", by.name, got, pins)
	}
	return ""
}

// TestDeAllocated: content leaves the peer from which its pin is taken.
func TestDeAllocated(t *testing.T) {
	w := newPeers(t, 2)
	from, to := w.nodes[0], w.nodes[1]
	c := w.allocate(to, "moved", 1, 1, from).Cid
	w.converge()
	if _, ok := from.kubo.held()[c]; !ok {
		t.Fatal("the first peer does not hold it")
	}
	w.allocate(to, "moved", 1, 1, to)
	w.converge()
	if _, ok := from.kubo.held()[c]; ok {
		t.Error("the first peer still holds it")
	}
	if status := from.cluster.StatusLocal(t.Context(), c); status.Status != api.TrackerStatusRemote {
		t.Errorf("the first peer says that it is %s", status.Status)
	}
}

// TestUnpinRetried: IPFS refuses to unpin for a while. The table says so, and the
// content goes when IPFS does not refuse any more.
func TestUnpinRetried(t *testing.T) {
	w := newPeers(t, 2)
	n, other := w.nodes[0], w.nodes[1]
	c := w.allocate(other, "unwanted", 1, 2, n, other).Cid
	w.converge()
	n.ipfs.refuseUnpins.Store(true)
	w.unpin(other, c)
	eventually(t, "the failure to be in the table", func() string {
		p := w.placements()[n.id.String()][c]
		if p.status == state.PlacementUnpinError && strings.Contains(p.err, "the test refuses to unpin") {
			return ""
		}
		return fmt.Sprint(p)
	})
	if _, ok := n.kubo.held()[c]; !ok {
		t.Fatal("it was unpinned although IPFS refused")
	}
	eventually(t, "the other peer to unpin", func() string {
		if held := other.kubo.held(); len(held) > 0 {
			return fmt.Sprint(held)
		}
		return ""
	})
	n.ipfs.refuseUnpins.Store(false)
	w.converge()
}
