package ipfscluster

import (
	"context"
	"os"
	"path/filepath"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/pintracker/stateless"
	"github.com/ipfs-cluster/ipfs-cluster/state"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	sharedstate "github.com/ipfs-cluster/ipfs-cluster-scylla/peer/consensus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/tracker"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// scyllaPinDelay is how long the tests wait until every peer has acted on a
// pin. Upstream waits for 800 ms. A peer looks once a second for changes that
// concern every peer.
const scyllaPinDelay = 2 * time.Second

// scyllaConsensus makes the component of the peer on h. All peers of a test
// share the keyspace that the environment names, each over a store of its own.
func scyllaConsensus(t *testing.T, h host.Host) Consensus {
	t.Helper()
	ctx := context.Background()
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
	t.Cleanup(func() { _ = store.Close() })
	feed, err := store.Feed(ctx, h.ID())
	if err != nil {
		t.Fatal("opening the change feed: ", err)
	}
	// The other components write the folder, which raft and the datastores
	// create.
	if err := os.MkdirAll(filepath.Join(testsFolder, h.ID().String()), 0o700); err != nil {
		t.Fatal(err)
	}
	return sharedstate.New(h, sharedstate.Options{
		Store: store, Updater: store, Feed: feed,
		TrustAll: true,
		Lost:     func(err error) { t.Errorf("peer %s lost its feed: %s", h.ID(), err) },
	})
}

// newTracker makes the pin tracker that goes with the consensus.
func newTracker(cfg *stateless.Config, id peer.ID, name string, pinset func(context.Context) (state.ReadOnly, error)) PinTracker {
	if consensus == "scylla" {
		return tracker.New(cfg, id, name, pinset)
	}
	return stateless.New(cfg, id, name, pinset)
}
