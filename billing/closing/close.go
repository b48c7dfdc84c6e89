package closing

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

const (
	// together is how many owners are closed before the next ones are read.
	together = 256
	// sayEvery is how often it is said how far a long close is.
	sayEvery = 30 * time.Second
)

// dayFormat begins what is hashed of a shard of a day.
const dayFormat = "pin-billing/closing/shard/1\n"

// closeDay closes a shard of a day. It may be called again, after any of its steps.
func (w *work) closeDay(ctx context.Context, day int64) error {
	begun := time.Now()
	p, err := w.store.BeginClose(ctx, day, w.shard, w.epoch)
	if err != nil {
		return err
	}
	if p.Closed {
		w.closed.note(w.shard, day)
		return nil
	}
	if err := w.at("close: begun"); err != nil {
		return err
	}
	owners, said := int64(0), begun
	all := sha256.New()
	all.Write([]byte(dayFormat))
	var some []string
	flush := func() error {
		digests, err := w.closeOwners(ctx, day, some)
		for i, d := range digests {
			if d != nil {
				owners++
				sum := sha256.Sum256([]byte(some[i]))
				all.Write(sum[:])
				all.Write(d)
			}
		}
		some = some[:0]
		if time.Since(said) >= sayEvery {
			said = time.Now()
			logger.Infof("closing %s: %d owners of shard %d of %d so far", nameOf(day), owners, w.shard, ledger.Shards)
		}
		return err
	}
	err = w.store.EachActive(ctx, day, w.shard, func(owner string) error {
		if some = append(some, owner); len(some) < together {
			return nil
		}
		return flush()
	})
	if err == nil {
		err = flush()
	}
	if err != nil {
		return fmt.Errorf("closing %s: %w", nameOf(day), err)
	}
	if err := w.at("close: owners"); err != nil {
		return err
	}
	if err := w.store.EndClose(ctx, day, w.shard, w.epoch, owners, all.Sum(nil)); err != nil {
		return err
	}
	w.closed.note(w.shard, day)
	w.opts.Metrics.closedShard(time.Since(begun))
	return w.at("close: ended")
}

// closeOwners closes the day of owners, and returns the digests of the rows, nil for an owner who
// has none.
func (w *work) closeOwners(ctx context.Context, day int64, owners []string) ([][]byte, error) {
	digests := make([][]byte, len(owners))
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(w.opts.Parallel)
	for i, owner := range owners {
		g.Go(func() error {
			d, err := w.closeOwner(ctx, owner, day)
			digests[i] = d
			return err
		})
	}
	return digests, g.Wait()
}

// closeOwner makes the row of a day of an owner, and returns its digest, nil if there are no facts.
func (w *work) closeOwner(ctx context.Context, owner string, day int64) ([]byte, error) {
	deltas, err := w.store.Deltas(ctx, owner, day)
	if err != nil {
		return nil, err
	}
	if len(deltas) == 0 {
		return nil, nil // a crash has left that the owner was active
	}
	opening, err := w.opening(ctx, owner, day)
	if err != nil {
		return nil, err
	}
	worked, err := w.fold(ctx, owner, day, opening, deltas)
	if err != nil {
		return nil, err
	}
	if err := w.at("close: worked out"); err != nil {
		return nil, err
	}
	kept, err := w.put(ctx, ledger.StoredDay{Owner: owner, Day: day, Usage: worked})
	if err != nil {
		return nil, err
	}
	if err := w.at("close: row"); err != nil {
		return nil, err
	}
	if kept.Usage.Digest != worked.Digest {
		// Somebody who has lost the lease has made it before the last facts came.
		if err := w.recompute(ctx, owner, []int64{day}, day); err != nil {
			return nil, err
		}
	}
	return kept.Usage.Digest[:], nil
}

// opening returns the level that an owner's day begins with.
func (w *work) opening(ctx context.Context, owner string, day int64) (usage.Level, error) {
	last, _, err := w.store.LastDay(ctx, owner, day)
	return last.Usage.Closing, err
}

// put stores a version of a day, and returns the one that counts.
func (w *work) put(ctx context.Context, d ledger.StoredDay) (ledger.StoredDay, error) {
	if err := w.held(); err != nil {
		return ledger.StoredDay{}, err
	}
	d.Closed = w.opts.Now().UTC().Truncate(time.Millisecond)
	kept, err := w.store.PutDay(ctx, d)
	if err == nil {
		w.opts.Metrics.stored(kept, kept.Closed.Equal(d.Closed))
	}
	return kept, err
}
