package gateway

import (
	"fmt"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
)

func (cmd *command) configCommand() cli.Command {
	return cli.Command{
		Name:         "config",
		Usage:        "shows the configuration that is in force",
		ArgsUsage:    " ",
		OnUsageError: cmdline.UsageError,
		Description: `
   Shows all settings: the file, overridden by the environment, and defaults.
   All that is wrong with it is told at once, and then nothing is shown. There
   are no secrets in it, but the names of their files.
`,
		Flags: []cli.Flag{
			cli.BoolFlag{Name: "check", Usage: "also read the files that it names, and show nothing but what is wrong"},
		},
		Action: func(c *cli.Context) error {
			if err := cmdline.NoArguments(c); err != nil {
				return err
			}
			cfg, err := cmd.loadConfig()
			if err != nil {
				return err
			}
			if c.Bool("check") {
				if _, err := cfg.Read(); err != nil {
					return fmt.Errorf("%s: %w", cmd.configPath, err)
				}
				return nil
			}
			text, err := cfg.JSON()
			if err != nil {
				return err
			}
			_, err = cmd.stdout.Write(text)
			return cmdline.Written(err)
		},
	}
}
