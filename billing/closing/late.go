package closing

import (
	"context"
	"encoding/json"
	"fmt"
	"slices"

	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

// late looks at the days of the shard that were marked as late since the last day that is closed,
// and makes adjustments. A mark stays: it is looked at again until the day on which it was made is
// closed, which is hours after its end. That of a day which is not closed says nothing yet.
func (w *work) late(ctx context.Context, closed int64) error {
	today := usage.DayOf(w.opts.Now().UnixMilli())
	marked := make(map[string][]int64)
	for noted := closed; noted <= today+1; noted++ { // a clock may be ahead of this one
		err := w.store.EachLate(ctx, noted, w.shard, func(d ledger.OwnerDay) error {
			if d.Day <= closed && !slices.Contains(marked[d.Owner], d.Day) {
				marked[d.Owner] = append(marked[d.Owner], d.Day)
			}
			return nil
		})
		if err != nil {
			return err
		}
	}
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(w.opts.Parallel)
	for owner, days := range marked {
		g.Go(func() error {
			days, err := w.timely(ctx, owner, days)
			if err == nil && len(days) > 0 {
				err = w.recompute(ctx, owner, days, closed)
			}
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("making adjustments of what was late: %w", err)
	}
	return nil
}

// timely returns the days that are in the correction window, and puts the marks of others into the
// quarantine.
func (w *work) timely(ctx context.Context, owner string, days []int64) (timely []int64, err error) {
	for _, day := range days {
		if w.opts.Window == 0 || !endOf(day).Before(w.opts.Now().Add(-w.opts.Window)) {
			timely = append(timely, day)
			continue
		}
		payload, err := json.Marshal(ledger.OwnerDay{Owner: owner, Day: day})
		if err != nil {
			return nil, fmt.Errorf("writing down a day: %w", err)
		}
		why := fmt.Sprintf("%s: facts of %s came more than %s after it", claim.ReasonOld, nameOf(day), w.opts.Window)
		if err := w.store.Quarantine(ctx, why, owner, payload, endOf(day)); err != nil {
			return nil, err
		}
		w.opts.Metrics.tooLate()
	}
	return timely, nil
}
