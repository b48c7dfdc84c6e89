// Package gateway is the command pin-gateway: it runs the gateway, and has what an operator
// needs beside it, of which most works without a server.
package gateway

import (
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
	return cmdline.Run(cmd.app(), args, stderr)
}

func (cmd *command) app() *cli.App {
	app := cmdline.Program{
		Name: programName, Usage: "the door to an IPFS cluster", Description: description, Stdout: cmd.stdout, Stderr: cmd.stderr,
		ConfigFile: config.FileName, ConfigVariable: config.FileVariable, LevelVariable: config.LevelVariable, Component: "door",
		ConfigPath: &cmd.configPath,
	}.App()
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
	return app
}

// loadConfig reads the configuration, with what the environment says.
func (cmd *command) loadConfig() (config.Config, error) {
	return config.Load(cmd.configPath, os.Environ())
}
