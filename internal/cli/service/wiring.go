package service

import (
	"context"
	"fmt"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/allocator/balanced"
	"github.com/ipfs-cluster/ipfs-cluster/api/ipfsproxy"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi"
	"github.com/ipfs-cluster/ipfs-cluster/api/rest"
	"github.com/ipfs-cluster/ipfs-cluster/config"
	"github.com/ipfs-cluster/ipfs-cluster/informer/disk"
	"github.com/ipfs-cluster/ipfs-cluster/informer/pinqueue"
	"github.com/ipfs-cluster/ipfs-cluster/informer/tags"
	"github.com/ipfs-cluster/ipfs-cluster/ipfsconn/ipfshttp"
	"github.com/ipfs-cluster/ipfs-cluster/monitor/pubsubmon"
	"github.com/ipfs-cluster/ipfs-cluster/observations"
	"github.com/ipfs-cluster/ipfs-cluster/pintracker/stateless"
	ds "github.com/ipfs/go-datastore"
	"github.com/libp2p/go-libp2p-kad-dht/dual"
	pubsub "github.com/libp2p/go-libp2p-pubsub"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.opencensus.io/tag"
	"go.uber.org/multierr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	sharedpeer "github.com/ipfs-cluster/ipfs-cluster-scylla/peer"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/pinsvc"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/role"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// clusterPeer is a peer while it is put together, and all that must be closed
// after it.
type clusterPeer struct {
	cfg     *peerConfig
	joining bool // other peers to join were named
	leave   bool // leave the cluster at the end

	role   role.Role
	folder string // with its configuration
	// secrets are those of the configuration, which the log is not to show.
	secrets *secrets

	datastore ds.Datastore
	shared    *sharedpeer.Peer // nil for other backends
	store     *scyllastate.Store
	bus       *bus.Bus // nil without events
	host      host.Host
	pubsub    *pubsub.PubSub
	dht       *dual.DHT
	cluster   *ipfscluster.Cluster
	// lost gets the error when another process took the identity of this
	// peer. It holds one.
	lost chan error

	admin  *admin
	counts *counts // nil for other backends

	closers []func() error
}

// closeLater adds to what close closes.
func (p *clusterPeer) closeLater(f func() error) {
	p.closers = append(p.closers, f)
}

// close closes what was opened, the last first. The cluster must have ended.
func (p *clusterPeer) close() error {
	var err error
	for i := len(p.closers) - 1; i >= 0; i-- {
		err = multierr.Append(err, p.closers[i]())
	}
	p.closers = nil
	if err != nil {
		return fmt.Errorf("closing: %w", err)
	}
	return nil
}

// start puts the peer on the network and makes the cluster, which goes on
// becoming ready after start returned. ctx must last until the cluster ended.
func (p *clusterPeer) start(ctx context.Context) error {
	cfgs := p.cfg.Configs()
	p.admin.starting.begin("starting its parts")
	clusterHost, bandwidth, ps, dht, err := ipfscluster.NewClusterHost(ctx, p.cfg.Identity(), cfgs.Cluster, p.datastore)
	if err != nil {
		return fmt.Errorf("creating libp2p host: %w", err)
	}
	p.host, p.pubsub, p.dht = clusterHost, ps, dht
	p.closeLater(clusterHost.Close)
	p.closeLater(dht.Close)

	shown, err := p.cfg.Manager().ToDisplayJSON()
	if err != nil {
		return fmt.Errorf("getting configuration string: %w", err)
	}
	logger.Debugf("Configuration:\n%s\n", shown)
	ctx, err = tag.New(ctx, tag.Upsert(observations.HostKey, clusterHost.ID().String()))
	if err != nil {
		return fmt.Errorf("tagging context with host id: %w", err)
	}
	if err := observations.SetupMetrics(cfgs.Metrics); err != nil {
		return fmt.Errorf("setting up metrics: %w", err)
	}
	tracer, err := observations.SetupTracing(p.jaeger())
	if err != nil {
		return fmt.Errorf("setting up tracing: %w", err)
	}
	apis, err := p.newAPIs(ctx)
	if err != nil {
		return err
	}
	if p.shared != nil {
		for i, api := range apis {
			apis[i] = p.shared.Front(clusterHost, api)
		}
	}
	allocator, err := p.newAllocator()
	if err != nil {
		return err
	}
	newComponents := p.newComponents
	if p.shared != nil {
		newComponents = p.newSharedComponents
	}
	c, err := newComponents(ctx)
	if err != nil {
		return err
	}
	p.cluster, err = ipfscluster.NewCluster(ctx, clusterHost, bandwidth, dht, p.clusterConfig(), p.datastore,
		c.consensus, apis, c.connector, c.tracker, c.monitor, allocator, c.informers, tracer)
	if err != nil {
		return fmt.Errorf("starting cluster: %w", err)
	}
	p.admin.watch(p, c.connector)
	if p.shared != nil {
		p.shared.Start(clusterHost, allocator)
		return p.runEvents(p.store)
	}
	return nil
}

// components are the parts of a cluster that depend on where the pinset is.
type components struct {
	consensus ipfscluster.Consensus
	connector ipfscluster.IPFSConnector
	tracker   ipfscluster.PinTracker
	monitor   ipfscluster.PeerMonitor
	informers []ipfscluster.Informer
}

// newComponents makes those of a peer that keeps the pinset itself.
func (p *clusterPeer) newComponents(ctx context.Context) (*components, error) {
	cfgs := p.cfg.Configs()
	connector, err := ipfshttp.NewConnector(cfgs.Ipfshttp)
	if err != nil {
		return nil, fmt.Errorf("creating IPFS Connector component: %w", err)
	}
	informers, err := p.newInformers()
	if err != nil {
		return nil, err
	}
	cons, err := p.newConsensus()
	if err != nil {
		return nil, fmt.Errorf("setting up consensus: %w", err)
	}
	// The crdt consensus derives its peers from the metrics of the monitor: a
	// monitor that asked it for peers would ask itself without end.
	var peers func(context.Context) ([]peer.ID, error)
	if p.cfg.backend == backendRaft {
		peers = cons.Peers
	}
	monitor, err := pubsubmon.New(ctx, cfgs.Pubsubmon, p.pubsub, peers)
	if err != nil {
		return nil, fmt.Errorf("setting up PeerMonitor: %w", err)
	}
	return &components{
		consensus: cons, connector: connector, monitor: monitor, informers: informers,
		tracker: stateless.New(cfgs.Statelesstracker, p.host.ID(), cfgs.Cluster.Peername, cons.State),
	}, nil
}

// clusterConfig returns the configuration of the cluster, a copy, so that what
// the flags of this run say cannot get into service.json.
func (p *clusterPeer) clusterConfig() *ipfscluster.Config {
	cfg := *p.cfg.Configs().Cluster
	cfg.LeaveOnShutdown = cfg.LeaveOnShutdown || p.leave
	if p.shared != nil {
		shareConfig(&cfg)
	}
	return &cfg
}

// newAPIs makes the APIs that service.json has sections for.
func (p *clusterPeer) newAPIs(ctx context.Context) ([]ipfscluster.API, error) {
	if p.role == role.Worker {
		return nil, nil // it works for the others, nobody calls it
	}
	cfgs, manager := p.cfg.Configs(), p.cfg.Manager()
	var apis []ipfscluster.API
	if manager.IsLoadedFromJSON(config.API, cfgs.Restapi.ConfigKey()) {
		var api *rest.API
		var err error
		if p.cfg.backend == backendRaft {
			api, err = rest.NewAPIWithHost(ctx, cfgs.Restapi, p.host)
		} else {
			// Peers that know the secret are not all trusted here: the
			// API is not offered over libp2p, where it asks no password.
			api, err = rest.NewAPI(ctx, cfgs.Restapi)
		}
		if err != nil {
			return nil, fmt.Errorf("creating REST API component: %w", err)
		}
		apis = append(apis, api)
	}
	if manager.IsLoadedFromJSON(config.API, cfgs.Pinsvcapi.ConfigKey()) {
		var api ipfscluster.API
		var err error
		if p.shared != nil {
			api, err = pinsvc.New(ctx, cfgs.Pinsvcapi)
		} else {
			api, err = pinsvcapi.NewAPI(ctx, cfgs.Pinsvcapi)
		}
		if err != nil {
			return nil, fmt.Errorf("creating Pinning Service API component: %w", err)
		}
		apis = append(apis, api)
	}
	// The proxy stands before the IPFS daemon of the peer.
	if p.role != role.API && manager.IsLoadedFromJSON(config.API, cfgs.Ipfsproxy.ConfigKey()) {
		proxy, err := ipfsproxy.New(cfgs.Ipfsproxy)
		if err != nil {
			return nil, fmt.Errorf("creating IPFS Proxy component: %w", err)
		}
		apis = append(apis, proxy)
	}
	return apis, nil
}

// newInformers makes the informers that service.json has sections for.
func (p *clusterPeer) newInformers() ([]ipfscluster.Informer, error) {
	cfgs, manager := p.cfg.Configs(), p.cfg.Manager()
	var informers []ipfscluster.Informer
	if manager.IsLoadedFromJSON(config.Informer, cfgs.DiskInf.ConfigKey()) {
		informer, err := disk.NewInformer(cfgs.DiskInf)
		if err != nil {
			return nil, fmt.Errorf("creating disk informer: %w", err)
		}
		informers = append(informers, informer)
	}
	if manager.IsLoadedFromJSON(config.Informer, cfgs.TagsInf.ConfigKey()) {
		informer, err := tags.New(cfgs.TagsInf)
		if err != nil {
			return nil, fmt.Errorf("creating tags informer: %w", err)
		}
		informers = append(informers, informer)
	}
	if manager.IsLoadedFromJSON(config.Informer, cfgs.PinQueueInf.ConfigKey()) {
		informer, err := pinqueue.New(cfgs.PinQueueInf)
		if err != nil {
			return nil, fmt.Errorf("creating pinqueue informer: %w", err)
		}
		informers = append(informers, informer)
	}
	return informers, nil
}

// newAllocator makes the allocator. A service.json without an allocator
// section comes from a version of upstream that allocated by free space.
func (p *clusterPeer) newAllocator() (ipfscluster.PinAllocator, error) {
	cfg := p.cfg.Configs().BalancedAlloc
	if !p.cfg.Manager().IsLoadedFromJSON(config.Allocator, cfg.ConfigKey()) {
		cfg.AllocateBy = []string{"freespace"}
	}
	allocator, err := balanced.New(cfg)
	if err != nil {
		return nil, fmt.Errorf("creating allocator: %w", err)
	}
	return allocator, nil
}
