package service

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/urfave/cli"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/relay"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// replayBatch is how many events are published before they are waited for.
const replayBatch = 256

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
			r := &replayer{bus: b, store: store, cluster: cfg.scylla.ClusterName, progress: newProgress(cmd.stderr, "told again")}
			var err error
			switch {
			case all:
				err = r.all(ctx)
			case len(cids) > 0:
				err = r.cids(ctx, cids)
			default:
				err = r.since(ctx, since)
			}
			if err == nil {
				err = r.flush(ctx)
			}
			if err != nil {
				return fmt.Errorf("telling events again, after %d were: %w", r.told, err)
			}
			fmt.Fprintf(cmd.stdout, "%d events told again\n", r.told)
			return nil
		})
	})
}

// replayer tells events again. Those of one CID are told in order.
type replayer struct {
	bus      *bus.Bus
	store    *scyllastate.Store
	cluster  string
	progress *progress

	waiting [state.EventShards][]bus.Message
	told    int
}

func (r *replayer) add(ctx context.Context, shard int, fact state.Event) error {
	e, err := relay.Wire(r.cluster, fact)
	if err != nil {
		return err
	}
	data, err := e.Encode()
	if err != nil {
		return fmt.Errorf("the event of %s: %w", fact.Cid, err)
	}
	r.waiting[shard] = append(r.waiting[shard], bus.Message{ID: e.ID(), Data: data})
	if len(r.waiting[shard]) < replayBatch {
		return nil
	}
	return r.send(ctx, shard)
}

func (r *replayer) send(ctx context.Context, shard int) error {
	batch := r.waiting[shard]
	if len(batch) == 0 {
		return nil
	}
	if err := r.bus.Again(ctx, shard, batch); err != nil {
		return err
	}
	r.waiting[shard] = nil
	r.told += len(batch)
	r.progress.tick(r.told)
	return nil
}

func (r *replayer) flush(ctx context.Context) error {
	for shard := range r.waiting {
		if err := r.send(ctx, shard); err != nil {
			return err
		}
	}
	return nil
}

func (r *replayer) since(ctx context.Context, since time.Time) error {
	for shard := range state.EventShards {
		err := r.store.ReadEvents(ctx, shard, since, time.Now(), func(facts []state.Event) error {
			for _, fact := range facts {
				if err := r.add(ctx, shard, fact); err != nil {
					return err
				}
			}
			return nil
		})
		if errors.Is(err, state.ErrEventsGone) {
			return fmt.Errorf("%w: use a later --since, or --all for the pins as they are now", err)
		}
		if err != nil {
			return err
		}
	}
	return nil
}

func (r *replayer) cids(ctx context.Context, cids []api.Cid) error {
	for _, c := range cids {
		pin, rev, err := r.store.GetVersion(ctx, c)
		if err != nil {
			return err
		}
		if rev == (state.Revision{}) {
			return fmt.Errorf("the pinset knows nothing of %s: it was never pinned, or removed long ago", c)
		}
		if err := r.addPin(ctx, c, pin, rev); err != nil {
			return err
		}
	}
	return nil
}

// all tells of all pins. Their revisions are read with them: List has none.
func (r *replayer) all(ctx context.Context) error {
	var some []api.Cid
	tell := func() error {
		var failed error
		err := r.store.GetVersions(ctx, some, func(i int, pin *api.Pin, rev state.Revision, err error) {
			if err == nil && pin != nil { // else it was removed meanwhile, of which an event tells
				err = r.addPin(ctx, some[i], pin, rev)
			}
			failed = errors.Join(failed, err)
		})
		some = some[:0]
		return errors.Join(err, failed)
	}
	err := each(ctx, r.store.List, func(pin api.Pin) error {
		some = append(some, pin.Cid)
		if len(some) < replayBatch {
			return nil
		}
		return tell()
	})
	if err != nil {
		return err
	}
	return tell()
}

// addPin tells what a pin is now: that it was accepted, as nobody knows what the last write
// to it was.
func (r *replayer) addPin(ctx context.Context, c api.Cid, pin *api.Pin, rev state.Revision) error {
	kind := state.EventAccepted
	if pin == nil {
		kind = state.EventUnpinned
	}
	return r.add(ctx, state.EventShard(c), state.Event{Kind: kind, Cid: c, At: rev, Rev: rev, Pin: pin})
}
