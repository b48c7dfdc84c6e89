package closing

import (
	"context"
	"errors"
	"fmt"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

// Reasons of adjustments.
const (
	// ReasonLate says that facts of the day came after its close.
	ReasonLate = "facts of the day came after its close"
	// ReasonEarlier says that the level at the beginning of the day has changed.
	ReasonEarlier = "facts of days before it came after their close"
	// ReasonBoth says both.
	ReasonBoth = "facts of the day, and of days before it, came after their close"
)

// errMeanwhile says that somebody else has made a version of a day.
var errMeanwhile = errors.New("somebody else has recomputed the day meanwhile")

// recomputeTries is how often a recompute begins again that somebody else got in the way of.
const recomputeTries = 5

// recompute makes the next versions of closed days of an owner whose facts have changed, and of
// each one after them up to the last that is closed, if they differ from what is stored, with an
// adjustment each. It may be called again, after any of its steps.
func (w *work) recompute(ctx context.Context, owner string, marked []int64, closed int64) (err error) {
	for range recomputeTries {
		if err = w.recomputeOnce(ctx, owner, marked, closed); !errors.Is(err, errMeanwhile) {
			return err
		}
	}
	return err
}

func (w *work) recomputeOnce(ctx context.Context, owner string, marked []int64, closed int64) error {
	opening, err := w.opening(ctx, owner, slices.Min(marked))
	if err != nil {
		return err
	}
	stored, err := versions(ctx, w.store, owner, slices.Min(marked), closed)
	if err != nil {
		return err
	}
	if err := w.complete(ctx, owner, stored); err != nil {
		return err
	}
	changes, err := w.changes(ctx, owner, stored, marked, closed, opening)
	if err != nil {
		return err
	}
	if len(changes) > 0 {
		w.opts.Metrics.late(len(marked))
	}
	// Days without a row are stored as they were closed before any level changes: afterwards
	// nobody could tell.
	for _, ch := range changes {
		if ch.there {
			continue
		}
		if err := w.exactly(ctx, ledger.StoredDay{Owner: owner, Day: ch.day, Usage: ch.before}); err != nil {
			return err
		}
		if err := w.at("late: idle day"); err != nil {
			return err
		}
	}
	for _, ch := range changes {
		next := ledger.StoredDay{Owner: owner, Day: ch.day, Version: ch.version + 1, Usage: ch.after, Period: ledger.MonthOf(closed + 1)}
		if err := w.exactly(ctx, next); err != nil {
			return err
		}
		if err := w.at("late: version"); err != nil {
			return err
		}
		if err := w.adjust(ctx, owner, next.Period, ch.version+1, ch.day, ch.before, ch.after); err != nil {
			return err
		}
		if err := w.at("late: adjustment"); err != nil {
			return err
		}
	}
	return nil
}

// exactly stores a version of a day. It is errMeanwhile if another one is there.
func (w *work) exactly(ctx context.Context, d ledger.StoredDay) error {
	kept, err := w.put(ctx, d)
	if err != nil {
		return err
	}
	if !same(kept.Usage, d.Usage) || kept.Period != d.Period {
		return fmt.Errorf("version %d of %s of %q: %w", d.Version, nameOf(d.Day), d.Owner, errMeanwhile)
	}
	return nil
}

// versions returns all versions of the days of an owner from one to another, by the day, of each the
// last one first.
func versions(ctx context.Context, store *ledger.Store, owner string, from, to int64) (map[int64][]ledger.StoredDay, error) {
	out := make(map[int64][]ledger.StoredDay)
	for month := ledger.MonthOf(from); month <= ledger.MonthOf(to); month = nextMonth(month) {
		days, err := store.Days(ctx, owner, month)
		if err != nil {
			return nil, err
		}
		for _, d := range days {
			if from <= d.Day && d.Day <= to {
				out[d.Day] = append(out[d.Day], d)
			}
		}
	}
	return out, nil
}

// nextMonth returns the month after one as 202612.
func nextMonth(month int) int {
	if month%100 == 12 {
		return month + 89
	}
	return month + 1
}

// change is a day that is to get another version.
type change struct {
	day     int64
	there   bool  // a row is
	version int64 // of before
	before  usage.Day
	after   usage.Day
}

// changes returns which days are to get another version. Those that were marked are worked out
// from their facts, those after them if they do not open with what the day before closes with.
func (w *work) changes(ctx context.Context, owner string, stored map[int64][]ledger.StoredDay, marked []int64, closed int64, opening usage.Level) ([]change, error) {
	var out []change
	was := opening // the level by what is stored
	for day := slices.Min(marked); day <= closed; day++ {
		row := ledger.StoredDay{Day: day, Usage: usage.Idle(was)}
		rows := stored[day]
		if len(rows) > 0 {
			row = rows[0]
		}
		after := row.Usage
		switch {
		case slices.Contains(marked, day) || len(rows) > 0 && !after.Opening.Equal(opening):
			deltas, err := w.store.Deltas(ctx, owner, day)
			if err != nil {
				return nil, err
			}
			if after, err = w.fold(ctx, owner, day, opening, deltas); err != nil {
				return nil, err
			}
		case len(rows) == 0:
			after = usage.Idle(opening)
		}
		if !same(after, row.Usage) {
			out = append(out, change{day, len(rows) > 0, row.Version, row.Usage, after})
		}
		was, opening = row.Usage.Closing, after.Closing
	}
	return out, nil
}

// complete stores the adjustments of the versions that there are, if a crash has left some out.
func (w *work) complete(ctx context.Context, owner string, stored map[int64][]ledger.StoredDay) error {
	known := make(map[int]map[[32]byte]bool) // by the period
	for day, rows := range stored {
		for i, row := range rows {
			if row.Version == 0 || i+1 == len(rows) {
				continue
			}
			if known[row.Period] == nil {
				there, err := w.store.Adjustments(ctx, owner, row.Period)
				if err != nil {
					return err
				}
				known[row.Period] = make(map[[32]byte]bool, len(there))
				for _, a := range there {
					known[row.Period][a.ID] = true
				}
			}
			if a, _ := usage.Diff(day, row.Version, rows[i+1].Usage, row.Usage); known[row.Period][a.ID] {
				continue
			}
			if err := w.adjust(ctx, owner, row.Period, row.Version, day, rows[i+1].Usage, row.Usage); err != nil {
				return err
			}
		}
	}
	return nil
}

// adjust stores what one version of a day differs by from that before it.
func (w *work) adjust(ctx context.Context, owner string, period int, version, day int64, before, after usage.Day) error {
	a, _ := usage.Diff(day, version, before, after)
	if err := w.store.PutAdjustment(ctx, owner, period, ledger.StoredAdjustment{Adjustment: a, Reason: reasonOf(before, after)}); err != nil {
		return err
	}
	w.opts.Metrics.adjusted()
	return nil
}

// reasonOf returns why two versions of a day differ.
func reasonOf(before, after usage.Day) string {
	switch {
	case before.Opening.Equal(after.Opening):
		return ReasonLate
	case before.Deltas == after.Deltas:
		return ReasonEarlier
	}
	return ReasonBoth
}

// same reports whether two versions of a day are: made of the same, and as sound.
func same(a, b usage.Day) bool { return a.Digest == b.Digest && a.Negative == b.Negative }
