package cmdline

import (
	"io"

	"github.com/urfave/cli"
)

// ConfigCommand is the command config of a program: show returns the configuration as text, and
// check reads the files that it names as well, which checked says.
func ConfigCommand(stdout io.Writer, checked string, show func() ([]byte, error), check func() error) cli.Command {
	return cli.Command{
		Name:         "config",
		Usage:        "shows the configuration that is in force",
		ArgsUsage:    " ",
		OnUsageError: UsageError,
		Description: `
   Shows all settings: the file, overridden by the environment, and defaults.
   All that is wrong with it is told at once, and then nothing is shown. There
   are no secrets in it, but the names of their files.
`,
		Flags: []cli.Flag{
			cli.BoolFlag{Name: "check", Usage: "also read the files that it names" + checked + ", and show nothing but what is wrong"},
		},
		Action: func(c *cli.Context) error {
			if err := NoArguments(c); err != nil {
				return err
			}
			if c.Bool("check") {
				return check()
			}
			text, err := show()
			if err != nil {
				return err
			}
			_, err = stdout.Write(text)
			return Written(err)
		},
	}
}
