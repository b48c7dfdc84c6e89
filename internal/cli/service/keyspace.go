package service

import (
	"context"
	"errors"
	"fmt"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

func keyspaceFlag() cli.Flag {
	return cli.StringFlag{
		Name:  "keyspace",
		Usage: "`NAME` of the keyspace, instead of typing it at the prompt (only for \"scylla\" state)",
	}
}

// noKeyspace refuses --keyspace where there is none, so that nobody believes
// that it protects something.
func noKeyspace(c *cli.Context) error {
	if c.IsSet("keyspace") {
		return errors.New("reading the command line: --keyspace is for a scylla state, and this peer has none: leave it out")
	}
	return nil
}

// checkKeyspaceFlag refuses a --keyspace that is not that of service.json.
func checkKeyspaceFlag(c *cli.Context, cfg *scyllastate.Config) error {
	if !c.IsSet("keyspace") {
		return nil
	}
	return checkKeyspaceName(c.String("keyspace"), cfg)
}

func checkKeyspaceName(name string, cfg *scyllastate.Config) error {
	if name != cfg.Keyspace {
		return fmt.Errorf("%q is not the name of the keyspace, %s: nothing was changed", name, cfg.Keyspace)
	}
	return nil
}

// confirmKeyspace says what is about to happen to a keyspace that all peers
// share, and returns an error unless the user names it. --force is not enough:
// a script that was written for a peer's own pinset must not reach that of
// everybody.
func (cmd *command) confirmKeyspace(ctx context.Context, c *cli.Context, cfg *scyllastate.Config, what string) error {
	if c.IsSet("keyspace") {
		fmt.Fprintln(cmd.stderr, what)
		return checkKeyspaceFlag(c, cfg)
	}
	if c.Bool("force") {
		return fmt.Errorf("%s --force is not enough for that: add --keyspace %s", what, cfg.Keyspace)
	}
	name, err := cmd.ask(ctx, what+" Type the name of the keyspace to go on: ")
	if err != nil {
		return err
	}
	return checkKeyspaceName(name, cfg)
}
