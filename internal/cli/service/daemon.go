package service

import (
	"context"
	"errors"
	"fmt"
	"os"
	"os/signal"
	"syscall"

	"github.com/coreos/go-systemd/v22/daemon"
	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	ma "github.com/multiformats/go-multiaddr"
	"github.com/urfave/cli"
	"go.uber.org/multierr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/role"
)

// errForcedExit ends the process without waiting for anything else.
var errForcedExit = errors.New("shutting down: stopped by a third signal, without waiting for the end of the shutdown")

func (cmd *command) daemonCommand() cli.Command {
	return cli.Command{
		Name:         "daemon",
		Usage:        "Runs the IPFS Cluster peer",
		OnUsageError: usageError,
		Description: `
   Runs the peer until it gets SIGINT, SIGTERM or SIGHUP. A second signal while
   it shuts down warns, a third one ends it at once.

   With a scylla state the peer first connects to the database. It waits for
   one that does not answer, as long as "connect_timeout" says (0s: for ever),
   and a signal ends the wait. It creates the keyspace and the tables that are
   missing, unless "schema" is "verify".
`,
		Flags: []cli.Flag{
			cli.BoolFlag{
				Name:  "upgrade, u",
				Usage: "run state migrations before starting (deprecated/unused)",
			},
			cli.StringFlag{
				Name:  "bootstrap, j",
				Usage: "join a cluster providing a comma-separated list of existing peers multiaddress(es)",
			},
			cli.BoolFlag{
				Name:   "leave, x",
				Usage:  "remove peer from cluster on exit. Overrides \"leave_on_shutdown\"",
				Hidden: true,
			},
			cli.BoolFlag{
				Name:  "stats",
				Usage: "enable stats collection",
			},
			cli.BoolFlag{
				Name:  "tracing",
				Usage: "enable tracing collection",
			},
			cli.StringFlag{
				Name:   "role",
				Value:  string(role.Full),
				EnvVar: "CLUSTER_ROLE",
				Usage:  "what this peer does: \"full\", \"api\" (no IPFS daemon) or \"worker\" (no API), only for \"scylla\" state",
			},
			cli.BoolFlag{
				Name:  "no-trust",
				Usage: "do not trust bootstrap peers (only for \"crdt\" consensus and \"scylla\" state)",
			},
		},
		Action: cmd.daemon,
	}
}

func (cmd *command) daemon(c *cli.Context) (err error) {
	logger.Info("Initializing. For verbose output run with \"-l debug\". Please wait...")
	bootstraps, err := parsePeers(c.String("bootstrap"))
	if err != nil {
		return fmt.Errorf("reading --bootstrap: %w", err)
	}
	cfg, err := cmd.loadConfig()
	if err != nil {
		return err
	}
	defer cfg.Manager().Shutdown()
	part, err := cfg.role(c.String("role"))
	if err != nil {
		return err
	}
	lock, err := cmd.lock()
	if err != nil {
		return err
	}
	defer lock.Close()

	if c.Bool("stats") {
		cfg.Configs().Metrics.EnableStats = true
	}
	if !c.Bool("no-trust") {
		cfg.trust(ipfscluster.PeersFromMultiaddrs(bootstraps))
	}

	ctx, cancel := context.WithCancel(context.Background())
	p := &clusterPeer{cfg: cfg, role: part, folder: cmd.folder, joining: len(bootstraps) > 0, leave: c.Bool("leave"), lost: make(chan error, 1), secrets: cmd.knownSecrets()}
	defer func() {
		cancel()
		if !errors.Is(err, errForcedExit) {
			err = multierr.Append(err, p.close())
		}
	}()
	if err := p.setupTracing(ctx, c.Bool("tracing")); err != nil {
		return err
	}
	if p.admin, err = p.openAdmin(ctx); err != nil {
		return err
	}
	if err := p.openBackend(); err != nil {
		return err
	}
	signals := make(chan os.Signal, 20)
	signal.Notify(signals, shutdownSignals()...)
	// From the end of the cluster on, a signal ends the process at once.
	defer signal.Stop(signals)
	if err := p.start(ctx); err != nil {
		return err
	}

	// Failures are logged only: the peer runs without the others, or never
	// gets ready and shuts down.
	go join(ctx, p.cluster, bootstraps)
	go notifyReady(ctx, p.cluster)
	return cmd.runUntilShutdown(ctx, p.cluster, signals, p.lost)
}

func shutdownSignals() []os.Signal {
	return []os.Signal{syscall.SIGINT, syscall.SIGTERM, syscall.SIGHUP}
}

// runningCluster is what is needed of a cluster to end it.
type runningCluster interface {
	Shutdown(context.Context) error
	Done() <-chan struct{}
}

// runUntilShutdown returns when the cluster has shut down: by a signal, by
// itself, or because of an error on lost, which it returns.
func (cmd *command) runUntilShutdown(ctx context.Context, cluster runningCluster, signals <-chan os.Signal, lost <-chan error) error {
	failed := make(chan error, 1)
	shutdown := func() {
		if err := cluster.Shutdown(ctx); err != nil {
			select {
			case failed <- fmt.Errorf("shutting down cluster: %w", err):
			default: // the first error is enough
			}
		}
	}
	var cause error
	for count := 0; ; {
		select {
		case <-signals:
			count++
			switch count {
			case 1:
				go shutdown()
			case 2:
				fmt.Fprintln(cmd.stderr, "Still shutting down. A third signal ends the peer at once, which may harm its local data.")
			default:
				return errForcedExit
			}
		case err := <-lost:
			cause = fmt.Errorf("running cluster: %w", err)
			go shutdown()
		case err := <-failed:
			return multierr.Append(cause, err)
		case <-cluster.Done():
			return cause
		}
	}
}

// role reads what the peer is to do. Only a pinset that others keep, too, can do
// without some of its peers' parts.
func (cfg *peerConfig) role(text string) (role.Role, error) {
	r, err := role.Parse(text)
	if err != nil {
		return "", fmt.Errorf("reading --role: %w", err)
	}
	if r != role.Full && cfg.backend != backendScylla {
		return "", fmt.Errorf("reading --role: a peer with the role %s needs a scylla state, and this one has its pinset in %s", r, cfg.backend)
	}
	return r, nil
}

// join connects the peer to the given ones.
func join(ctx context.Context, cluster *ipfscluster.Cluster, bootstraps []ma.Multiaddr) {
	for _, addr := range bootstraps {
		logger.Infof("Bootstrapping to %s", addr)
		if err := cluster.Join(ctx, addr); err != nil {
			logger.Errorf("bootstrap to %s failed: %s", addr, err)
		}
	}
}

// notifyReady tells systemd, if it started this process, that the peer is
// ready.
func notifyReady(ctx context.Context, cluster *ipfscluster.Cluster) {
	select {
	case <-ctx.Done():
	case <-cluster.Ready():
		if _, err := daemon.SdNotify(false, daemon.SdNotifyReady); err != nil {
			logger.Warnf("systemd was not told that the peer is ready: %s", err)
		}
	}
}
