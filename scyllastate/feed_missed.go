package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"time"
)

// comparisonConsumer names a row beside the cursor of a peer: while its holder is set,
// all that the peer holds must be compared with the pinset, as changes were missed. The
// position of the cursor tells that only until it is moved.
const comparisonConsumer = "comparison"

// Missed implements state.OwnFeed.
func (f *Feed) Missed() bool { return f.missed }

// owe notes that this process is to compare all that the peer holds with the pinset, if
// changes were missed now, or before by a process that has not called Compared. It reports
// whether that is so. It must come before the cursor is taken.
func (f *Feed) owe(ctx context.Context, now time.Time, missed bool) (bool, error) {
	is, err := f.store.tables.readCursor(ctx, f.name, comparisonConsumer)
	switch {
	case err != nil:
		return false, fmt.Errorf("reading whether a comparison is due: %w", err)
	case is.holder == nil && !missed:
		return false, nil
	case is.holder != nil && *is.holder == f.incarnation:
		return true, nil // an earlier try
	case !missed:
		logger.Infof("a process before has missed changes of feed %s and not ended its comparison: it begins again", f.name)
	}
	applied, err := f.store.tables.claimCursor(ctx, f.name, comparisonConsumer, cursor{now, &f.incarnation}, is.holder)
	if err == nil && !applied {
		err = errors.New("another process was faster")
	}
	if err != nil {
		return false, fmt.Errorf("noting that a comparison is due: %w", err)
	}
	return true, nil
}

// Compared implements state.OwnFeed. If the condition fails, an earlier call was applied
// whose answer was lost, or another process has taken over and begins anew.
func (f *Feed) Compared(ctx context.Context) error {
	if !f.missed {
		return nil
	}
	_, err := f.store.tables.claimCursor(ctx, f.name, comparisonConsumer, cursor{f.now(), nil}, &f.incarnation)
	if err != nil {
		return fmt.Errorf("noting that what feed %s has missed is made up for: %w", f.name, err)
	}
	return nil
}
