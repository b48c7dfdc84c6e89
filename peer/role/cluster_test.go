package role_test

import (
	"context"
	"errors"
	"strconv"
	"strings"
	"sync"
	"testing"
	"time"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/adder/sharding"
	"github.com/ipfs-cluster/ipfs-cluster/allocator/balanced"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	"github.com/ipfs-cluster/ipfs-cluster/ipfsconn/ipfshttp"
	"github.com/ipfs-cluster/ipfs-cluster/observations"
	"github.com/ipfs-cluster/ipfs-cluster/pintracker/stateless"
	clusterstate "github.com/ipfs-cluster/ipfs-cluster/state"
	"github.com/ipfs-cluster/ipfs-cluster/test"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p-kad-dht/dual"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/consensus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/role"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// shared is what the peers of a cluster have in common: the pinset, and who is
// there.
type shared struct {
	*pinset
	mu      sync.Mutex
	peers   []peer.ID
	metrics []api.Metric
}

func (s *shared) Update(ctx context.Context, c api.Cid, f func(*api.Pin) (*api.Pin, error)) error {
	var current *api.Pin
	if pin, err := s.Get(ctx, c); err == nil {
		current = &pin
	}
	next, err := f(current)
	if err != nil {
		return err
	}
	return s.Add(ctx, *next)
}

func (s *shared) Consume(ctx context.Context, _ state.Handler) error {
	<-ctx.Done()
	return ctx.Err()
}

func (s *shared) Peers(context.Context) ([]peer.ID, error) { return s.peers, nil }

func (s *shared) CanHold(peer.ID) bool { return true }

func (s *shared) Remove(context.Context, peer.ID) error { return errors.New("not here") }

// monitor is the view of one peer.
type monitor struct {
	*shared
	ipfscluster.PeerMonitor // for what is not used
}

func (m monitor) SetClient(*rpc.Client)                       {}
func (m monitor) Shutdown(context.Context) error              { return nil }
func (m monitor) Alerts() <-chan api.Alert                    { return nil }
func (m monitor) LogMetric(context.Context, api.Metric) error { return nil }

func (m monitor) PublishMetric(_ context.Context, metric api.Metric) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	m.metrics = append(m.metrics, metric)
	return nil
}

func (m monitor) LatestMetrics(_ context.Context, name string) []api.Metric {
	latest := make(map[peer.ID]api.Metric)
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, metric := range m.metrics {
		// As in package membership: the second peer is the API peer.
		if metric.Name == name && (name != "ping" || metric.Peer != m.peers[1]) {
			latest[metric.Peer] = metric
		}
	}
	var out []api.Metric
	for _, metric := range latest {
		out = append(out, metric)
	}
	return out
}

func (m monitor) LatestForPeer(_ context.Context, name string, p peer.ID) (latest api.Metric) {
	m.mu.Lock()
	defer m.mu.Unlock()
	for _, metric := range m.metrics {
		if metric.Name == name && metric.Peer == p {
			latest = metric
		}
	}
	return latest
}

// space is an informer of a full peer.
type space struct{ role.Informer }

func (space) Name() string { return "space" }

func (space) GetMetrics(context.Context) []api.Metric {
	m := api.Metric{Name: "space", Value: "1", Valid: true, Weight: 1}
	m.SetTTL(time.Hour)
	return []api.Metric{m}
}

// clientOf is an upstream API that only takes its RPC client.
type clientOf struct{ client chan *rpc.Client }

func (c clientOf) SetClient(client *rpc.Client)   { c.client <- client }
func (c clientOf) Shutdown(context.Context) error { return nil }

// clusterNode is where a peer of upstream's runs.
type clusterNode struct {
	host.Host
	start func(ipfscluster.IPFSConnector, ipfscluster.PinTracker, ipfscluster.Informer) (*ipfscluster.Cluster, *rpc.Client)
}

func newClusterNode(t *testing.T, name string, s *shared) clusterNode {
	t.Helper()
	cfg := &ipfscluster.Config{}
	if err := cfg.Default(); err != nil {
		t.Fatal(err)
	}
	cfg.Peername, cfg.MDNSInterval, cfg.RPCPolicy, cfg.Secret = name, 0, trusted(), make([]byte, 32)
	cfg.SetBaseDir(t.TempDir())
	// Upstream's own host would look for a router to open ports.
	h := newHost(t)
	routes, err := dual.New(t.Context(), h)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = routes.Close() })
	n := clusterNode{Host: h}
	n.start = func(ipfs ipfscluster.IPFSConnector, tracker ipfscluster.PinTracker, informer ipfscluster.Informer) (*ipfscluster.Cluster, *rpc.Client) {
		t.Helper()
		cons := consensus.New(h, consensus.Options{Store: s, Updater: s, Feed: s, Members: s, TrustAll: true})
		alloc, err := balanced.New(&balanced.Config{AllocateBy: []string{"space"}})
		if err != nil {
			t.Fatal(err)
		}
		tracer, err := observations.SetupTracing(&observations.TracingConfig{})
		if err != nil {
			t.Fatal(err)
		}
		client := clientOf{make(chan *rpc.Client, 1)}
		c, err := ipfscluster.NewCluster(t.Context(), h, nil, routes, cfg, inmem.New(), cons, []ipfscluster.API{client}, ipfs,
			tracker, monitor{shared: s}, alloc, []ipfscluster.Informer{informer}, tracer)
		if err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = c.Shutdown(context.Background()) })
		<-c.Ready()
		return c, <-client.client
	}
	return n
}

