package cmdline

import (
	"fmt"
	"strings"
	"time"

	"github.com/urfave/cli"
)

// UsageError names the help instead of printing it between the error and the user.
func UsageError(c *cli.Context, err error, _ bool) error {
	name := c.App.Name // with the names of the commands above this one
	if c.Command.Name != "" {
		name += " " + c.Command.Name
	}
	return fmt.Errorf("reading the command line: %w, see %s --help", err, name)
}

// GroupAction is for a command that has nothing but subcommands.
func GroupAction(c *cli.Context) error {
	if name := c.Args().First(); name != "" {
		return cli.NewExitError(fmt.Sprintf("running %s: there is no command %q, see %s --help", c.App.Name, name, c.App.Name), 3)
	}
	return cli.ShowSubcommandHelp(c)
}

// NoArguments refuses what follows a command that takes nothing but flags.
func NoArguments(c *cli.Context) error {
	if c.NArg() > 0 {
		return fmt.Errorf("reading the arguments: %q is not one, see %s --help", c.Args().First(), c.Command.HelpName)
	}
	return nil
}

// OneArgument returns the only argument of a command.
func OneArgument(c *cli.Context, what string) (string, error) {
	switch {
	case c.NArg() == 0 || c.Args().First() == "":
		return "", fmt.Errorf("reading the arguments: name %s, see %s --help", what, c.Command.HelpName)
	case c.NArg() > 1:
		return "", fmt.Errorf("reading the arguments: %q is one too many, see %s --help", c.Args().Get(1), c.Command.HelpName)
	}
	return c.Args().First(), nil
}

// NeedFlags returns an error for the first flag that is not set.
func NeedFlags(c *cli.Context, names ...string) error {
	for _, name := range names {
		if c.String(name) == "" {
			return fmt.Errorf("reading the command line: --%s is needed, see %s --help", name, c.Command.HelpName)
		}
	}
	return nil
}

// TimeOrAge reads a time, or how long ago it is. Nothing is no time.
func TimeOrAge(flag, text string) (time.Time, error) {
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

// Words are the parts of comma-separated lists.
func Words(lists []string) (all []string) {
	for _, list := range lists {
		for _, word := range strings.Split(list, ",") {
			if word = strings.TrimSpace(word); word != "" {
				all = append(all, word)
			}
		}
	}
	return all
}
