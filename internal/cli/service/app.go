// Package service is the command ipfs-cluster-service. It has upstream's
// flags, environment variables and file layout, and adds peers whose pinset is
// in a CQL database: "state": {"scylla": {…}} in service.json.
//
// Upstream keeps its command in a package main, so that it is put together
// here anew from the parts that can be imported. Peers with the crdt or raft
// consensus run as they do under upstream's command.
package service

import (
	"bufio"
	"errors"
	"fmt"
	"io"
	"os"
	"os/user"
	"path/filepath"

	"github.com/ipfs-cluster/ipfs-cluster/version"
	logging "github.com/ipfs/go-log/v2"
	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
)

const (
	programName   = "ipfs-cluster-service"
	defaultFolder = ".ipfs-cluster"
	configFile    = "service.json"
	identityFile  = "identity.json"
)

var logger = logging.Logger("service")

// command is one run of ipfs-cluster-service.
type command struct {
	stdin  *bufio.Reader
	stdout io.Writer
	stderr io.Writer

	// Set from the global flags before a subcommand runs.
	folder       string
	configPath   string
	identityPath string
}

// Main runs the command line args, the name of the program first, and returns
// the exit code: 0, or another one after an error, which it has written to
// stderr. As under upstream's command that is 3 when there is no such
// subcommand or help topic, and otherwise 1.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cmd := &command{stdin: bufio.NewReader(stdin), stdout: stdout, stderr: stderr}
	return cmdline.Run(cmd.app(), args, stderr)
}

func (cmd *command) app() *cli.App {
	app := cli.NewApp()
	app.Name = programName
	app.HelpName = programName
	app.Usage = "IPFS Cluster peer"
	app.Description = description
	app.Version = version.Version.String()
	app.Writer = cmd.stdout
	app.ErrWriter = cmd.stderr
	// Without this the library ends the process for some errors.
	app.ExitErrHandler = func(*cli.Context, error) {}
	app.OnUsageError = usageError
	app.Flags = []cli.Flag{
		cli.StringFlag{
			Name:   "config, c",
			Value:  homeFolder(),
			Usage:  "path to the configuration and data `FOLDER`",
			EnvVar: "IPFS_CLUSTER_PATH",
		},
		cli.BoolFlag{
			Name:  "force, f",
			Usage: "forcefully proceed with some actions. i.e. overwriting configuration",
		},
		cli.BoolFlag{
			Name:  "debug, d",
			Usage: "enable full debug logging (very verbose)",
		},
		cli.StringFlag{
			Name:   "loglevel, l",
			EnvVar: "IPFS_CLUSTER_LOG_LEVEL",
			Usage:  "set overall and component-wise log levels",
		},
	}
	app.Before = cmd.before
	app.Commands = []cli.Command{
		cmd.initCommand(),
		cmd.daemonCommand(),
		cmd.stateCommand(),
		cmd.migrateCommand(),
		cmd.eventsCommand(),
		cmd.debugCommand(),
		cmd.versionCommand(),
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

// before reads the global flags. A folder that is set to nothing is the one in
// which the command runs, as under upstream's command.
func (cmd *command) before(c *cli.Context) error {
	folder := c.String("config")
	if folder == "" && !c.IsSet("config") {
		return errors.New("finding the configuration folder: there is no home folder, use --config")
	}
	folder, err := filepath.Abs(folder)
	if err != nil {
		return fmt.Errorf("finding the configuration folder: %w", err)
	}
	cmd.folder = folder
	cmd.configPath = filepath.Join(folder, configFile)
	cmd.identityPath = filepath.Join(folder, identityFile)
	return setupLogging(c.Bool("debug"), c.String("loglevel"))
}

// homeFolder returns the default configuration folder, or nothing when the
// user has no home. HOME comes first because some packages redirect it.
func homeFolder() string {
	if home := os.Getenv("HOME"); home != "" {
		return filepath.Join(home, defaultFolder)
	}
	if usr, err := user.Current(); err == nil && usr.HomeDir != "" {
		return filepath.Join(usr.HomeDir, defaultFolder)
	}
	return ""
}

// usageError names the help instead of printing it between the error and the
// user.
func usageError(c *cli.Context, err error, _ bool) error {
	name := c.App.Name // with the names of the commands above this one
	if c.Command.Name != "" {
		name += " " + c.Command.Name
	}
	return fmt.Errorf("reading the command line: %w, see %s --help", err, name)
}
