// Package billing is the command pin-billing: it runs the billing service, and has what an operator
// needs beside it.
package billing

import (
	"context"
	"errors"
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
	err := cmd.app().Run(args)
	if err == nil {
		return 0
	}
	fmt.Fprintf(stderr, "error %s\n", err)
	var coded cli.ExitCoder
	if errors.As(err, &coded) {
		return coded.ExitCode()
	}
	return 1
}

// found is the exit code when something was looked for and found.
const found = 2

func (cmd *command) app() *cli.App {
	app := cli.NewApp()
	app.Name = programName
	app.HelpName = programName
	app.Usage = "what an IPFS pinning service is paid for"
	app.Description = description
	app.Version = cmdline.ModuleVersion()
	app.HideVersion = true // it has a command
	app.Writer = cmd.stdout
	app.ErrWriter = cmd.stderr
	// Without this the library ends the process for some errors.
	app.ExitErrHandler = func(*cli.Context, error) {}
	app.OnUsageError = cmdline.UsageError
	app.Flags = []cli.Flag{
		cli.StringFlag{
			Name:   "config, c",
			Value:  config.FileName,
			Usage:  "the `FILE` with the configuration",
			EnvVar: config.FileVariable,
		},
		cli.StringFlag{
			Name:   "loglevel, l",
			Value:  "info",
			Usage:  "what is logged: debug, info, warn or error, or of one component, as in info,billing:debug",
			EnvVar: config.LevelVariable,
		},
	}
	app.Before = func(c *cli.Context) error {
		cmd.configPath = c.String("config")
		return cmdline.SetupLogging(c.String("loglevel"))
	}
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
	app.Action = func(c *cli.Context) error {
		if name := c.Args().First(); name != "" {
			return fmt.Errorf("running %s: there is no command %q, see %s --help", programName, name, programName)
		}
		if err := cli.ShowAppHelp(c); err != nil {
			return err
		}
		return fmt.Errorf("running %s: no command given, see the list above", programName)
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
