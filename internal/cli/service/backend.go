package service

import (
	"context"
	"fmt"
	"time"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/cmdutils"
	"github.com/ipfs-cluster/ipfs-cluster/consensus/crdt"
	"github.com/ipfs-cluster/ipfs-cluster/consensus/raft"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// noReadyTimeout is for backends that are slow to get ready only where waiting
// is right. A cluster that is not ready in time shuts down.
const noReadyTimeout = 365 * 24 * time.Hour

// trust adds peers to the trusted ones for this run.
func (cfg *peerConfig) trust(peers []peer.ID) {
	switch cfg.backend {
	case backendScylla:
		cfg.scylla.TrustedPeers = append(cfg.scylla.TrustedPeers, peers...)
	case backendCRDT:
		crdtCfg := cfg.Configs().Crdt
		crdtCfg.TrustedPeers = append(crdtCfg.TrustedPeers, peers...)
	}
}

// openBackend opens what holds the pinset, before the peer is on the network.
func (p *clusterPeer) openBackend() error {
	if p.cfg.backend == backendScylla {
		return p.joinShared()
	}
	p.admin.starting.begin("opening its datastore")
	if p.cfg.backend == backendRaft && p.joining {
		if err := raft.CleanupRaft(p.cfg.Configs().Raft); err != nil {
			return fmt.Errorf("cleaning the raft state before joining: %w", err)
		}
	}
	manager, err := cmdutils.NewStateManagerWithHelper(p.cfg.ConfigHelper)
	if err != nil {
		return fmt.Errorf("creating state manager: %w", err)
	}
	store, err := manager.GetStore()
	if err != nil {
		return fmt.Errorf("creating datastore: %w", err)
	}
	p.datastore = store
	p.closeLater(store.Close)
	if name := p.cfg.GetDatastore(); name != "" {
		logger.Infof("Datastore backend: %s", name)
	}
	return nil
}

// opener is scyllastate.Open or scyllastate.OpenExisting.
type opener func(context.Context, *scyllastate.Config) (*scyllastate.Store, error)

// connect opens the database, waiting for it when it is down. ctx ends with a
// signal.
func connect(ctx context.Context, cfg *scyllastate.Config, open opener) (*scyllastate.Store, error) {
	store, err := open(ctx, cfg)
	if err != nil {
		return nil, fmt.Errorf("opening the pinset: %w", nameSignal(ctx, err))
	}
	return store, nil
}

// nameSignal says that a signal is the cause of err when it has ended ctx.
func nameSignal(ctx context.Context, err error) error {
	if ctx.Err() == nil {
		return err
	}
	return fmt.Errorf("stopped by a signal: %w", err)
}

// newConsensus makes the component that keeps the pinset of the other backends,
// on the host of p.
func (p *clusterPeer) newConsensus() (ipfscluster.Consensus, error) {
	cfgs := p.cfg.Configs()
	switch p.cfg.backend {
	case backendRaft:
		ipfscluster.ReadyTimeout = cfgs.Raft.WaitForLeaderTimeout + 5*time.Second
		return raft.NewConsensus(p.host, cfgs.Raft, p.datastore, p.joining)
	case backendCRDT:
		// Migrations of the crdt datastore may take very long.
		ipfscluster.ReadyTimeout = noReadyTimeout
		return crdt.New(p.host, p.dht, p.pubsub, cfgs.Crdt, p.datastore)
	default:
		return nil, fmt.Errorf("unknown backend %q", p.cfg.backend)
	}
}
