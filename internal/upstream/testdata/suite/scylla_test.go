package ipfscluster

import (
	"context"
	"errors"
	"os"
	"path/filepath"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/allocator/balanced"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	"github.com/ipfs-cluster/ipfs-cluster/informer/numpin"
	"github.com/ipfs-cluster/ipfs-cluster/pintracker/stateless"
	dual "github.com/libp2p/go-libp2p-kad-dht/dual"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	sharedpeer "github.com/ipfs-cluster/ipfs-cluster-scylla/peer"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/reconcile"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

const (
	// scyllaPinDelay is how long the tests wait until every peer has acted on a
	// pin. Upstream waits for 800 ms. A peer looks once a second for changes that
	// concern every peer, and five that have just started keep the server busy.
	scyllaPinDelay = 4 * time.Second
	// scyllaExpireIn is longer, with time for the pin itself and for the rounding
	// of its end to the second.
	scyllaExpireIn = scyllaPinDelay + 3*time.Second
	// scyllaListed is how long five peers may take to list their pins at the same
	// time. Each reads some thousand partitions, empty or not.
	scyllaListed = 30 * time.Second
	// scyllaExpired is how long a pin may stay that has run out.
	scyllaExpired = time.Minute
	// scyllaNever is longer than a test.
	scyllaNever = 24 * time.Hour
)

// scyllaPeer is what a cluster has of the shared pinset.
type scyllaPeer struct {
	*sharedpeer.Peer
	handsOver atomic.Bool
}

// scyllaPeers finds the scyllaPeer of a cluster by its consensus component.
var scyllaPeers sync.Map

// scyllaComponents joins the peer on h. All peers of a test share the keyspace
// that the environment names, each over a store of its own.
func scyllaComponents(t *testing.T, h host.Host, cfg *Config, trackerCfg *stateless.Config, ipfs IPFSConnector) *sharedpeer.Components {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
	defer cancel()
	store := openScylla(ctx, t)
	p := &scyllaPeer{}
	var err error
	p.Peer, err = sharedpeer.Join(ctx, sharedpeer.Options{
		Store: store, ID: h.ID(), Instance: t.Name() + ":" + h.ID().String(), Name: cfg.Peername,
		PingInterval: cfg.MonitorPingInterval, RecoverInterval: cfg.PinRecoverInterval,
		// The tests change the configuration when the peers run.
		Repin:       func() bool { return p.handsOver.Load() || !cfg.DisableRepinning },
		OnlyTrusted: cfg.PinOnlyOnTrustedPeers, OnlyUntrusted: cfg.PinOnlyOnUntrustedPeers,
		ScrubEvery: reconcile.DefaultScrubEvery,
		TrustAll:   true, Tracker: trackerCfg,
		Lost: func(err error) { t.Errorf("peer %s must stop: %s", h.ID(), err) },
	})
	if err != nil {
		t.Fatal("joining the peers: ", err)
	}
	t.Cleanup(func() {
		if err := p.Close(); err != nil {
			t.Error("ending the work on the pinset: ", err)
		}
		_ = store.Close()
	})
	c, err := p.Components(h, sharedpeer.IPFS{Connector: ipfs})
	if err != nil {
		t.Fatal("making the components: ", err)
	}
	// The walks of the cluster over the pinset are off, as in the daemon. Its
	// alert handler needs no telling: it knows no alert of this monitor.
	cfg.StateSyncInterval = scyllaNever
	// The other components write the folder, which raft and the datastores
	// create.
	if err := os.MkdirAll(filepath.Join(testsFolder, h.ID().String()), 0o700); err != nil {
		t.Fatal(err)
	}
	scyllaPeers.Store(Consensus(c.Consensus), p)
	return c
}

// openScylla opens the pinset that the environment names.
func openScylla(ctx context.Context, t *testing.T) *scyllastate.Store {
	t.Helper()
	cfg := &scyllastate.Config{}
	if err := cfg.Default(); err != nil {
		t.Fatal(err)
	}
	if err := cfg.ApplyEnvVars(); err != nil {
		t.Fatal(err)
	}
	cfg.Secret = []byte("the secret of all peers of the test")
	store, err := scyllastate.Open(ctx, cfg)
	if err != nil {
		t.Fatal("opening the pinset: ", err)
	}
	return store
}

// startScylla starts what runs beside a new cluster until that ends. It does
// nothing for a cluster without a shared pinset.
func startScylla(cl *Cluster) {
	value, ok := scyllaPeers.Load(cl.consensus)
	if !ok {
		return
	}
	p := value.(*scyllaPeer)
	p.Start(cl.host, cl.allocator)
	go func() {
		<-cl.Done()
		_ = p.Close() // fails again, where it is seen, at the end of the test
	}()
}

// waitScyllaPinned waits until the peer has pinned, but no longer than it may take
// to list its pins.
func waitScyllaPinned(ctx context.Context, cl *Cluster, c api.Cid) {
	for end := time.Now().Add(scyllaListed); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if cl.tracker.Status(ctx, c).Status == api.TrackerStatusPinned {
			return
		}
	}
}

// waitScyllaExpired waits until no pin is left, but no longer than a peer may take
// to remove one that has run out.
func waitScyllaExpired(ctx context.Context, cl *Cluster) {
	for end := time.Now().Add(scyllaExpired); time.Now().Before(end); time.Sleep(100 * time.Millisecond) {
		if pins, err := cl.pinsSlice(ctx); err == nil && len(pins) == 0 {
			return
		}
	}
}

// scyllaRemove makes a cluster remove another one that hands over its pins first,
// though the configuration disables repinning.
func scyllaRemove(ctx context.Context, cl *Cluster, id peer.ID) error {
	value, ok := scyllaPeers.Load(cl.consensus)
	if !ok {
		return errors.New("the cluster has no shared pinset")
	}
	handsOver := &value.(*scyllaPeer).handsOver
	handsOver.Store(true)
	defer handsOver.Store(false)
	return cl.PeerRemove(ctx, id)
}

// scyllaCluster makes the cluster of a test with one peer, which allocates by the
// number of pins.
func scyllaCluster(t *testing.T, h host.Host, dht *dual.DHT, cfg *Config, trackerCfg *stateless.Config, apis []API, ipfs IPFSConnector, tracer Tracer) *Cluster {
	t.Helper()
	alloc, err := balanced.New(&balanced.Config{AllocateBy: []string{"numpin"}})
	if err != nil {
		t.Fatal(err)
	}
	informerCfg := &numpin.Config{}
	if err := informerCfg.Default(); err != nil {
		t.Fatal(err)
	}
	informer, err := numpin.NewInformer(informerCfg)
	if err != nil {
		t.Fatal(err)
	}
	c := scyllaComponents(t, h, cfg, trackerCfg, ipfs)
	cl := createCluster(t, h, dht, cfg, inmem.New(), c.Consensus, apis, c.Connector, c.Tracker, c.Monitor, alloc, informer, tracer)
	<-cl.Ready()
	return cl
}
