package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/version"
	"github.com/libp2p/go-libp2p"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	"go.uber.org/goleak"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/tracker"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m,
		goleak.IgnoreTopFunction("go.opencensus.io/stats/view.(*worker).start"),
		goleak.IgnoreTopFunction("github.com/ipfs/go-log/writer.(*MirrorWriter).logRoutine"))
}

var errDown = errors.New("the database is gone")

// pinset is a pinset in memory, with all pins that were added.
type pinset struct {
	Store // not used but for what follows

	mu    sync.Mutex
	pins  map[api.Cid]api.Pin
	bad   map[api.Cid]bool // cannot be decoded
	down  bool
	walks int
	// owning is called when the pins of a peer are listed.
	owning func()
}

func (p *pinset) setDown(down bool) {
	p.mu.Lock()
	defer p.mu.Unlock()
	p.down = down
}

func (p *pinset) get(c api.Cid) (*api.Pin, error) {
	if p.bad[c] {
		return nil, fmt.Errorf("%s%w", state.CorruptText(c), state.ErrCorrupt)
	}
	if pin, ok := p.pins[c]; ok {
		return &pin, nil
	}
	return nil, nil
}

func (p *pinset) GetVersion(_ context.Context, c api.Cid) (*api.Pin, state.Revision, error) {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return nil, state.Revision{}, errDown
	}
	pin, err := p.get(c)
	return pin, state.Revision{}, err
}

func (p *pinset) GetVersions(_ context.Context, cids []api.Cid, f func(int, *api.Pin, state.Revision, error)) error {
	p.mu.Lock()
	defer p.mu.Unlock()
	if p.down {
		return errDown
	}
	for i, c := range cids {
		pin, err := p.get(c)
		f(i, pin, state.Revision{}, err)
	}
	return nil
}

// ListOwn lists everything.
func (p *pinset) ListOwn(_ context.Context, _ peer.ID, after state.Place, f func(state.Own) error) error {
	p.mu.Lock()
	down := p.down
	all := p.ordered()
	p.mu.Unlock()
	if p.owning != nil {
		p.owning()
	}
	if down {
		return errDown
	}
	for _, c := range all {
		if after.Cid.Defined() && state.PlaceOf(c).Compare(after) <= 0 {
			continue
		}
		if err := f(state.Own{Cid: c}); err != nil {
			return err
		}
	}
	return nil
}

func (p *pinset) ordered() []api.Cid {
	var all []api.Cid
	for c := range p.pins {
		all = append(all, c)
	}
	slices.SortFunc(all, func(a, b api.Cid) int { return state.PlaceOf(a).Compare(state.PlaceOf(b)) })
	return all
}

func (p *pinset) ScanPiece(_ context.Context, _, _ int, f func(api.Pin, state.Revision) error, bad func(api.Cid, error)) error {
	p.mu.Lock()
	p.walks++
	down := p.down
	all := p.ordered()
	p.mu.Unlock()
	if down {
		return errDown
	}
	for _, c := range all {
		pin, err := p.get(c)
		if err != nil {
			bad(c, err)
			continue
		}
		if err := f(*pin, state.Revision{}); err != nil {
			return err
		}
	}
	return nil
}

// node is a peer whose tracker says that all is pinned but what is lost.
type node struct {
	host   host.Host
	pinset *pinset
	server *rpc.Server
	ended  <-chan struct{}

	mu     sync.Mutex
	asked  int
	cut    int  // its list fails after so many, if not 0
	broken bool // its list fails at once
	mixed  bool // its list is in no order
	silent bool // it does not answer
	fails  error
	lost   map[api.Cid]bool  // what its daemon does not have any more
	full   bool              // its queue has room for one
	blind  bool              // it cannot read the pinset
	closed bool              // it lets nobody ask
	unpins bool              // what it is not to hold
	filter api.TrackerStatus // of the last list
}

