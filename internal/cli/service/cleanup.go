package service

import (
	"context"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/cmdutils"
	"github.com/urfave/cli"
	"go.uber.org/multierr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// removeBatch is how many pins are removed between two commits.
const removeBatch = 1000

func (cmd *command) cleanupCommand() cli.Command {
	return cli.Command{
		Name:         "cleanup",
		Usage:        "remove persistent data",
		OnUsageError: usageError,
		Description: `
   With a crdt or raft consensus: removes all data of the consensus in this
   peer, including its copy of the pinset. The next start is like a first one:
   the peer may need to bootstrap and gets the pinset from other peers. The
   daemon must be stopped.

   With a scylla state: removes ALL PINS FROM THE DATABASE, for all peers of
   the cluster, which then unpin the content. The command says how many pins
   there are and wants the name of the keyspace: at the prompt, or from scripts
   with --keyspace; --force alone is refused. The peers may be running. After an
   error, run it again. Pins that are added meanwhile may stay.
`,
		Flags: []cli.Flag{
			cli.BoolFlag{
				Name:  "force, f",
				Usage: "skip confirmation prompt",
			},
			keyspaceFlag(),
		},
		Action: cmd.cleanup,
	}
}

func (cmd *command) cleanup(c *cli.Context) error {
	return cmd.withState(
		func(cfg *scyllastate.Config) error {
			return withStore(cfg, scyllastate.OpenExisting, func(ctx context.Context, store *scyllastate.Store) error {
				if err := cmd.cleanKeyspace(ctx, c, cfg, store); err != nil {
					return fmt.Errorf("cleaning state: %w", err)
				}
				return nil
			})
		},
		func(manager cmdutils.StateManager) error {
			if err := noKeyspace(c); err != nil {
				return err
			}
			yes, err := cmd.confirmUnlessForced(context.Background(), c, "The peer state will be removed.  Existing pins may be lost.")
			if err != nil || !yes {
				return err
			}
			if err := manager.Clean(); err != nil {
				return fmt.Errorf("cleaning state: %w", err)
			}
			logger.Info("data correctly cleaned up")
			return nil
		},
	)
}

// cleanKeyspace removes every pin of the keyspace when the user names it.
func (cmd *command) cleanKeyspace(ctx context.Context, c *cli.Context, cfg *scyllastate.Config, store *scyllastate.Store) error {
	if err := checkKeyspaceFlag(c, cfg); err != nil {
		return err
	}
	n, err := store.Count(ctx, newProgress(cmd.stderr, "counted").tick)
	if err != nil {
		return err
	}
	if n == 0 {
		fmt.Fprintf(cmd.stderr, "the keyspace %s holds no pins\n", cfg.Keyspace)
		return nil
	}
	err = cmd.confirmKeyspace(ctx, c, cfg, fmt.Sprintf("All %d pins of the cluster %q will be removed from the keyspace %s, for all its peers, which will unpin the content.",
		n, cfg.ClusterName, cfg.Keyspace))
	if err != nil {
		return err
	}
	if n, err = removePins(ctx, store.Keys, store.Batching(), newProgress(cmd.stderr, "removed")); err != nil {
		return fmt.Errorf("%w (%d pins are removed)", err, n)
	}
	fmt.Fprintf(cmd.stderr, "%d pins removed\n", n)
	return nil
}

// removePins removes from st every pin that keys sends, and returns how many
// are durably removed, also with an error. What keys cannot send does not keep it
// from removing the rest.
func removePins(ctx context.Context, keys func(context.Context, chan<- api.Cid) error, st state.BatchingStore, progress *progress) (removed int, err error) {
	listed := 0
	commit := func() error {
		if err := st.Commit(ctx); err != nil {
			return err
		}
		removed = listed
		progress.tick(removed)
		return nil
	}
	var writeErr error
	err = each(ctx, keys, func(c api.Cid) error {
		if writeErr = st.Rm(ctx, c); writeErr != nil {
			return writeErr
		}
		if listed++; listed%removeBatch == 0 {
			writeErr = commit()
		}
		return writeErr
	})
	if writeErr == nil && listed > removed {
		err = multierr.Append(err, commit())
	}
	return removed, err
}
