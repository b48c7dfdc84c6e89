package service

import (
	"context"
	"errors"
	"fmt"
	"io"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"go.uber.org/multierr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/relay"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// replayBatch is how many events are published before they are waited for.
	replayBatch = 256
	// maxPassedOver is how many of those that cannot be told are named.
	maxPassedOver = 20
)

// replayer tells events again. Those of one CID are told in order.
type replayer struct {
	bus interface {
		Again(ctx context.Context, shard int, batch []bus.Message) error
	}
	cluster  string
	progress *progress
	stderr   io.Writer

	waiting    [state.EventShards][]bus.Message
	told       int
	passedOver int
	// broken is set when the bus has failed.
	broken bool
}

// versions is where the pins are.
type versions interface {
	Keys(ctx context.Context, out chan<- api.Cid) error
	GetVersions(ctx context.Context, cids []api.Cid, f func(int, *api.Pin, state.Revision, error)) error
}

// run calls add and tells what is left then, also after an error of the database. Its own
// error says how many events were told, and how many could not be.
func (r *replayer) run(ctx context.Context, add func() error) error {
	err := add()
	if ctx.Err() == nil && !r.broken {
		err = multierr.Append(err, r.flush(ctx))
	}
	if more := r.passedOver - maxPassedOver; more > 0 {
		fmt.Fprintf(r.stderr, "and %d more\n", more)
	}
	switch {
	case err != nil && r.passedOver > 0:
		return fmt.Errorf("telling events again, after %d were, and %d could not be read: %w", r.told, r.passedOver, err)
	case err != nil:
		return fmt.Errorf("telling events again, after %d were: %w", r.told, err)
	case r.passedOver > 0:
		return fmt.Errorf("telling events again: %d were told, and %d could not be read, see docs/troubleshooting.md", r.told, r.passedOver)
	}
	return nil
}

// passOver leaves out what cannot be told.
func (r *replayer) passOver(why error) {
	if r.passedOver++; r.passedOver <= maxPassedOver {
		fmt.Fprintf(r.stderr, "passed over: %s\n", shownText(why.Error()))
	}
}

// add tells a fact with others of its shard. An error means that nothing can be told.
func (r *replayer) add(ctx context.Context, shard int, fact state.Event) error {
	e, err := relay.Wire(r.cluster, fact)
	var data []byte
	if err == nil {
		data, err = e.Encode()
	}
	if err != nil {
		r.passOver(fmt.Errorf("the event of %s: %w", fact.Cid, err))
		return nil
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
		r.broken = true
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

func (r *replayer) since(ctx context.Context, store state.Events, since time.Time) error {
	for shard := range state.EventShards {
		err := store.ReadEvents(ctx, shard, since, time.Now(), func(facts []state.Event) error {
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

func (r *replayer) cids(ctx context.Context, store versions, cids []api.Cid) error {
	return r.pins(ctx, store, cids, func(c api.Cid, pin *api.Pin, rev state.Revision) error {
		if rev == (state.Revision{}) {
			return fmt.Errorf("the pinset knows nothing of %s: it was never pinned, or removed long ago", c)
		}
		return r.addPin(ctx, c, pin, rev)
	})
}

// all tells of all pins.
func (r *replayer) all(ctx context.Context, store versions) error {
	var some []api.Cid
	tell := func() error {
		cids := some
		some = some[:0]
		return r.pins(ctx, store, cids, func(c api.Cid, pin *api.Pin, rev state.Revision) error {
			if pin == nil { // it was removed meanwhile, of which an event tells
				return nil
			}
			return r.addPin(ctx, c, pin, rev)
		})
	}
	err := each(ctx, store.Keys, func(c api.Cid) error {
		some = append(some, c)
		if len(some) < replayBatch {
			return nil
		}
		return tell()
	})
	if ctx.Err() != nil || r.broken {
		return err
	}
	return multierr.Append(err, tell()) // some keys may be none, which is an error at the end
}

// pins reads pins with their revisions and calls f with each that can be read.
func (r *replayer) pins(ctx context.Context, store versions, cids []api.Cid, f func(api.Cid, *api.Pin, state.Revision) error) error {
	var failed error
	err := store.GetVersions(ctx, cids, func(i int, pin *api.Pin, rev state.Revision, err error) {
		switch {
		case r.broken:
		case err != nil:
			r.passOver(err)
		default:
			failed = multierr.Append(failed, f(cids[i], pin, rev))
		}
	})
	return multierr.Append(err, failed)
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
