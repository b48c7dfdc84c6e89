package reconcile

import (
	"context"
	"errors"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// watch has the metrics say what a Reconciler knows.
func (m *Metrics) watch(r *Reconciler) {
	if m != nil {
		m.loops.Store(r)
	}
}

// hasMoved counts a pin that was moved to other peers, hasSettled one that was taken off those
// who were too many.
func (m *Metrics) hasMoved() {
	if m != nil {
		m.moved.Inc()
	}
}

func (m *Metrics) hasSettled() {
	if m != nil {
		m.settled.Inc()
	}
}

// notMoved counts a pin that could not be moved. One that is left where it is as nothing may
// be moved now does not count.
func (m *Metrics) notMoved(err error) {
	switch {
	case m == nil || err == nil || errors.Is(err, errPaused) || errors.Is(err, context.Canceled):
	case errors.Is(err, errNoCandidates):
		m.starved.Inc()
	case errors.Is(err, state.ErrChanged):
		m.changed.Inc()
	default:
		m.failed.Inc()
	}
}

// repins says whether this peer goes through buckets of peers that are gone, and how many are
// left to do.
func (m *Metrics) repins(running bool, left int) {
	if m == nil {
		return
	}
	m.running.Set(0)
	if running {
		m.running.Set(1)
	}
	m.left.Set(float64(left))
}

// handsOver says what a look at all pins of this peer has found, which leaves. Before an
// error it has not seen all.
func (m *Metrics) handsOver(count drainCount, err error) {
	if m == nil {
		return
	}
	m.handedOver.Add(float64(count.by[drainMoved]))
	if err == nil {
		m.handOverLeft.Set(float64(count.by[drainStarved] + count.by[drainWaiting]))
		m.handOverStarved.Set(float64(count.by[drainStarved]))
	}
}

// removed counts a pin that had run out at a time.
func (m *Metrics) removed(ranOut time.Time) {
	if m == nil {
		return
	}
	m.expired.Inc()
	m.lateness.Observe(max(0, time.Since(ranOut)).Seconds())
}

// scrubbedPart counts what a scrub has found and done, also before an error.
func (m *Metrics) scrubbedPart(r Report) {
	if m == nil {
		return
	}
	m.scrubbed.Add(float64(r.Pins))
	m.told.Add(float64(r.Told))
	m.strays.Add(float64(r.Strays))
	m.orphans.Add(float64(r.Moved))
	m.badRows.Add(float64(r.BadRows))
	m.suspects.Add(float64(r.Suspects))
	m.starvedOrphans.Add(float64(r.Starved))
	m.loneOrphans.Add(float64(r.Alone))
}

// round follows the parts of a round of the scrub.
func (m *Metrics) round(of string, parts int, do func(ctx context.Context, part int) error) func(ctx context.Context, part int) error {
	if m == nil {
		return do
	}
	done, failed := m.progress.WithLabelValues(of), m.partsFailed.WithLabelValues(of)
	return func(ctx context.Context, part int) error {
		err := do(ctx, part)
		switch {
		case err == nil:
			done.Set(float64(part+1) / float64(parts))
		case ctx.Err() == nil:
			failed.Inc()
		}
		return err
	}
}
