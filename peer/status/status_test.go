package status

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"reflect"
	"strings"
	"testing"
	"time"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestMethods: every method of upstream's services is there, with the same types. One
// that is added by a new version is missed here.
func TestMethods(t *testing.T) {
	theirs := map[string]reflect.Type{
		"Cluster":       reflect.TypeFor[*ipfscluster.ClusterRPCAPI](),
		"PinTracker":    reflect.TypeFor[*ipfscluster.PinTrackerRPCAPI](),
		"IPFSConnector": reflect.TypeFor[*ipfscluster.IPFSConnectorRPCAPI](),
		"Consensus":     reflect.TypeFor[*ipfscluster.ConsensusRPCAPI](),
		"PeerMonitor":   reflect.TypeFor[*ipfscluster.PeerMonitorRPCAPI](),
	}
	ours := map[string]reflect.Type{
		"Cluster": reflect.TypeFor[clusterRPC](), "PinTracker": reflect.TypeFor[pinTrackerRPC](),
		"IPFSConnector": reflect.TypeFor[connectorRPC](), "Consensus": reflect.TypeFor[consensusRPC](), "PeerMonitor": reflect.TypeFor[monitorRPC](),
	}
	seen := 0
	for name, their := range theirs {
		for m := range their.Methods() {
			seen++
			our, ok := ours[name].MethodByName(m.Name)
			if !ok {
				t.Errorf("%s.%s is missing", name, m.Name)
				continue
			}
			for i := 1; i < m.Type.NumIn(); i++ {
				if m.Type.In(i) != our.Type.In(i) {
					t.Errorf("%s.%s takes %s, upstream's %s", name, m.Name, our.Type.In(i), m.Type.In(i))
				}
			}
		}
	}
	for method := range ipfscluster.DefaultRPCPolicy {
		name, m, _ := strings.Cut(method, ".")
		if our, known := ours[name]; known {
			if _, ok := our.MethodByName(m); !ok {
				t.Errorf("%s is missing", method)
			}
		}
	}
	if seen < 50 {
		t.Errorf("upstream has %d methods only", seen)
	}
}

// TestHandedOn: what the package does not answer goes to upstream's server as it is,
// errors and streams included.
func TestHandedOn(t *testing.T) {
	w := newWorld(t, 1)
	pin := w.pin("a", 0)
	var got api.Pin
	if err := w.client.CallContext(t.Context(), "", "Cluster", "PinGet", pin.Cid, &got); err != nil || got.Name != "a" {
		t.Errorf("PinGet = %v, %v", got, err)
	}
	if err := w.client.CallContext(t.Context(), "", "Cluster", "PinGet", statetest.Cid("b"), &got); err != state.ErrNotFound {
		t.Errorf("PinGet = %v", err)
	}
	in, out := make(chan struct{}), make(chan api.Pin, 10)
	close(in)
	if err := w.client.Stream(t.Context(), "", "Cluster", "Pins", in, out); err != nil || len(out) != 1 {
		t.Errorf("Pins = %d, %v", len(out), err)
	}
}

// TestOne: the answer about one CID.
func TestOne(t *testing.T) {
	const (
		pinned, remote, failed = api.TrackerStatusPinned, api.TrackerStatusRemote, api.TrackerStatusClusterError
	)
	all := func(s api.TrackerStatus) map[int]api.TrackerStatus {
		return map[int]api.TrackerStatus{0: s, 1: s, 2: s}
	}
	for name, tt := range map[string]struct {
		set   func(*world) // of "a"
		want  map[int]api.TrackerStatus
		asked int
		fails bool
	}{
		"not pinned":           {func(*world) {}, all(api.TrackerStatusUnpinned), 0, false},
		"on two of three":      {func(w *world) { w.pin("a", 0, 2) }, map[int]api.TrackerStatus{0: pinned, 1: remote, 2: pinned}, 2, false},
		"everywhere":           {func(w *world) { w.pin("a") }, all(pinned), 3, false},
		"everywhere, one dead": {func(w *world) { w.pin("a"); w.member(1, dies) }, map[int]api.TrackerStatus{0: pinned, 1: failed, 2: pinned}, 2, false},
		"one dead":             {func(w *world) { w.pin("a", 0, 1); w.member(1, dies) }, map[int]api.TrackerStatus{0: pinned, 1: failed, 2: remote}, 1, false},
		"one does not answer as it dies": {func(w *world) {
			w.pin("a", 0, 1)
			w.nodes[1].set(func() { w.nodes[1].silent = true })
			time.AfterFunc(100*time.Millisecond, func() { w.member(1, dies) })
		}, map[int]api.TrackerStatus{0: pinned, 1: failed, 2: remote}, 2, false},
		"one fails":               {func(w *world) { w.pin("a", 0, 1); w.nodes[1].fails = errors.New("it broke") }, map[int]api.TrackerStatus{0: pinned, 1: failed, 2: remote}, 2, false},
		"one removed":             {func(w *world) { w.pin("a", 0, 1); w.member(1, func(p *membership.Peer) { p.Removed = true }) }, map[int]api.TrackerStatus{0: pinned, 1: failed, 2: remote}, 1, false},
		"a peer without a daemon": {func(w *world) { w.pin("a"); w.member(1, func(p *membership.Peer) { p.Role = membership.RoleAPI }) }, map[int]api.TrackerStatus{0: pinned, 1: remote, 2: pinned}, 2, false},
		"meta": {func(w *world) {
			pin := w.pin("a")
			pin.Type = api.MetaType
			w.pins.pins[pin.Cid] = pin
		}, all(api.TrackerStatusSharded), 0, false},
		"corrupt":       {func(w *world) { w.pin("a", 0); w.pins.bad[statetest.Cid("a")] = true }, map[int]api.TrackerStatus{0: failed}, 0, false},
		"database down": {func(w *world) { w.pin("a", 0); w.pins.down = true }, nil, 0, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			tt.set(w)
			got, err := w.status(statetest.Cid("a"))
			if (err != nil) != tt.fails || !tt.fails && !maps.Equal(got, tt.want) {
				t.Errorf("%v, %v, want %v", got, err, tt.want)
			}
			asked := 0
			for _, n := range w.nodes {
				n.set(func() { asked += n.asked })
			}
			if asked != tt.asked {
				t.Errorf("%d peers were asked, want %d", asked, tt.asked)
			}
		})
	}
}

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

