package cmdline

import (
	"errors"
	"fmt"
	"io"

	"github.com/urfave/cli"
)

// Program is what the commands of a program have in common.
type Program struct {
	Name, Usage, Description string
	Stdout, Stderr           io.Writer
	// ConfigFile is the name of the configuration unless told otherwise, ConfigVariable and
	// LevelVariable the variables in place of the flags --config and --loglevel.
	ConfigFile, ConfigVariable, LevelVariable string
	// Component is one of which the log can be asked for, for the help.
	Component string
	// ConfigPath is set from the flag before a command runs.
	ConfigPath *string
}

// App returns the program without commands.
func (p Program) App() *cli.App {
	app := cli.NewApp()
	app.Name = p.Name
	app.HelpName = p.Name
	app.Usage = p.Usage
	app.Description = p.Description
	app.Version = ModuleVersion()
	app.HideVersion = true // it has a command
	app.Writer = p.Stdout
	app.ErrWriter = p.Stderr
	// Without this the library ends the process for some errors.
	app.ExitErrHandler = func(*cli.Context, error) {}
	app.OnUsageError = UsageError
	app.Flags = []cli.Flag{
		cli.StringFlag{
			Name:   "config, c",
			Value:  p.ConfigFile,
			Usage:  "the `FILE` with the configuration",
			EnvVar: p.ConfigVariable,
		},
		cli.StringFlag{
			Name:   "loglevel, l",
			Value:  "info",
			Usage:  "what is logged: debug, info, warn or error, or of one component, as in info," + p.Component + ":debug",
			EnvVar: p.LevelVariable,
		},
	}
	app.Before = func(c *cli.Context) error {
		*p.ConfigPath = c.String("config")
		return SetupLogging(c.String("loglevel"))
	}
	app.Action = func(c *cli.Context) error {
		if name := c.Args().First(); name != "" {
			return fmt.Errorf("running %s: there is no command %q, see %s --help", p.Name, name, p.Name)
		}
		if err := cli.ShowAppHelp(c); err != nil {
			return err
		}
		return fmt.Errorf("running %s: no command given, see the list above", p.Name)
	}
	return app
}

// Run runs the command line args, the name of the program first, and returns the exit code: 0, or
// another one after an error, which it has written to stderr. That is what the error says, 3 when
// there is no such subcommand or help topic, and otherwise 1.
func Run(app *cli.App, args []string, stderr io.Writer) int {
	err := app.Run(args)
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
