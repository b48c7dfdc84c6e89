package service

import (
	"context"
	"fmt"
	"os/signal"

	"github.com/ipfs-cluster/ipfs-cluster/cmdutils"
	"github.com/urfave/cli"
	"go.uber.org/multierr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

func (cmd *command) stateCommand() cli.Command {
	return cli.Command{
		Name:         "state",
		Usage:        "Manages the peer's persistent state (pinset)",
		OnUsageError: usageError,
		Subcommands: []cli.Command{
			cmd.exportCommand(),
			cmd.importCommand(),
			cmd.cleanupCommand(),
		},
		Action: func(c *cli.Context) error {
			if name := c.Args().First(); name != "" {
				return fmt.Errorf("running %s state: there is no command %q, see %s state --help", programName, name, programName)
			}
			return cli.ShowSubcommandHelp(c)
		},
	}
}

func (cmd *command) cleanupCommand() cli.Command {
	return cli.Command{
		Name:         "cleanup",
		Usage:        "remove persistent data (only for \"crdt\" and \"raft\" consensus)",
		OnUsageError: usageError,
		Description: `
   Removes all data of the consensus in this peer, including its copy of the
   pinset. The next start is like a first one: the peer may need to bootstrap
   and gets the pinset from other peers.

   A peer with a scylla state has nothing to remove: its pinset is in the
   database, which all peers share.
`,
		Flags: []cli.Flag{
			cli.BoolFlag{
				Name:  "force, f",
				Usage: "skip confirmation prompt",
			},
		},
		Action: cmd.cleanup,
	}
}

func (cmd *command) cleanup(c *cli.Context) error {
	return cmd.withState(cmd.noScyllaCleanup, func(manager cmdutils.StateManager) error {
		if !forced(c) {
			yes, err := cmd.confirm("The peer state will be removed.  Existing pins may be lost.")
			if err != nil || !yes {
				return err
			}
		}
		if err := manager.Clean(); err != nil {
			return fmt.Errorf("cleaning state: %w", err)
		}
		logger.Info("data correctly cleaned up")
		return nil
	})
}

func (cmd *command) noScyllaCleanup(cfg *scyllastate.Config) error {
	return fmt.Errorf("cleaning state: the pinset is in keyspace %s of the database, which all peers share: this peer has nothing to remove", cfg.Keyspace)
}

// withState reads the configuration and calls the function that belongs to
// where the pinset is. The folder is locked for local pinsets only: a database
// may be used beside a running daemon.
func (cmd *command) withState(inDatabase func(*scyllastate.Config) error, local func(cmdutils.StateManager) error) (err error) {
	cfg, err := cmd.loadConfig()
	if err != nil {
		return err
	}
	defer cfg.Manager().Shutdown()
	if cfg.backend == backendScylla {
		return inDatabase(cfg.scylla)
	}
	lock, err := cmd.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	manager, err := cmdutils.NewStateManagerWithHelper(cfg.ConfigHelper)
	if err != nil {
		return fmt.Errorf("creating state manager: %w", err)
	}
	return local(manager)
}

// withStore opens the database and calls f. A signal ends its context, also
// while the database is waited for.
func withStore(cfg *scyllastate.Config, f func(context.Context, *scyllastate.Store) error) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), shutdownSignals()...)
	defer stop()
	store, err := connect(ctx, cfg)
	if err != nil {
		return err
	}
	defer func() { err = multierr.Append(err, store.Close()) }()
	if err := f(ctx, store); err != nil {
		return nameSignal(ctx, err)
	}
	return nil
}
