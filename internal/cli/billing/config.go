package billing

import (
	"fmt"
	"path/filepath"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
)

func (cmd *command) initCommand() cli.Command {
	return cli.Command{
		Name:         "init",
		Usage:        "writes a configuration to begin with, and new tokens",
		ArgsUsage:    " ",
		OnUsageError: cmdline.UsageError,
		Description: `
   Writes the file of --config, with comments, and beside it the token of the
   gateway and that of operators. Nobody else on this machine may read them. If
   one of them is there, nothing is written.

   Billing begins with the next midnight in UTC, unless you change claims.since.
   All instances have the same tokens: run it once, and copy them.
`,
		Action: func(c *cli.Context) error {
			if err := cmdline.NoArguments(c); err != nil {
				return err
			}
			files, err := config.Example(filepath.Base(cmd.configPath), cmd.now())
			if err != nil {
				return err
			}
			return cmdline.WriteNew(cmd.stderr, filepath.Dir(cmd.configPath), files)
		},
	}
}

func (cmd *command) configCommand() cli.Command {
	return cmdline.ConfigCommand(cmd.stdout, ", plans and buyers among them", func() ([]byte, error) {
		cfg, err := cmd.loadConfig()
		if err != nil {
			return nil, err
		}
		return cfg.JSON()
	}, func() error {
		cfg, err := cmd.loadConfig()
		if err != nil {
			return err
		}
		if _, err := cfg.Read(); err != nil {
			return fmt.Errorf("%s: %w", cmd.configPath, err)
		}
		return nil
	})
}