// TestCluster runs an API peer of these parts beside a full peer, both as
// upstream's Cluster.
func TestCluster(t *testing.T) {
	ctx := t.Context()
	s := &shared{pinset: newPinset(t)}
	f, a := newClusterNode(t, "full", s), newClusterNode(t, "api", s)
	s.peers = []peer.ID{f.ID(), a.ID()}
	a.Peerstore().AddAddrs(f.ID(), f.Addrs(), peerstore.PermanentAddrTTL)
	f.Peerstore().AddAddrs(a.ID(), a.Addrs(), peerstore.PermanentAddrTTL)

	kubo := test.NewIpfsMock(t)
	t.Cleanup(kubo.Close)
	ipfsCfg, trackerCfg := &ipfshttp.Config{}, &stateless.Config{}
	if err := errors.Join(ipfsCfg.Default(), trackerCfg.Default()); err != nil {
		t.Fatal(err)
	}
	ipfsCfg.NodeAddr = ma.StringCast("/ip4/" + kubo.Addr + "/tcp/" + strconv.Itoa(kubo.Port))
	ipfsCfg.ConnectSwarmsDelay = 0
	connector, err := ipfshttp.NewConnector(ipfsCfg)
	if err != nil {
		t.Fatal(err)
	}
	_, full := f.start(connector, stateless.New(trackerCfg, f.ID(), "full",
		func(context.Context) (clusterstate.ReadOnly, error) { return s, nil }), space{})
	own, err := role.NewConnector(role.ConnectorOptions{
		ID: a.ID(), Daemons: func() []peer.ID { return s.peers }, Timeout: time.Minute,
	})
	if err != nil {
		t.Fatal(err)
	}
	c, client := a.start(own, role.NewTracker(a.ID(), "api", s), role.Informer{})

	// Upstream publishes at its own times.
	for _, client := range []*rpc.Client{full, client} {
		if err := client.Call("", "Cluster", "SendInformersMetrics", struct{}{}, &struct{}{}); err != nil {
			t.Error(err)
		}
	}
	for _, metric := range (monitor{shared: s}).LatestMetrics(ctx, "role") {
		t.Errorf("published: %s", metric)
	}
	pin, err := c.Pin(ctx, test.Cid1, api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 2, UserAllocations: []peer.ID{a.ID()}})
	if err != nil || len(pin.Allocations) != 1 || pin.Allocations[0] != f.ID() {
		t.Errorf("Pin = %v, %v", pin.Allocations, err)
	}
	if pin, err = c.PinPath(ctx, "/ipfs/"+test.Cid1.String()+"/file", api.PinOptions{ReplicationFactorMin: -1, ReplicationFactorMax: -1}); err != nil || !pin.Cid.Equals(test.CidResolved) {
		t.Errorf("PinPath = %v, %v", pin, err)
	}
	for _, cid := range []api.Cid{test.Cid1, test.CidResolved} {
		status, err := c.Status(ctx, cid)
		if got := status.PeerMap[a.ID().String()]; err != nil || got.Status != api.TrackerStatusRemote || len(status.PeerMap) != 2 {
			t.Errorf("Status(%s) = %+v, %v", cid, status, err)
		}
	}
	graph, err := c.ConnectGraph()
	if _, ok := graph.ClustertoIPFS[a.ID().String()]; err != nil || ok || len(graph.ClustertoIPFS) != 1 || len(graph.ClusterLinks) != 2 {
		t.Errorf("ConnectGraph = %+v, %v", graph, err)
	}
	if id := c.ID(ctx); id.Error != "" || !strings.Contains(id.IPFS.Error, "role api") {
		t.Errorf("ID = %+v", id)
	}
	gc, err := c.RepoGC(ctx)
	if got, ok := gc.PeerMap[a.ID().String()]; err != nil || !ok || got.Error != "" || len(gc.PeerMap) != 2 {
		t.Errorf("RepoGC = %+v, %v", gc, err)
	}
	addSharded(t, c, client)
}

// addSharded adds and unpins content through an API peer, which needs a block of
// its cluster DAG.
func addSharded(t *testing.T, c *ipfscluster.Cluster, client *rpc.Client) {
	t.Helper()
	params := api.DefaultAddParams()
	params.Shard, params.ReplicationFactorMin, params.ReplicationFactorMax = true, 1, 1
	root, err := add(t, sharding.New(t.Context(), client, params, nil), params)
	if err != nil {
		t.Fatal(err)
	}
	pin, err := c.PinGet(t.Context(), root)
	if err != nil || pin.Type != api.MetaType {
		t.Fatalf("PinGet = %v, %v", pin, err)
	}
	if _, err := c.Unpin(t.Context(), root); err != nil {
		t.Errorf("Unpin of sharded content: %s", err)
	}
	if _, err := c.PinGet(t.Context(), *pin.Reference); !errors.Is(err, state.ErrNotFound) {
		t.Errorf("the cluster DAG after Unpin: %v", err)
	}
}
