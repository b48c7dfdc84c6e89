package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

func (cmd *command) eventsReplayCommand() cli.Command {
	return cli.Command{
		Name:         "replay",
		Usage:        "tells events again",
		ArgsUsage:    " ",
		OnUsageError: usageError,
		Description: `
   Reads the database, and tells all consumers again what it has:

     --since  what was written after a time, or so long ago. The database keeps
              events for 7 days.
     --cid    the pin of a CID as it is now, or that it was removed in the last
              24 hours (unpin_grace).
     --all    every pin as it is now, also those that were imported or migrated,
              of which nothing else tells. It does not tell of removals.

   A pin that cannot be read is named and passed over, and the exit code is 1.
   Consumers that have seen them see them again, with the same IDs and versions.
   Nobody needs this after an outage: consumers notice what they have missed and
   ask for it themselves.
`,
		Flags: []cli.Flag{
			cli.StringFlag{Name: "since", Usage: "a `TIME` such as 2026-01-31T12:00:00Z, or an age such as 90m"},
			cli.StringSliceFlag{Name: "cid", Usage: "a `CID`; may be given several times"},
			cli.BoolFlag{Name: "all", Usage: "every pin"},
		},
		Action: cmd.eventsReplay,
	}
}

func (cmd *command) eventsReplay(c *cli.Context) error {
	texts, all, text := fields(c.StringSlice("cid")), c.Bool("all"), c.String("since")
	wanted := 0
	for _, set := range []bool{len(texts) > 0, all, text != ""} {
		if set {
			wanted++
		}
	}
	if wanted != 1 || c.NArg() > 0 {
		return errors.New("reading the arguments: give one of --since, --cid and --all")
	}
	var since time.Time
	if text != "" {
		var err error
		if since, err = timeOrAge("since", text); err != nil {
			return err
		}
	}
	cids, err := decodeCIDs(texts)
	if err != nil {
		return err
	}
	return cmd.withBus(func(ctx context.Context, cfg *peerConfig, b *bus.Bus) error {
		return withStore(cfg.scylla, scyllastate.OpenExisting, func(ctx context.Context, store *scyllastate.Store) error {
			if store.EventsSince().IsZero() {
				return fmt.Errorf("the keyspace %s has no events: no peer was started with them yet", cfg.scylla.Keyspace)
			}
			if err := b.Ensure(ctx); err != nil {
				return err
			}
			r := &replayer{bus: b, cluster: cfg.scylla.ClusterName, progress: newProgress(cmd.stderr, "told again"), stderr: cmd.stderr}
			err := r.run(ctx, func() error {
				switch {
				case all:
					return r.all(ctx, store)
				case len(cids) > 0:
					return r.cids(ctx, store, cids)
				default:
					return r.since(ctx, store, since)
				}
			})
			if err != nil {
				return err
			}
			fmt.Fprintf(cmd.stdout, "%d events told again\n", r.told)
			return nil
		})
	})
}
