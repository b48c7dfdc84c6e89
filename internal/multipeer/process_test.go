package multipeer

import (
	"context"
	"errors"
	"fmt"
	"maps"
	"os"
	"sync"
	"time"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/allocator/balanced"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	"github.com/ipfs-cluster/ipfs-cluster/informer/numpin"
	"github.com/ipfs-cluster/ipfs-cluster/ipfsconn/ipfshttp"
	"github.com/ipfs-cluster/ipfs-cluster/observations"
	"github.com/ipfs-cluster/ipfs-cluster/pintracker/stateless"
	"github.com/libp2p/go-libp2p"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p-kad-dht/dual"
	"github.com/libp2p/go-libp2p/core/host"
	manet "github.com/multiformats/go-multiaddr/net"

	sharedpeer "github.com/ipfs-cluster/ipfs-cluster-scylla/peer"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/role"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// process is a peer that runs.
type process struct {
	database *link
	ipfs     *gate

	store      *watched
	shared     *sharedpeer.Peer
	components *sharedpeer.Components
	allocator  *balanced.Allocator
	host       host.Host
	cluster    *ipfscluster.Cluster
	client     *rpc.Client
	// lost gets the error when another process took the identity.
	lost chan error

	end     sync.Once
	closers []func() error
}

// start runs the peer, as internal/cli/service does.
func (n *node) start(rejoin bool) error {
	p := &process{lost: make(chan error, 16), database: newLink(n.w.t, n.w.server), ipfs: newGate(n)}
	n.w.t.Cleanup(func() {
		if err := p.close(); err != nil {
			n.w.t.Errorf("ending %s: %s", n.name, err)
		}
	})
	if err := p.run(n, rejoin); err != nil {
		return errors.Join(fmt.Errorf("starting %s: %w", n.name, err), p.close())
	}
	n.set(p)
	return nil
}

func (n *node) set(p *process) {
	n.w.mu.Lock()
	defer n.w.mu.Unlock()
	n.process = p
}

func (p *process) closeLater(f func() error) { p.closers = append(p.closers, f) }

func (p *process) run(n *node, rejoin bool) error {
	ctx := n.w.t.Context()
	if err := p.join(ctx, n, rejoin); err != nil {
		return err
	}
	var err error
	if p.host, err = libp2p.New(libp2p.Identity(n.key), libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"), libp2p.DisableRelay()); err != nil {
		return err
	}
	p.closeLater(p.host.Close)
	routes, err := dual.New(context.Background(), p.host)
	if err != nil {
		return err
	}
	p.closeLater(routes.Close)
	return p.newCluster(n, routes)
}

// join opens the pinset and takes the identity.
func (p *process) join(ctx context.Context, n *node, rejoin bool) error {
	conf := n.w.conf
	conf.Port = p.database.port
	store, err := scyllastate.Open(ctx, &conf)
	if err != nil {
		return err
	}
	p.closeLater(store.Close)
	p.store = &watched{Store: store, self: n.id}
	trackerCfg := &stateless.Config{}
	if err := trackerCfg.Default(); err != nil {
		return err
	}
	opts := sharedpeer.Options{
		Store: p.store, ID: n.id, Instance: n.name, Name: n.name, Role: role.Full, Rejoin: rejoin,
		PingInterval: n.w.ping, RecoverInterval: n.w.recover, StopFor: n.w.hour,
		Repin: func() bool {
			n.asked.Add(1)
			return n.w.repin.Load()
		},
		Metrics:  &sharedpeer.Metrics{SLI: n.slo},
		TrustAll: true, Tracker: trackerCfg, Lost: func(err error) { p.lost <- err },
	}
	if !store.EventsSince().IsZero() {
		opts.Events = store
	}
	if p.shared, err = sharedpeer.Join(ctx, opts); err != nil {
		return err
	}
	p.closeLater(p.shared.Close)
	return nil
}

// clientOf is an upstream API that only takes its RPC client.
type clientOf struct{ client chan *rpc.Client }

func (c clientOf) SetClient(client *rpc.Client)   { c.client <- client }
func (c clientOf) Shutdown(context.Context) error { return nil }

func (p *process) newCluster(n *node, routes *dual.DHT) error {
	ipfsCfg := &ipfshttp.Config{}
	if err := ipfsCfg.Default(); err != nil {
		return err
	}
	var err error
	if ipfsCfg.NodeAddr, err = manet.FromNetAddr(p.ipfs.Listener.Addr()); err != nil {
		return err
	}
	ipfsCfg.ConnectSwarmsDelay = 0
	connector, err := ipfshttp.NewConnector(ipfsCfg)
	if err != nil {
		return err
	}
	if p.components, err = p.shared.Components(p.host, sharedpeer.IPFS{Connector: connector, Size: n.w.size}); err != nil {
		return err
	}
	if p.allocator, err = balanced.New(&balanced.Config{AllocateBy: []string{"numpin"}}); err != nil {
		return err
	}
	informer, err := numpin.NewInformer(&numpin.Config{MetricTTL: 4 * n.w.ping})
	if err != nil {
		return err
	}
	tracer, err := observations.SetupTracing(&observations.TracingConfig{})
	if err != nil {
		return err
	}
	cfg, err := n.clusterConfig()
	if err != nil {
		return err
	}
	client := clientOf{make(chan *rpc.Client, 1)}
	c := p.components
	p.cluster, err = ipfscluster.NewCluster(context.Background(), p.host, nil, routes, cfg, inmem.New(), c.Consensus,
		[]ipfscluster.API{p.shared.Front(p.host, client)}, c.Connector, c.Tracker, c.Monitor, p.allocator, []ipfscluster.Informer{informer}, tracer)
	if err != nil {
		return err
	}
	p.closeLater(func() error { return withTimeout(p.cluster.Shutdown) })
	p.client = <-client.client
	p.shared.Start(p.host, p.allocator)
	select {
	case <-p.cluster.Ready():
		return nil
	case <-time.After(patience):
		return errors.New("it does not become ready")
	}
}

// clusterConfig turns off what package service turns off.
func (n *node) clusterConfig() (*ipfscluster.Config, error) {
	cfg := &ipfscluster.Config{}
	if err := cfg.Default(); err != nil {
		return nil, err
	}
	cfg.Peername, cfg.Secret, cfg.MDNSInterval, cfg.BaseDir = n.name, make([]byte, 32), 0, ""
	const never = 100 * 365 * 24 * time.Hour
	cfg.DisableRepinning, cfg.StateSyncInterval, cfg.PinRecoverInterval = true, never, never
	cfg.MonitorPingInterval, cfg.PeerWatchInterval = n.w.ping, n.w.ping/2
	cfg.RPCPolicy = maps.Clone(cfg.RPCPolicy)
	for _, method := range role.ForwardedMethods() {
		cfg.RPCPolicy[method] = ipfscluster.RPCTrusted
	}
	return cfg, nil
}

// close ends the peer in good order, the last opened first. Only the first call
// does something.
func (p *process) close() (err error) {
	p.end.Do(func() {
		for i := len(p.closers) - 1; i >= 0; i-- {
			err = errors.Join(err, p.closers[i]())
		}
		p.database.cut()
		p.ipfs.cut()
	})
	return err
}

// stop ends the peer in good order.
func (n *node) stop() {
	n.w.t.Helper()
	p := n.process
	n.set(nil)
	must(n.w.t, p.close())
}

// cut is the part of kill that takes no time.
func (n *node) cut() {
	n.database.cut()
	n.ipfs.cut()
	_ = n.host.Close() // it is to fail where it can
}

// kill cuts the peer off from the database, from IPFS and from the others at
// once: nothing that it does from then on has an effect. Then it is cleared away.
func (n *node) kill() {
	n.cut()
	p := n.process
	n.set(nil)
	if err := p.close(); err != nil && !errors.Is(err, os.ErrClosed) {
		n.w.t.Logf("clearing away %s: %s", n.name, err)
	}
}
