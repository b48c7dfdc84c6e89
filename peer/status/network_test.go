package status

import (
	"context"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/version"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"go.uber.org/goleak"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
		goleak.IgnoreTopFunction("github.com/ipfs/go-log/writer.(*MirrorWriter).logRoutine"))
}

// world are peers that know each other, and the client of the first.
type world struct {
	t      *testing.T
	pins   *pinset
	nodes  []*node
	client *rpc.Client
	// service is the one that the client asks.
	service *Service

	mu   sync.Mutex
	view membership.View
}

func newWorld(t *testing.T, peers int, change ...func(*Options)) *world {
	t.Helper()
	w := &world{t: t, pins: &pinset{pins: make(map[api.Cid]api.Pin), bad: make(map[api.Cid]bool)}}
	for range peers {
		n := newNode(t, w.pins)
		w.nodes = append(w.nodes, n)
		w.view.Peers = append(w.view.Peers, membership.Peer{ID: n.host.ID(), Name: fmt.Sprint("peer", len(w.nodes)), Role: membership.RoleFull, Live: true})
	}
	slices.SortFunc(w.view.Peers, func(a, b membership.Peer) int { return slices.Compare([]byte(a.ID), []byte(b.ID)) })
	first := w.nodes[0].host
	for _, n := range w.nodes[1:] {
		first.Peerstore().AddAddrs(n.host.ID(), n.host.Addrs(), peerstore.PermanentAddrTTL)
	}
	opts := Options{Self: first.ID(), Store: w.pins, View: func() membership.View {
		w.mu.Lock()
		defer w.mu.Unlock()
		return w.view
	}}
	for _, f := range change {
		f(&opts)
	}
	s, err := New(opts)
	if err != nil {
		t.Fatal(err)
	}
	w.service = s
	w.client = s.Client(first, rpc.NewClientWithServer(first, version.RPCProtocol, w.nodes[0].server))
	return w
}

func (w *world) id(i int) peer.ID { return w.nodes[i].host.ID() }

// member changes what is known of a peer.
func (w *world) member(i int, f func(*membership.Peer)) {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.view.Peers = slices.Clone(w.view.Peers)
	for k := range w.view.Peers {
		if w.view.Peers[k].ID == w.id(i) {
			f(&w.view.Peers[k])
		}
	}
}

func dies(p *membership.Peer) { p.Live, p.DeadSince = false, time.Now() }

func (w *world) pin(label string, on ...int) api.Pin {
	pin := api.PinWithOpts(statetest.Cid(label), api.PinOptions{Name: label, ReplicationFactorMin: 1, ReplicationFactorMax: 3})
	if len(on) == 0 {
		pin.ReplicationFactorMin, pin.ReplicationFactorMax = -1, -1
	}
	for _, i := range on {
		pin.Allocations = append(pin.Allocations, w.id(i))
	}
	w.pins.mu.Lock()
	defer w.pins.mu.Unlock()
	w.pins.pins[pin.Cid] = pin
	return pin
}

// status asks for one CID.
func (w *world) status(c api.Cid) (map[int]api.TrackerStatus, error) {
	var out api.GlobalPinInfo
	err := w.client.CallContext(w.t.Context(), "", "Cluster", "Status", c, &out)
	if err == nil && out.Cid != c {
		w.t.Errorf("the answer about %s is of %s", c, out.Cid)
	}
	return w.byPeer(out), err
}

func (w *world) byPeer(out api.GlobalPinInfo) map[int]api.TrackerStatus {
	got := make(map[int]api.TrackerStatus)
	for id, info := range out.PeerMap {
		got[slices.IndexFunc(w.nodes, func(n *node) bool { return n.host.ID().String() == id })] = info.Status
	}
	return got
}

// list asks for all that matches a filter.
func (w *world) list(ctx context.Context, filter api.TrackerStatus) ([]api.GlobalPinInfo, error) {
	in, out := make(chan api.TrackerStatus, 1), make(chan api.GlobalPinInfo)
	in <- filter
	close(in)
	listed := make(chan error, 1)
	go func() { listed <- w.client.Stream(ctx, "", "Cluster", "StatusAll", in, out) }()
	var all []api.GlobalPinInfo
	for info := range out {
		all = append(all, info)
	}
	return all, <-listed
}
