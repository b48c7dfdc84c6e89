package service

import (
	"context"
	"errors"
	"fmt"
	"io/fs"
	"maps"
	"net/http"
	"os"
	"os/signal"
	"strings"
	"time"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	"github.com/ipfs-cluster/ipfs-cluster/ipfsconn/ipfshttp"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/reconcile"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/role"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/tracker"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/instrumented"
)

// never is longer than a process lives. Upstream's walk over the whole pinset
// cannot be turned off, only be put off.
const never = 100 * 365 * 24 * time.Hour

// joinShared connects to the database and takes the identity of this peer. A
// signal ends it while it waits.
func (p *clusterPeer) joinShared() error {
	ctx, stop := signal.NotifyContext(context.Background(), shutdownSignals()...)
	defer stop()
	if err := p.measure(); err != nil {
		return err
	}
	if err := p.connectEvents(ctx); err != nil {
		return err
	}
	p.admin.starting.begin(fmt.Sprintf("connecting to the database at %s, port %d,", strings.Join(p.cfg.scylla.Hosts, ", "), p.cfg.scylla.Port))
	store, err := connect(ctx, p.cfg.scylla, scyllastate.Open)
	if err != nil {
		return err
	}
	p.closeLater(store.Close)
	p.store = store
	if err := p.checkAlone(ctx, store); err != nil {
		return err
	}
	p.admin.starting.begin("joining the other peers")
	instance, err := p.instance()
	if err != nil {
		return err
	}
	opts := p.joinOptions(measuredStore{uncounted{store}, instrumented.New(store, p.counts.operations)}, instance)
	if p.cfg.events != nil || !store.EventsSince().IsZero() {
		opts.Events = store
	}
	p.shared, err = peer.Join(ctx, opts)
	if err != nil {
		return nameSignal(ctx, err)
	}
	p.closeLater(p.shared.Close)
	if err := p.startEvents(ctx, store); err != nil {
		return err
	}
	p.datastore = inmem.New() // for the DHT, whose records may get lost
	p.closeLater(p.datastore.Close)
	return nil
}

// measuredStore counts what is asked of the pinset. All else of the store is as it is.
type measuredStore struct {
	uncounted
	*instrumented.Store
}

// uncounted is a level deeper than what counts, whose methods come first.
type uncounted struct{ *scyllastate.Store }

var _ peer.Store = measuredStore{}

// joinOptions are what the peer joins with: the intervals of the user, of which
// upstream's cluster gets others by shareConfig.
func (p *clusterPeer) joinOptions(store peer.Store, instance string) peer.Options {
	cfgs := p.cfg.Configs()
	return peer.Options{
		Store: store, ID: p.cfg.Identity().ID, Instance: instance, Name: cfgs.Cluster.Peername, Role: p.role, Rejoin: p.joining,
		PingInterval: cfgs.Cluster.MonitorPingInterval, RecoverInterval: cfgs.Cluster.PinRecoverInterval,
		Repin:       func() bool { return !cfgs.Cluster.DisableRepinning },
		OnlyTrusted: cfgs.Cluster.PinOnlyOnTrustedPeers, OnlyUntrusted: cfgs.Cluster.PinOnlyOnUntrustedPeers,
		StopShare: p.cfg.scylla.StopShare, Zone: p.cfg.scylla.Zone,
		Follower: cfgs.Cluster.FollowerMode, CheckEvery: p.cfg.scylla.CheckEvery, ScrubEvery: reconcile.DefaultScrubEvery,
		TrustAll: p.cfg.scylla.TrustAll, TrustedPeers: p.cfg.scylla.TrustedPeers,
		Tracker: cfgs.Statelesstracker, Lost: p.stop, Waiting: p.admin.starting.waiting,
		Metrics: p.counts.peer, CanaryEvery: p.cfg.admin.CanaryEvery, DriftEvery: p.cfg.admin.DriftEvery,
	}
}

// instance names the place where this peer runs: a process that starts at the
// place of another takes over at once, because the lock of the folder lets only
// one run.
func (p *clusterPeer) instance() (string, error) {
	host, err := os.Hostname()
	if err != nil {
		return "", fmt.Errorf("naming this host: %w", err)
	}
	// Machines made from one image may share a name.
	machine, err := os.ReadFile("/etc/machine-id")
	if err != nil && !errors.Is(err, fs.ErrNotExist) {
		return "", fmt.Errorf("naming this host: %w", err)
	}
	return strings.TrimSpace(host+" "+string(machine)) + ":" + p.folder, nil
}

// stop ends the peer because of an error.
func (p *clusterPeer) stop(err error) {
	select {
	case p.lost <- err:
	default: // the first error is enough
	}
}

// shareConfig turns off what upstream does by walking over the pinset: the
// loops of package reconcile do it. The peers are found in the database.
func shareConfig(cfg *ipfscluster.Config) {
	cfg.DisableRepinning = true
	cfg.StateSyncInterval = never
	cfg.PinRecoverInterval = never // the tracker has the user's
	cfg.BaseDir = ""               // used for the file of known peers only
	cfg.RPCPolicy = maps.Clone(cfg.RPCPolicy)
	for _, method := range role.ForwardedMethods() {
		cfg.RPCPolicy[method] = ipfscluster.RPCTrusted
	}
}

// newSharedComponents makes the components of a peer whose pinset is in the
// database.
func (p *clusterPeer) newSharedComponents(context.Context) (*components, error) {
	// The database has answered, so that the consensus is ready at once.
	ipfscluster.ReadyTimeout = noReadyTimeout
	var ipfs peer.IPFS
	informers := []ipfscluster.Informer{role.Informer{}}
	if p.role != role.API {
		cfg := p.cfg.Configs().Ipfshttp
		connector, err := ipfshttp.NewConnector(cfg)
		if err != nil {
			return nil, fmt.Errorf("creating IPFS Connector component: %w", err)
		}
		size, err := kuboSize(cfg)
		if err != nil {
			return nil, err
		}
		if informers, err = p.newInformers(); err != nil {
			return nil, err
		}
		pins, err := kuboAPI(cfg)
		if err != nil {
			return nil, err
		}
		ipfs = peer.IPFS{Connector: connector, Size: size, Pins: pins, KeepContent: cfg.UnpinDisable}
	}
	c, err := p.shared.Components(p.host, ipfs)
	if err != nil {
		return nil, fmt.Errorf("setting up the shared pinset: %w", err)
	}
	return &components{
		consensus: c.Consensus, connector: c.Connector, tracker: c.Tracker, monitor: c.Monitor, informers: informers,
	}, nil
}

// kuboBase is the base of the URLs for a kuboClient.
const kuboBase = "http://ipfs"

// kuboSize asks the daemon of the connector for the size of what is pinned.
func kuboSize(cfg *ipfshttp.Config) (func(context.Context, api.Cid) (int64, error), error) {
	client, err := kuboClient(cfg)
	if err != nil {
		return nil, err
	}
	return tracker.KuboSize(kuboBase, client), nil
}

// kuboClient is a client for the daemon of the connector.
func kuboClient(cfg *ipfshttp.Config) (*http.Client, error) {
	client, err := dialing(cfg.NodeAddr)
	if err != nil {
		return nil, fmt.Errorf("reading ipfshttp.node_multiaddress: %w", err)
	}
	return client, nil
}
