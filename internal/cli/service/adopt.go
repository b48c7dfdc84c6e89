package service

import (
	"context"
	"errors"
	"fmt"
	"os/signal"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/cmdutils"
	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

func (cmd *command) adoptCommand() cli.Command {
	return cli.Command{
		Name:         "adopt",
		Usage:        "tell the keyspace the new secret, name or unpin_grace of its cluster (only for \"scylla\" state)",
		OnUsageError: usageError,
		Description: `
   A keyspace belongs to the cluster that first used it: peers with another
   secret or another "cluster_name" are refused. After the secret or the name of
   a cluster was changed, stop all its peers, run this command once, and start
   them with the new configuration. No pin is changed.

   The same goes for "unpin_grace": all peers go by that of the keyspace, which
   this command sets to that of the configuration. Stopped means ended: a peer
   that is only paused may go on by the old one.

   The command says whose keyspace it is and wants its name: at the prompt, or
   from scripts with --keyspace.
`,
		Flags:  []cli.Flag{keyspaceFlag()},
		Action: cmd.adopt,
	}
}

func (cmd *command) adopt(c *cli.Context) error {
	return cmd.withState(
		func(cfg *scyllastate.Config) error {
			ctx, stop := signal.NotifyContext(context.Background(), shutdownSignals()...)
			defer stop()
			if err := cmd.adoptKeyspace(ctx, c, cfg); err != nil {
				return fmt.Errorf("adopting the keyspace: %w", nameSignal(ctx, err))
			}
			return nil
		},
		func(cmdutils.StateManager) error {
			return errors.New("adopting the keyspace: this peer has no scylla state")
		},
	)
}

func (cmd *command) adoptKeyspace(ctx context.Context, c *cli.Context, cfg *scyllastate.Config) error {
	if err := checkKeyspaceFlag(c, cfg); err != nil {
		return err
	}
	changed := "already"
	err := scyllastate.Adopt(ctx, cfg, func(present, wanted scyllastate.Owner) error {
		changed = "from now on"
		if present.Same(wanted) {
			changed = "and has another unpin_grace from now on"
		}
		return cmd.confirmKeyspace(ctx, c, cfg, adoptText(cfg.Keyspace, present, wanted))
	})
	if err != nil {
		return err
	}
	fmt.Fprintf(cmd.stderr, "the keyspace %s belongs to this cluster, %q, %s\n", cfg.Keyspace, cfg.ClusterName, changed)
	return nil
}

// adoptText says what the keyspace has, and what becomes of it.
func adoptText(keyspace string, present, wanted scyllastate.Owner) string {
	text := fmt.Sprintf("The keyspace %s belongs to no cluster.", keyspace)
	switch {
	case present.Same(wanted):
		text = fmt.Sprintf("The keyspace %s belongs to this cluster. Its peers must be stopped.", keyspace)
	case present.Name != "":
		text = fmt.Sprintf("The keyspace %s belongs to the cluster %q since %s (by %s). Its peers, which must be stopped, will be refused.",
			keyspace, present.Name, present.Claimed.UTC().Format(time.RFC3339), present.ClaimedBy)
	}
	if present.UnpinGrace != 0 && present.UnpinGrace != wanted.UnpinGrace {
		text += fmt.Sprintf(" Its unpin_grace is %s and will be %s, for all peers.", present.UnpinGrace, wanted.UnpinGrace)
	}
	return text
}
