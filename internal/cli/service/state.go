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
			cmd.adoptCommand(),
			cmd.crdtCommand(),
			cmd.driftCommand(),
		},
		Action: groupAction,
	}
}

// groupAction is for a command that has nothing but subcommands. Upstream's
// ends with the same exit code for a name that it does not know.
func groupAction(c *cli.Context) error {
	if name := c.Args().First(); name != "" {
		return cli.NewExitError(fmt.Sprintf("running %s: there is no command %q, see %s --help", c.App.Name, name, c.App.Name), 3)
	}
	return cli.ShowSubcommandHelp(c)
}

// withState reads the configuration and calls the function that belongs to
// where the pinset is. The folder is locked for local pinsets only: a database
// may be used beside a running daemon.
func (cmd *command) withState(inDatabase func(*scyllastate.Config) error, local func(cmdutils.StateManager) error) (err error) {
	cfg, err := cmd.loadConfig()
	if err != nil {
		return err
	}
	cfg.release()
	if cfg.backend == backendScylla {
		return inDatabase(cfg.scylla)
	}
	lock, err := cmd.lock()
	if err != nil {
		return err
	}
	defer lock.Close()
	manager, err := newStateManager(cfg)
	if err != nil {
		return err
	}
	return local(manager)
}

// withStore opens the database and calls f. A signal ends its context, also
// while the database is waited for.
func withStore(cfg *scyllastate.Config, open opener, f func(context.Context, *scyllastate.Store) error) (err error) {
	ctx, stop := signal.NotifyContext(context.Background(), shutdownSignals()...)
	defer stop()
	store, err := connect(ctx, cfg, open)
	if err != nil {
		return err
	}
	defer func() { err = multierr.Append(err, store.Close()) }()
	if err := f(ctx, store); err != nil {
		return nameSignal(ctx, err)
	}
	return nil
}
