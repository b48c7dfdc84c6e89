package gateway

import (
	"path/filepath"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
)

func (cmd *command) initCommand() cli.Command {
	return cli.Command{
		Name:         "init",
		Usage:        "writes a configuration to begin with, and new secrets",
		ArgsUsage:    " ",
		OnUsageError: cmdline.UsageError,
		Description: `
   Writes the file of --config, with comments, and beside it a pepper for API
   keys, a key for sessions, and a key for audit records with its public half.
   Nobody else on this machine may read them. If one of them is there, nothing
   is written.

   Instances of one gateway have the same pepper and the same key for sessions:
   run it once, and copy them.
`,
		Action: func(c *cli.Context) error {
			if err := cmdline.NoArguments(c); err != nil {
				return err
			}
			return cmd.init()
		},
	}
}

func (cmd *command) init() error {
	files, err := config.Example(filepath.Base(cmd.configPath))
	if err != nil {
		return err
	}
	return cmdline.WriteNew(cmd.stderr, filepath.Dir(cmd.configPath), files)
}
