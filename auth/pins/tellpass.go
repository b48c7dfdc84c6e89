package pins

import (
	"context"
	"fmt"
	"slices"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// tellSlots is how many slots are told before that is noted.
	tellSlots = 10
	// tellBatch is of how many requests is told at a time.
	tellBatch = 256
	// tellMost bounds how long that takes.
	tellMost = 15 * time.Second
)

// tellPass has told what there is to tell in the slots of a shard that have ended and are not
// told. It goes by a cursor of its own: while nobody listens it stays where it is, costs
// next to nothing, and holds up no look. After an error the last slots are told again.
func (w *Worker) tellPass(ctx context.Context, shard int) error {
	from, last, err := w.service.slotsAfter(ctx, selectTold, shard)
	if err != nil || from > last {
		return err
	}
	if err := w.say(ctx, nil); err != nil { // before anything is read for it
		return err
	}
	for ; from <= last; from += tellSlots {
		to := min(last, from+tellSlots-1)
		items, err := w.service.todo(ctx, shard, from, to)
		if err != nil {
			return err
		}
		var some []todoItem
		for _, of := range items {
			some = append(some, slices.DeleteFunc(of, func(t todoItem) bool { return !t.tell && t.removed == 0 })...)
		}
		for batch := range slices.Chunk(some, tellBatch) {
			if err := w.tellOf(ctx, batch); err != nil {
				return err
			}
		}
		if err := w.service.db.Write(ctx, scylla.Bind(insertTold, shard, to, to)); err != nil {
			return fmt.Errorf("noting what is told: %w", err)
		}
	}
	return nil
}

// tellOf has told what there is to tell of the requests of some items.
func (w *Worker) tellOf(ctx context.Context, some []todoItem) error {
	facts := make([][]Claim, len(some))
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(readsAtOnce)
	for i, item := range some {
		g.Go(func() (err error) {
			facts[i], err = w.service.facts(gctx, &item)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return err
	}
	all := slices.Concat(facts...)
	if len(all) == 0 {
		return nil
	}
	if err := w.say(ctx, all); err != nil {
		return err
	}
	return w.service.at("told")
}

// say tells claims, or asks whether anybody listens.
func (w *Worker) say(ctx context.Context, all []Claim) error {
	ctx, cancel := context.WithTimeout(ctx, tellMost)
	defer cancel()
	if err := w.service.told.Tell(ctx, all); err != nil {
		return fmt.Errorf("telling %d facts of claims: %w", len(all), err)
	}
	return nil
}
