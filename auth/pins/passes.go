package pins

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"slices"
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
	// tellMost bounds what is told of one CID at a time.
	tellMost = 15 * time.Second
	// lateLooks is how often a request is looked at whose removal was begun and is not seen: a
	// batch that nobody knows the outcome of may be made by the servers later.
	lateLooks = 3
)

// errDeaf says that others could not be told a moment ago.
var errDeaf = errors.New("who is told of claims does not listen")

// passes does what is due of the shards that no other instance has, until ctx ends.
func (w *Worker) passes(ctx context.Context) {
	epochs := make(map[int]int64)
	for {
		first := rand.IntN(todoShards) // instances that start at once get some each
		for i := range todoShards {
			shard := (first + i) % todoShards
			epoch, held, err := w.service.db.TryLease(ctx, leaseOf(shard), w.holder, passLease)
			if err == nil && held {
				epochs[shard] = epoch
				err = w.pass(ctx, shard)
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
		if err := w.service.db.FreeLease(ctx, leaseOf(shard), w.holder, epoch); err != nil {
			logger.Debugf("shard %d is free in %s: %s", shard, passLease, err)
			return
		}
	}
}

func leaseOf(shard int) string { return fmt.Sprint("pins/todo/", shard) }

// pass looks at everything in the slots of a shard that have ended and are not done. After an
// error they are looked at again.
func (w *Worker) pass(ctx context.Context, shard int) error {
	var done int64
	found, err := w.service.db.Read(ctx, gocql.Quorum, scylla.Bind(selectDone, shard), &done)
	if err != nil {
		return fmt.Errorf("reading what is done: %w", err)
	}
	last := w.service.now().UnixMilli()/slotTime.Milliseconds() - 1
	from := last - slotsKept
	if found {
		from = max(from, done+1)
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
		if !rows.Next(&t.cid, &t.tenant, &t.key.created, &t.key.rnd, &t.key.slice, &t.made, &t.tries, &t.removed, &t.told) {
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

// lookInto mends the requests of a CID, settles it, and has told what there was to tell of
// them. That is tried after the rest, so that nobody who does not listen holds it up.
func (w *Worker) lookInto(ctx context.Context, cid string, some []todoItem) (final bool, err error) {
	limited, cancel := context.WithTimeout(ctx, settleMost)
	defer cancel()
	var named []claimant
	var open atomic.Bool
	facts := make([][]Claim, len(some))
	g, gctx := errgroup.WithContext(limited)
	g.SetLimit(tellsAtOnce)
	for i := range some {
		item := &some[i]
		if item.tenant == "" {
			continue
		}
		c := claimant{item.tenant, item.key}
		named = append(named, c)
		g.Go(func() error {
			r, found, err := w.service.mend(gctx, cid, c, item.made)
			if err != nil {
				return err
			}
			if found && item.removed != 0 && item.tries < lateLooks {
				open.Store(true)
			}
			facts[i], err = w.service.untold(gctx, item, &r, found)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return false, err
	}
	final, err = w.settleAndTell(limited, cid, named)
	err = errors.Join(err, w.tellClaims(ctx, some, facts))
	return final && !open.Load(), err
}

// tellClaims has told the facts of each item, and remembers that in the items. Once that has
// failed it fails at once for a while: who does not answer must not hold up the passes.
func (w *Worker) tellClaims(ctx context.Context, some []todoItem, facts [][]Claim) error {
	all := slices.Concat(facts...)
	switch {
	case len(all) == 0:
		return nil
	case w.service.now().UnixMilli() < w.deafUntil.Load():
		return errDeaf
	}
	ctx, cancel := context.WithTimeout(ctx, tellMost)
	defer cancel()
	if err := w.service.told.Tell(ctx, all); err != nil {
		w.deafUntil.Store(w.service.now().Add(passEvery).UnixMilli())
		return fmt.Errorf("telling %d facts of claims: %w", len(all), err)
	}
	for i, of := range facts {
		if n := len(of); n > 0 {
			some[i].told = of[n-1].Fact
		}
	}
	return w.service.at("look: told")
}
