package closing

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

// fold works out a day. Facts with one ID that differ are put into the quarantine.
func (w *work) fold(ctx context.Context, owner string, day int64, opening usage.Level, deltas []usage.Delta) (usage.Day, error) {
	worked, aside, err := foldDay(day, opening, deltas)
	if err != nil {
		return usage.Day{}, fmt.Errorf("working out %s of %q: %w", nameOf(day), owner, err)
	}
	for len(aside) > 0 {
		n := 1
		for n < len(aside) && aside[n].ID == aside[0].ID {
			n++
		}
		payload, err := json.Marshal(aside[:n])
		if err != nil {
			return usage.Day{}, fmt.Errorf("writing down facts that differ: %w", err)
		}
		why := fmt.Sprintf("%s: %s has %d facts with the ID %x that differ", claim.ReasonConflict, nameOf(day), n, aside[0].ID)
		if err := w.store.Quarantine(ctx, why, owner, payload, endOf(day)); err != nil {
			return usage.Day{}, err
		}
		w.opts.Metrics.conflict()
		aside = aside[n:]
	}
	return worked, nil
}

// foldDay works out a day without the deltas that have one ID and differ, which it returns sorted
// by their IDs. With some of these the day is negative.
func foldDay(day int64, opening usage.Level, deltas []usage.Delta) (worked usage.Day, aside []usage.Delta, err error) {
	worked, err = usage.Fold(day, opening, deltas)
	if !errors.Is(err, usage.ErrConflict) {
		return worked, nil, err
	}
	first := make(map[[32]byte]usage.Delta, len(deltas))
	differ := make(map[[32]byte]bool)
	for _, d := range deltas {
		if f, there := first[d.ID]; !there {
			first[d.ID] = d
		} else if !f.Equal(d) {
			differ[d.ID] = true
		}
	}
	var sound []usage.Delta
	for _, d := range deltas {
		if differ[d.ID] {
			aside = append(aside, d)
		} else {
			sound = append(sound, d)
		}
	}
	slices.SortStableFunc(aside, func(a, b usage.Delta) int { return slices.Compare(a.ID[:], b.ID[:]) })
	worked, err = usage.Fold(day, opening, sound)
	worked.Negative = true
	return worked, aside, err
}
