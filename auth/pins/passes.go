package pins

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync/atomic"
	"time"

	"github.com/gocql/gocql"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// passEvery is how often the shards are looked at.
	passEvery = slotTime / 2
	// passLease is how long an instance has a shard. What two do at the same time does no
	// harm.
	passLease = 3 * time.Minute
	// slotsAtOnce is how many slots are read by one request, when many are due. ScyllaDB
	// takes no more than 100.
	slotsAtOnce = 60
	// slotsKept is for how many slots rows are kept.
	slotsKept = 7 * 24 * 60
	// todoPage is how many rows one answer has.
	todoPage = 1000
	// lateLooks is how often a request is looked at whose removal was begun and is not seen: a
	// batch that nobody knows the outcome of may be made by the servers later.
	lateLooks = 3
)

// passes does what is due of the shards that no other instance has, by one of the passes over
// them, until ctx ends.
func (w *Worker) passes(ctx context.Context, what string, pass func(context.Context, int) error) {
	epochs := make(map[int]int64)
	for {
		first := rand.IntN(todoShards) // instances that start at once get some each
		for i := range todoShards {
			shard := (first + i) % todoShards
			epoch, held, err := w.service.db.TryLease(ctx, leaseOf(what, shard), w.holder, passLease)
			if err == nil && held {
				epochs[shard] = epoch
				err = pass(ctx, shard)
			}
			if err != nil && ctx.Err() == nil {
				logger.Debugf("shard %d of what is to be looked at is tried again: %s", shard, err)
			}
		}
		if wait(ctx, passEvery) != nil {
			break
		}
	}
	ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), time.Second)
	defer cancel()
	for shard, epoch := range epochs {
		if err := w.service.db.FreeLease(ctx, leaseOf(what, shard), w.holder, epoch); err != nil {
			logger.Debugf("shard %d is free in %s: %s", shard, passLease, err)
			return
		}
	}
}

func leaseOf(what string, shard int) string { return fmt.Sprint("pins/", what, "/", shard) }

// pass looks at everything in the slots of a shard that have ended and are not done. After an
// error they are looked at again.
func (w *Worker) pass(ctx context.Context, shard int) error {
	from, last, err := w.service.slotsAfter(ctx, selectDone, shard)
	if err != nil {
		return err
	}
	for ; from <= last; from += slotsAtOnce {
		to := min(last, from+slotsAtOnce-1)
		items, err := w.service.todo(ctx, shard, from, to)
		if err != nil {
			return err
		}
		if err := w.lookAll(ctx, items); err != nil {
			return err
		}
		if err := w.service.db.Write(ctx, scylla.Bind(insertDone, shard, to, to)); err != nil {
			return fmt.Errorf("noting what is done: %w", err)
		}
	}
	return nil
}

// slotsAfter returns the slots of a shard that have ended, without those of which a statement
// says that they are done.
func (s *Service) slotsAfter(ctx context.Context, statement string, shard int) (from, last int64, err error) {
	var done int64
	found, err := s.db.Read(ctx, gocql.Quorum, scylla.Bind(statement, shard), &done)
	if err != nil {
		return 0, 0, fmt.Errorf("reading what is done: %w", err)
	}
	last = s.now().UnixMilli()/slotTime.Milliseconds() - 1
	from = last - slotsKept
	if found {
		from = max(from, done+1)
	}
	return from, last, nil
}

// todo reads the items of some slots, by CID.
func (s *Service) todo(ctx context.Context, shard int, from, to int64) (map[string][]todoItem, error) {
	var slots []int64
	for slot := from; slot <= to; slot++ {
		slots = append(slots, slot)
	}
	rows := s.db.Rows(ctx, gocql.Quorum, todoPage, scylla.Bind(selectTodo, shard, slots))
	items := make(map[string][]todoItem)
	for {
		var t todoItem
		if !rows.Next(&t.cid, &t.tenant, &t.key.created, &t.key.rnd, &t.key.slice, &t.made, &t.tries, &t.tell, &t.removed) {
			break
		}
		items[t.cid] = append(items[t.cid], t)
	}
	if err := rows.Close(); err != nil {
		return nil, fmt.Errorf("reading what is to be looked at: %w", err)
	}
	return items, nil
}

// lookAll mends and settles. What does not come to its end is put off.
func (w *Worker) lookAll(ctx context.Context, items map[string][]todoItem) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(w.conf.Parallel)
	for cid, some := range items {
		g.Go(func() error {
			final, err := w.lookInto(ctx, cid, some)
			if err != nil {
				logger.Debugf("%s is put off: %s", cid, err)
			}
			if err == nil && final {
				return nil
			}
			return errors.Join(w.putOffAll(ctx, some), ctx.Err())
		})
	}
	return g.Wait()
}

func (w *Worker) putOffAll(ctx context.Context, some []todoItem) error {
	for _, item := range some {
		if err := w.service.putOff(ctx, item); err != nil {
			return err
		}
	}
	return nil
}

// lookInto mends the requests of a CID and settles it.
func (w *Worker) lookInto(ctx context.Context, cid string, some []todoItem) (final bool, err error) {
	ctx, cancel := context.WithTimeout(ctx, settleMost)
	defer cancel()
	var named []claimant
	var open atomic.Bool
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(tellsAtOnce)
	for _, item := range some {
		if item.tenant == "" {
			continue
		}
		c := claimant{item.tenant, item.key}
		named = append(named, c)
		g.Go(func() error {
			found, err := w.service.mend(gctx, cid, c, item.made)
			if found && item.removed != 0 {
				open.Store(true)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return false, err
	}
	final, err = w.settleAndTell(ctx, cid, named)
	return final && !open.Load(), err
}
