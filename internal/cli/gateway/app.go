// Package gateway is the command pin-gateway: it runs the gateway, and has what an operator
// needs beside it, of which most works without a server.
package gateway

import (
	"errors"
	"fmt"
	"io"
	"os"

	logging "github.com/ipfs/go-log/v2"
	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
)

const programName = "pin-gateway"

var logger = logging.Logger("gateway")

// command is one run of pin-gateway.
type command struct {
	stdin  io.Reader
	stdout io.Writer
	stderr io.Writer

	// Set from the global flags before a subcommand runs.
	configPath string
}

// Main runs the command line args, the name of the program first, and returns the exit code:
// 0, or another one after an error, which it has written to stderr. That is 3 when there is no
// such subcommand or help topic, and otherwise 1.
func Main(args []string, stdin io.Reader, stdout, stderr io.Writer) int {
	cmd := &command{stdin: stdin, stdout: stdout, stderr: stderr}
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

func (cmd *command) app() *cli.App {
	app := cli.NewApp()
	app.Name = programName
	app.HelpName = programName
	app.Usage = "the door to an IPFS cluster"
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
			Usage:  "what is logged: debug, info, warn or error, or of one component, as in info,door:debug",
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
		cmd.policyCommand(),
		cmd.auditCommand(),
		cmd.tenantCommand(),
		cmd.keyCommand(),
		cmd.credentialCommand(),
		cmd.principalCommand(),
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
