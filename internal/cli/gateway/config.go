package gateway

import (
	"fmt"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cli/cmdline"
)

func (cmd *command) configCommand() cli.Command {
	return cmdline.ConfigCommand(cmd.stdout, "", func() ([]byte, error) {
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
