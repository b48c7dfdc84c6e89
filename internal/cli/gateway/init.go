package gateway

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
)

func (cmd *command) initCommand() cli.Command {
	return cli.Command{
		Name:         "init",
		Usage:        "writes a configuration to begin with, and new secrets",
		ArgsUsage:    " ",
		OnUsageError: usageError,
		Description: `
   Writes the file of --config, with comments, and beside it a pepper for API
   keys, a key for sessions, and a key for audit records with its public half.
   Nobody else on this machine may read them. If one of them is there, nothing
   is written.

   Instances of one gateway have the same pepper and the same key for sessions:
   run it once, and copy them.
`,
		Action: func(c *cli.Context) error {
			if err := noArguments(c); err != nil {
				return err
			}
			return cmd.init()
		},
	}
}

func (cmd *command) init() (err error) {
	files, err := config.Example(filepath.Base(cmd.configPath))
	if err != nil {
		return err
	}
	folder := filepath.Dir(cmd.configPath)
	if err := os.MkdirAll(folder, 0o700); err != nil {
		return fmt.Errorf("creating the folder of the configuration: %w", err)
	}
	var made []string
	defer func() {
		if err != nil {
			for _, name := range made {
				err = errors.Join(err, os.Remove(name))
			}
		}
	}()
	for _, file := range files {
		name := filepath.Join(folder, file.Name)
		if err := writeNew(name, file.Text); err != nil {
			return err
		}
		made = append(made, name)
	}
	for _, name := range made {
		fmt.Fprintf(cmd.stderr, "written: %s\n", name)
	}
	return nil
}

// writeNew writes a file that is not there yet, for its owner alone.
func writeNew(name string, text []byte) error {
	f, err := os.OpenFile(name, os.O_WRONLY|os.O_CREATE|os.O_EXCL, 0o600)
	if errors.Is(err, os.ErrExist) {
		return fmt.Errorf("%s is there already: nothing was written, remove it if it is not needed", name)
	}
	if err != nil {
		return fmt.Errorf("writing %s: %w", name, err)
	}
	_, err = f.Write(text)
	if err = errors.Join(err, f.Sync(), f.Close()); err != nil {
		return errors.Join(fmt.Errorf("writing %s: %w", name, err), os.Remove(name))
	}
	return nil
}
