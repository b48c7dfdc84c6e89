package service

import (
	"context"
	"errors"
	"fmt"
	"os"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/cmdutils"
	"github.com/ipfs-cluster/ipfs-cluster/config"
	"github.com/ipfs-cluster/ipfs-cluster/pstoremgr"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/section"
)

const (
	defaultConsensus = backendCRDT
	defaultDatastore = "pebble"
)

func (cmd *command) initCommand() cli.Command {
	return cli.Command{
		Name:         "init",
		Usage:        "Creates a configuration and generates an identity",
		ArgsUsage:    "[http-source-url]",
		OnUsageError: usageError,
		Description: `
   Writes service.json with default settings, identity.json with a new key pair
   unless there is one, and the peerstore file.

   With --state scylla the pinset is kept in a CQL database that all peers
   share: service.json gets a "state.scylla" section, and neither a consensus
   nor a datastore section. Name the database with CLUSTER_SCYLLA_HOSTS,
   CLUSTER_SCYLLA_KEYSPACE and so on, or edit the file afterwards. What the
   environment says is written to service.json, passwords included. The
   database is not contacted. Events stay off, without a "state.events" section,
   unless CLUSTER_EVENTS_URLS or CLUSTER_EVENTS_EMBEDDED_ENABLED asks for them.

   With --consensus crdt (the default) or --consensus raft each peer keeps the
   pinset itself, as upstream does.

   All peers of a cluster need the same secret. One is generated unless
   CLUSTER_SECRET is set or --custom-secret asks for it.

   --peers fills the peerstore file with the given addresses, and with their
   peer IDs "trusted_peers" of the scylla state and of the crdt consensus, or
   "init_peerset" of the raft consensus. A peer with a scylla state finds the
   others in the database and does not read the peerstore file.

   With an [http-source-url] service.json only refers to that URL, from which
   the daemon fetches its configuration.
`,
		Flags: []cli.Flag{
			cli.StringFlag{
				Name:  "consensus",
				Usage: "select consensus: 'crdt' or 'raft' ('scylla' is the same as --state scylla)",
				Value: defaultConsensus,
			},
			cli.StringFlag{
				Name:  "state",
				Usage: "select where the pinset is kept: 'scylla', or leave it out for a consensus",
			},
			cli.StringFlag{
				Name:  "datastore",
				Usage: "select datastore: 'badger', 'badger3', 'leveldb' or 'pebble' (only for 'crdt')",
				Value: defaultDatastore,
			},
			cli.BoolFlag{
				Name:  "custom-secret, s",
				Usage: "prompt for the cluster secret (when no source specified)",
			},
			cli.StringFlag{
				Name:  "peers",
				Usage: "comma-separated list of multiaddresses to init with (see help)",
			},
			cli.BoolFlag{
				Name:  "force, f",
				Usage: "overwrite configuration without prompting",
			},
			cli.BoolFlag{
				Name:  "randomports",
				Usage: "configure random ports to listen on instead of defaults",
			},
		},
		Action: cmd.init,
	}
}

func (cmd *command) init(c *cli.Context) (err error) {
	backend, err := chosenBackend(c)
	if err != nil {
		return err
	}
	peers, err := parsePeers(c.String("peers"))
	if err != nil {
		return fmt.Errorf("reading --peers: %w", err)
	}
	if err := os.MkdirAll(cmd.folder, 0o700); err != nil {
		return fmt.Errorf("creating the configuration folder: %w", err)
	}
	configExists, err := exists(cmd.configPath)
	if err != nil {
		return err
	}
	identityExists, err := exists(cmd.identityPath)
	if err != nil {
		return err
	}
	if configExists || identityExists { // a peer may be running on them
		lock, err := cmd.lock()
		if err != nil {
			return err
		}
		defer lock.Close()
	}
	if configExists && !c.Bool("force") {
		yes, err := cmd.confirm(context.Background(), "The configuration file will be overwritten.")
		if err != nil || !yes {
			return err
		}
	}

	cfg := newInitConfig(backend, c.String("datastore"))
	defer cfg.manager.Shutdown()
	if err := cmd.fillConfig(c, cfg, peers); err != nil {
		return err
	}
	if err := cfg.manager.SaveJSON(cmd.configPath); err != nil {
		return fmt.Errorf("saving default configuration: %w", err)
	}
	fmt.Fprintf(cmd.stderr, "configuration written to %s.\n", cmd.configPath)
	if !identityExists {
		if err := cmd.writeIdentity(); err != nil {
			return err
		}
	}
	return cmd.writePeerstore(cfg.configs.Cluster.GetPeerstorePath(), peers)
}