// TestPeersThatFail: the pins of a peer that does not answer, or not to its end, are
// listed as errors, all of them. If they cannot be found the listing fails.
func TestPeersThatFail(t *testing.T) {
	for name, fault := range map[string]struct {
		set  func(*world)
		dead bool
	}{
		"its list breaks":      {func(w *world) { w.nodes[1].cut = 280 }, false},
		"its list breaks soon": {func(w *world) { w.nodes[1].cut = 1 }, false},
		"it is dead":           {func(w *world) { w.member(1, dies) }, true},
		"it is gone":           {func(w *world) { _ = w.nodes[1].host.Close() }, false},
		"it may not be asked":  {func(w *world) { w.nodes[1].closed = true }, false},
		"it dies meanwhile": {func(w *world) {
			w.nodes[1].silent = true
			time.AfterFunc(100*time.Millisecond, func() { w.member(1, dies) })
		}, true},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			w.many(600)
			fault.set(w)
			all, err := w.list(t.Context(), 0)
			if err != nil {
				t.Fatal(err)
			}
			w.check(all, func(holder int) api.TrackerStatus {
				if holder == 1 {
					return api.TrackerStatusPinned | api.TrackerStatusClusterError
				}
				return api.TrackerStatusPinned
			})
			if all, err = w.list(t.Context(), api.TrackerStatusClusterError); err != nil || len(all) == 0 {
				t.Errorf("the errors: %d, %v", len(all), err)
			}
			// What a live peer does not tell must not look as if it were not there.
			if all, err = w.list(t.Context(), api.TrackerStatusPinned); (err == nil) != fault.dead {
				t.Errorf("what is pinned: %d, %v", len(all), err)
			}
			w.pins.setDown(true)
			if all, err = w.list(t.Context(), api.TrackerStatusPinned|api.TrackerStatusClusterError); err == nil {
				t.Errorf("%d are listed while the database is down, too", len(all))
			}
		})
	}
}

// TestNoOrder: a peer of another build fails the listing, as nobody knows what it has
// left out.
func TestNoOrder(t *testing.T) {
	w := newWorld(t, 3)
	w.many(600)
	w.nodes[1].mixed = true
	if all, err := w.list(t.Context(), 0); err == nil || !strings.Contains(err.Error(), errOrder.Error()) {
		t.Errorf("%d are listed, %v", len(all), err)
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

// TestReaderLeaves: nothing goes on for a reader who has left.
func TestReaderLeaves(t *testing.T) {
	w := newWorld(t, 3)
	w.many(3000)
	ctx, leave := context.WithCancel(t.Context())
	in, out := make(chan api.TrackerStatus, 1), make(chan api.GlobalPinInfo)
	in <- 0
	close(in)
	listed := make(chan error, 1)
	go func() { listed <- w.client.Stream(ctx, "", "Cluster", "StatusAll", in, out) }()
	for range 10 {
		<-out
	}
	leave()
	for range out { // until it is closed
	}
	if err := <-listed; err == nil {
		t.Error("the listing succeeds")
	}
} // and TestMain looks for what goes on
