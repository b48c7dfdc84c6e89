package service

import (
	"net"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/allocator/balanced"
	"github.com/ipfs-cluster/ipfs-cluster/api/ipfsproxy"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi"
	"github.com/ipfs-cluster/ipfs-cluster/api/rest"
	"github.com/ipfs-cluster/ipfs-cluster/cmdutils"
	"github.com/ipfs-cluster/ipfs-cluster/config"
	"github.com/ipfs-cluster/ipfs-cluster/informer/disk"
	"github.com/ipfs-cluster/ipfs-cluster/informer/pinqueue"
	"github.com/ipfs-cluster/ipfs-cluster/informer/tags"
	"github.com/ipfs-cluster/ipfs-cluster/ipfsconn/ipfshttp"
	"github.com/ipfs-cluster/ipfs-cluster/monitor/pubsubmon"
	"github.com/ipfs-cluster/ipfs-cluster/observations"
	"github.com/ipfs-cluster/ipfs-cluster/pintracker/stateless"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/section"
	adminsection "github.com/ipfs-cluster/ipfs-cluster-scylla/internal/adminhttp/section"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// initConfig is a configuration that init writes: its manager has exactly the
// components that are wanted in service.json.
type initConfig struct {
	manager *config.Manager
	configs *cmdutils.Configs
	backend string
	scylla  *scyllastate.Config  // nil for other backends
	admin   *adminsection.Config // the same
}

// newInitConfig returns the configuration for a backend. datastore is used
// for crdt only. The caller ends with manager.Shutdown().
func newInitConfig(backend, datastore string) *initConfig {
	if backend == backendScylla {
		return newScyllaInitConfig()
	}
	// The paths are for methods that init does not use.
	helper := cmdutils.NewConfigHelper("", "", backend, datastore)
	return &initConfig{manager: helper.Manager(), configs: helper.Configs(), backend: backend}
}

// newScyllaInitConfig has upstream's components but for consensus and
// datastore. Upstream's helper would add all of those that it knows.
func newScyllaInitConfig() *initConfig {
	cfgs := &cmdutils.Configs{
		Cluster:          &ipfscluster.Config{},
		Restapi:          rest.NewConfig(),
		Pinsvcapi:        pinsvcapi.NewConfig(),
		Ipfsproxy:        &ipfsproxy.Config{},
		Ipfshttp:         &ipfshttp.Config{},
		Statelesstracker: &stateless.Config{},
		Pubsubmon:        &pubsubmon.Config{},
		BalancedAlloc:    &balanced.Config{},
		DiskInf:          &disk.Config{},
		TagsInf:          &tags.Config{},
		PinQueueInf:      &pinqueue.Config{},
		Metrics:          &observations.MetricsConfig{},
		Tracing:          &observations.TracingConfig{},
	}
	scylla, admin := &scyllastate.Config{}, &adminsection.Config{}
	manager := config.NewManager()
	for _, c := range []struct {
		section   config.SectionType
		component config.ComponentConfig
	}{
		{config.Cluster, cfgs.Cluster},
		{config.API, cfgs.Restapi},
		{config.API, cfgs.Pinsvcapi},
		{config.API, cfgs.Ipfsproxy},
		{config.IPFSConn, cfgs.Ipfshttp},
		{config.State, scylla},
		{config.PinTracker, cfgs.Statelesstracker},
		{config.Monitor, cfgs.Pubsubmon},
		{config.Allocator, cfgs.BalancedAlloc},
		{config.Informer, cfgs.DiskInf},
		{config.Informer, cfgs.TagsInf},
		{config.Informer, cfgs.PinQueueInf},
		{config.Observations, cfgs.Metrics},
		{config.Observations, cfgs.Tracing},
		{config.Observations, admin},
	} {
		manager.RegisterComponent(c.section, c.component)
	}
	if section.AskedByEnv() {
		manager.RegisterComponent(config.State, &section.Config{})
	}
	return &initConfig{manager: manager, configs: cfgs, backend: backendScylla, scylla: scylla, admin: admin}
}

// randomizeAdmin chooses a free port for metrics, as upstream does for its listeners.
func (cfg *initConfig) randomizeAdmin() error {
	if cfg.admin == nil {
		return nil
	}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return err
	}
	cfg.admin.Listen = listener.Addr().String()
	return listener.Close()
}

// setPeers names the other peers of the cluster.
func (cfg *initConfig) setPeers(peers []peer.ID) {
	switch cfg.backend {
	case backendScylla:
		cfg.scylla.TrustAll = false
		cfg.scylla.TrustedPeers = peers
	case backendCRDT:
		cfg.configs.Crdt.TrustAll = false
		cfg.configs.Crdt.TrustedPeers = peers
	case backendRaft:
		cfg.configs.Raft.InitPeerset = peers
	}
}