// chosenBackend reads --state, --consensus and --datastore.
func chosenBackend(c *cli.Context) (string, error) {
	backend := c.String("consensus")
	switch state := c.String("state"); {
	case state == "" && c.IsSet("state"), state != "" && state != backendScylla:
		return "", fmt.Errorf("choosing state: --state %q is unknown, use 'scylla', or --consensus for 'crdt' and 'raft'", state)
	case state == backendScylla && c.IsSet("consensus") && backend != backendScylla:
		return "", fmt.Errorf("choosing state: --state scylla and --consensus %s exclude each other, use one of them", backend)
	case state == backendScylla:
		backend = backendScylla
	}
	switch backend {
	case backendScylla, backendCRDT, backendRaft:
	default:
		return "", errors.New("choosing consensus: flag value must be set to 'raft', 'crdt' or 'scylla'")
	}
	if backend == backendScylla && c.IsSet("datastore") {
		return "", errors.New("choosing datastore: the scylla state keeps nothing in a datastore, leave --datastore out")
	}
	switch c.String("datastore") {
	case "leveldb", "badger", "badger3", "pebble":
	default:
		return "", errors.New("choosing datastore: flag value must be set to 'leveldb', 'badger', 'badger3' or 'pebble'")
	}
	return backend, nil
}

// fillConfig sets defaults, then what the flags and the environment say.
func (cmd *command) fillConfig(c *cli.Context, cfg *initConfig, peers []ma.Multiaddr) error {
	cfg.manager.Source = c.Args().First()
	if err := cfg.manager.Default(); err != nil {
		return fmt.Errorf("generating default configuration: %w", err)
	}
	if c.Bool("randomports") {
		if err := randomizePorts(cfg.configs); err != nil {
			return fmt.Errorf("randomizing ports: %w", err)
		}
		if err := cfg.randomizeAdmin(); err != nil {
			return fmt.Errorf("randomizing ports: %w", err)
		}
	}
	err := cfg.manager.ApplyEnvVars()
	if err == nil && cfg.backend == backendScylla {
		err = section.CheckEnv() // also where events are off
	}
	if err != nil {
		return fmt.Errorf("applying environment variables to configuration: %w", err)
	}
	if c.Bool("custom-secret") && cfg.manager.Source == "" {
		text, err := cmd.ask(context.Background(), "Enter cluster secret (32-byte hex string): ")
		if err != nil {
			return err
		}
		cfg.configs.Cluster.Secret, err = ipfscluster.DecodeClusterSecret(text)
		if err != nil {
			return fmt.Errorf("parsing user-provided secret: %w", err)
		}
	}
	if len(peers) > 0 {
		cfg.setPeers(ipfscluster.PeersFromMultiaddrs(peers))
	}
	return nil
}

func randomizePorts(cfgs *cmdutils.Configs) error {
	for _, addrs := range []*[]ma.Multiaddr{
		&cfgs.Cluster.ListenAddr,
		&cfgs.Restapi.HTTPListenAddr,
		&cfgs.Ipfsproxy.ListenAddr,
		&cfgs.Pinsvcapi.HTTPListenAddr,
	} {
		random, err := cmdutils.RandomizePorts(*addrs)
		if err != nil {
			return err
		}
		*addrs = random
	}
	return nil
}

func (cmd *command) writeIdentity() error {
	ident := &config.Identity{}
	if err := ident.Default(); err != nil {
		return fmt.Errorf("generating an identity: %w", err)
	}
	if err := ident.ApplyEnvVars(); err != nil {
		return fmt.Errorf("applying environment variables to the identity: %w", err)
	}
	if err := ident.SaveJSON(cmd.identityPath); err != nil {
		return fmt.Errorf("saving %s: %w", identityFile, err)
	}
	fmt.Fprintf(cmd.stderr, "new identity written to %s\n", cmd.identityPath)
	return nil
}

// writePeerstore writes the peerstore file, also when it stays empty.
func (cmd *command) writePeerstore(path string, addrs []ma.Multiaddr) error {
	infos, err := peer.AddrInfosFromP2pAddrs(addrs...)
	if err != nil {
		return fmt.Errorf("getting peers from multiaddresses: %w", err)
	}
	if err := pstoremgr.New(context.Background(), nil, path).SavePeerstore(infos); err != nil {
		return fmt.Errorf("saving peers to peerstore: %w", err)
	}
	if len(addrs) == 0 {
		fmt.Fprintf(cmd.stderr, "new empty peerstore written to %s.\n", path)
	} else {
		fmt.Fprintf(cmd.stderr, "peerstore written to %s with %d entries.\n", path, len(addrs))
	}
	return nil
}

func exists(path string) (bool, error) {
	_, err := os.Stat(path)
	if errors.Is(err, os.ErrNotExist) {
		return false, nil
	}
	return err == nil, err
}