func newNode(t *testing.T, pins *pinset) *node {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	n := &node{host: h, pinset: pins, ended: t.Context().Done()}
	n.server = rpc.NewServer(h, version.RPCProtocol, rpc.WithAuthorizeFunc(func(peer.ID, string, string) bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return !n.closed
	}))
	for name, service := range map[string]any{"PinTracker": &trackerOf{n}, "Cluster": &clusterOf{n}} {
		if err := n.server.RegisterName(name, service); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func (n *node) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (n *node) info(pin api.Pin) api.PinInfo {
	status := api.TrackerStatusPinned
	n.set(func() {
		if n.lost[pin.Cid] {
			status = api.TrackerStatusUnexpectedlyUnpinned
		}
	})
	return api.PinInfo{
		Cid: pin.Cid, Name: pin.Name, Peer: n.host.ID(), Allocations: pin.Allocations, Created: pin.Timestamp,
		PinInfoShort: api.PinInfoShort{Status: status},
	}
}

// trackerOf is its PinTracker.
type trackerOf struct{ n *node }

func (t *trackerOf) Status(ctx context.Context, in api.Cid, out *api.PinInfo) error {
	t.n.mu.Lock()
	t.n.asked++
	silent, blind, fails := t.n.silent, t.n.blind, t.n.fails
	t.n.mu.Unlock()
	if blind {
		*out = api.PinInfo{Cid: in, Peer: t.n.host.ID(), PinInfoShort: api.PinInfoShort{Status: api.TrackerStatusClusterError, Error: "no database"}}
		return nil
	}
	if silent {
		select {
		case <-ctx.Done():
		case <-t.n.ended: // gorpc does not tell of a client who has left
		}
		return context.Canceled
	}
	t.n.pinset.mu.Lock()
	defer t.n.pinset.mu.Unlock()
	*out = t.n.info(t.n.pinset.pins[in])
	return fails
}

func (t *trackerOf) StatusAll(ctx context.Context, in <-chan api.TrackerStatus, out chan<- api.PinInfo) error {
	defer close(out)
	filter := <-in
	t.n.mu.Lock()
	t.n.asked++
	t.n.filter = filter
	cut, mixed, silent, broken, unpins := t.n.cut, t.n.mixed, t.n.silent, t.n.broken, t.n.unpins
	t.n.mu.Unlock()
	if silent {
		select {
		case <-ctx.Done():
		case <-t.n.ended: // gorpc does not tell of a client who has left
		}
		return context.Canceled
	}
	if broken {
		return errors.New("it broke")
	}
	t.n.pinset.mu.Lock()
	all := t.n.pinset.ordered()
	t.n.pinset.mu.Unlock()
	if mixed {
		slices.Reverse(all)
	}
	for i, c := range all {
		pin := t.n.pinset.pins[c]
		if pin.Type == api.MetaType {
			continue
		}
		info := t.n.info(pin)
		if !pin.IsPinEverywhere() && !slices.Contains(pin.Allocations, t.n.host.ID()) {
			if !unpins {
				continue
			}
			info = api.PinInfo{Cid: c, Peer: info.Peer, PinInfoShort: api.PinInfoShort{Status: api.TrackerStatusUnpinning}}
		}
		if _, err := t.n.pinset.get(c); err != nil {
			info = api.PinInfo{Cid: c, Peer: info.Peer, PinInfoShort: api.PinInfoShort{Status: api.TrackerStatusClusterError, Error: err.Error()}}
		}
		if cut != 0 && i >= cut {
			return errors.New("it broke")
		}
		if !info.Status.Match(filter) {
			continue
		}
		select {
		case out <- info:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// clusterOf is its Cluster.
type clusterOf struct{ n *node }

func (c *clusterOf) IPFSID(_ context.Context, in peer.ID, out *api.IPFSID) error {
	*out = api.IPFSID{ID: in}
	return nil
}

// RecoverAllLocal queues what is lost.
func (c *clusterOf) RecoverAllLocal(ctx context.Context, _ <-chan struct{}, out chan<- api.PinInfo) error {
	defer close(out)
	c.n.mu.Lock()
	lost, full, broken := c.n.lost, c.n.full, c.n.broken
	c.n.mu.Unlock()
	if broken {
		return errors.New("it broke")
	}
	c.n.pinset.mu.Lock()
	all := c.n.pinset.ordered()
	c.n.pinset.mu.Unlock()
	all = slices.DeleteFunc(all, func(c api.Cid) bool { return !lost[c] })
	for i, cid := range all {
		if full && i == 1 {
			return fmt.Errorf("recovering pins: %w", tracker.ErrFullQueue)
		}
		info := c.n.info(c.n.pinset.pins[cid])
		info.Status = api.TrackerStatusPinQueued
		select {
		case out <- info:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (c *clusterOf) PinGet(_ context.Context, in api.Cid, out *api.Pin) error {
	pin, ok := c.n.pinset.pins[in]
	if !ok {
		return state.ErrNotFound
	}
	*out = pin
	return nil
}

func (c *clusterOf) Pins(_ context.Context, in <-chan struct{}, out chan<- api.Pin) error {
	defer close(out)
	for range in {
	}
	for _, pin := range c.n.pinset.pins {
		out <- pin
	}
	return nil
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
