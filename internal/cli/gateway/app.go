// Package gateway is the command pin-gateway: it runs the gateway, and has what an operator
// needs beside it, of which most works without a server.
package gateway

import (
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"os"
	"strings"
	"time"

	logging "github.com/ipfs/go-log/v2"
	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
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
	app.Version = moduleVersion()
	app.HideVersion = true // it has a command
	app.Writer = cmd.stdout
	app.ErrWriter = cmd.stderr
	// Without this the library ends the process for some errors.
	app.ExitErrHandler = func(*cli.Context, error) {}
	app.OnUsageError = usageError
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
		return setupLogging(c.String("loglevel"))
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

// loadConfig reads the configuration, with what the environment says.
func (cmd *command) loadConfig() (config.Config, error) {
	return config.Load(cmd.configPath, os.Environ())
}

// usageError names the help instead of printing it between the error and the user.
func usageError(c *cli.Context, err error, _ bool) error {
	name := c.App.Name // with the names of the commands above this one
	if c.Command.Name != "" {
		name += " " + c.Command.Name
	}
	return fmt.Errorf("reading the command line: %w, see %s --help", err, name)
}

// groupAction is for a command that has nothing but subcommands.
func groupAction(c *cli.Context) error {
	if name := c.Args().First(); name != "" {
		return cli.NewExitError(fmt.Sprintf("running %s: there is no command %q, see %s --help", c.App.Name, name, c.App.Name), 3)
	}
	return cli.ShowSubcommandHelp(c)
}

// noArguments refuses what follows a command that takes nothing but flags.
func noArguments(c *cli.Context) error {
	if c.NArg() > 0 {
		return fmt.Errorf("reading the arguments: %q is not one, see %s --help", c.Args().First(), c.Command.HelpName)
	}
	return nil
}

// timeOrAge reads a time, or how long ago it is. Nothing is no time.
func timeOrAge(flag, text string) (time.Time, error) {
	if text == "" {
		return time.Time{}, nil
	}
	if age, err := time.ParseDuration(text); err == nil && age >= 0 {
		return time.Now().Add(-age), nil
	}
	t, err := time.Parse(time.RFC3339, text)
	if err != nil {
		return time.Time{}, fmt.Errorf("reading --%s: %q is neither an age, such as 90m, nor a time, such as 2026-01-31T12:00:00Z", flag, text)
	}
	return t, nil
}

func (cmd *command) printJSON(v any) error {
	enc := json.NewEncoder(cmd.stdout)
	enc.SetEscapeHTML(false)
	enc.SetIndent("", "  ")
	return written(enc.Encode(v))
}

// written says of an error that it is one of writing the output.
func written(err error) error {
	if err != nil {
		return fmt.Errorf("writing the output: %w", err)
	}
	return nil
}

// setupLogging sets levels: "level" for all components, "component:level" for one.
func setupLogging(spec string) error {
	for _, item := range strings.Split(spec, ",") {
		name, level, one := strings.Cut(strings.TrimSpace(item), ":")
		if !one {
			name, level = "*", name
		}
		if level == "" && !one {
			continue
		}
		if err := logging.SetLogLevel(name, level); err != nil {
			return fmt.Errorf("setting the log level: %q is neither \"level\" nor \"component:level\", with debug, info, warn or error as the level", item)
		}
	}
	return nil
}
