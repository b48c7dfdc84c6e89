// Package billing is the command pin-billing: it runs the billing service, and has what an operator
// needs beside it.
package billing

import (
	"context"
	"fmt"
	"io"
	"os"
	"os/signal"
	"syscall"
	"time"

	logging "github.com/ipfs/go-log/v2"
	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const programName = "pin-billing"

var logger = logging.Logger("billing")

// connectTimeout is how long a command waits for the database, unless the configuration
// has a shorter time.
const connectTimeout = 15 * time.Second

// command is one run of pin-billing.
type command struct {
	stdout io.Writer
	stderr io.Writer
	now    func() time.Time

	// Set from the global flags before a subcommand runs.
	configPath string
}

// Main runs the command line args, the name of the program first, and returns the exit code: 0, or
// another one after an error, which it has written to stderr. That is 2 when something was looked for
// and found, as a difference or a mistake in a plan, 3 when there is no such subcommand or help topic,
// and otherwise 1.
func Main(args []string, _ io.Reader, stdout, stderr io.Writer) int {
	cmd := &command{stdout: stdout, stderr: stderr, now: time.Now}
	return cmdline.Run(cmd.app(), args, stderr)
}

// found is the exit code when something was looked for and found.
const found = 2

func (cmd *command) app() *cli.App {
	app := cmdline.Program{
		Name: programName, Usage: "what an IPFS pinning service is paid for", Description: description, Stdout: cmd.stdout, Stderr: cmd.stderr,
		ConfigFile: config.FileName, ConfigVariable: config.FileVariable, LevelVariable: config.LevelVariable, Component: "billing",
		ConfigPath: &cmd.configPath,
	}.App()
	app.Commands = []cli.Command{
		cmd.initCommand(),
		cmd.configCommand(),
		cmd.serveCommand(),
		cmd.planCommand(),
		cmd.usageCommand(),
		cmd.explainCommand(),
		cmd.closeCommand(),
		cmd.recomputeCommand(),
		cmd.reconcileCommand(),
		cmdline.VersionCommand(programName, cmd.stdout),
	}
	return app
}

// loadConfig reads the configuration, with what the environment says.
func (cmd *command) loadConfig() (config.Config, error) {
	return config.Load(cmd.configPath, os.Environ())
}

// withLedger opens the database of the configuration and calls f, whose context a signal ends.
func (cmd *command) withLedger(f func(ctx context.Context, cfg config.Config, store *ledger.Store, db *scylla.DB) error) error {
	cfg, err := cmd.loadConfig()
	if err != nil {
		return err
	}
	if d := time.Duration(cfg.Database.ConnectTimeout); d == 0 || d > connectTimeout {
		cfg.Database.ConnectTimeout = config.Duration(connectTimeout)
	}
	ctx, stop := signal.NotifyContext(context.Background(), syscall.SIGINT, syscall.SIGTERM)
	defer stop()
	db, err := keyspace.Open(ctx, cfg.Database, nil)
	if err != nil {
		return fmt.Errorf("opening the database: %w", err)
	}
	defer db.Close()
	return f(ctx, cfg, ledger.New(ctx, db), db)
}
