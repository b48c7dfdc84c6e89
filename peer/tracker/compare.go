package tracker

import (
	"context"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Where changes were missed, the first scan compares all rows with the pinset. A row that
// is at its end does not tell the next process that it is to be looked at again. So the
// comparison has ended only when there is no work that this process alone knows of.

// owe has the comparison wait for the work on what a row says is done.
func (s *scanner) owe(own state.Own) {
	if row := own.Placement; !s.owes || row == nil || row.Status != state.PlacementPinned {
		return // a start takes it up
	}
	s.t.with(own.Cid, func(o *op, _ *effects) {
		if !o.owed {
			o.owed = true
			s.t.owed.Add(1)
		}
	})
}

// settleOwed is called after each step of an op. The caller holds the lock.
func (t *Tracker) settleOwed(o *op) {
	if o.owed && (o.phase == idle && !o.busy || o.row.unfinished()) {
		o.owed = false
		t.owed.Add(-1)
	}
}

// endComparison waits until nothing is owed, and says that changes are missed no more.
func (t *Tracker) endComparison(ctx context.Context) {
	if !t.opts.Missed || t.opts.Compared == nil {
		return
	}
	for pause := scanPause; ctx.Err() == nil; {
		wait := roomEvery
		if t.owed.Load() == 0 {
			err := t.opts.Compared(ctx)
			if err == nil || ctx.Err() != nil {
				return
			}
			state.Failure(err, logger.Warnf, logger.Debugf)("all pins of this peer were compared, trying again in %s to note that: %s", pause, err)
			wait, pause = pause, min(2*pause, lastScanPause)
		}
		select {
		case <-time.After(wait):
		case <-ctx.Done():
		}
	}
}
