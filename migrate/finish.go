package migrate

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// lastCheckpoint is how long a run that ends early may take to store its position.
const lastCheckpoint = 5 * time.Second

// sweep removes what has left the source since an earlier run, as far as that is
// known for sure.
func (r *run) sweep(ctx context.Context) error {
	switch {
	case r.m.Run == 1:
		return nil
	case !r.opts.RemoveMissing:
		r.report.note("what has left the source since an earlier run, if anything, is still in the pinset: verify lists it, and --remove-missing removes it in a bulk run")
		return nil
	case !r.m.Bulk:
		r.report.note("what has left the source since an earlier run, if anything, is still in the pinset: a run with conditional writes does not know it, verify does")
		return nil
	case r.m.Bad > 0:
		r.report.note("what has left the source since an earlier run, if anything, is still in the pinset: %d records cannot be read, which may be these very pins", r.m.Bad)
		return nil
	case r.report.TooLarge > 0:
		r.report.note("what has left the source since an earlier run, if anything, is still in the pinset: %d pins were left out, of which an earlier run may have brought a smaller version", r.report.TooLarge)
		return nil
	case r.src.MayLack():
		r.report.note("what has left the source since an earlier run, if anything, is still in the pinset: the source may lack pins, as its warnings say")
		return nil
	case r.m.Copied == 0:
		r.report.note("pins of earlier runs are still in the pinset: the source holds none at all now, which is more likely a mistake")
		return nil
	case r.importer == nil:
		r.report.note("what has left the source since an earlier run, if anything, would be removed from the pinset")
		return nil
	}
	if r.m.Phase != state.MigrationSweeping {
		r.m.Phase, r.dirty = state.MigrationSweeping, true
		if err := r.checkpoint(ctx); err != nil {
			return err
		}
	}
	r.meter.begin(PhaseSweeping, 0, -1, r.m.Bad)
	removed, err := r.importer.Sweep(ctx, func(n int64) { r.meter.at(n, r.m.Bad) })
	r.m.Removed += removed
	r.dirty = true
	if err != nil {
		return fmt.Errorf("removing what has left the source: %w", err)
	}
	r.meter.end()
	return nil
}

// checkpoint stores how far the run has come. Everything before is durable.
func (r *run) checkpoint(ctx context.Context) error {
	if r.importer == nil {
		return nil
	}
	r.m.Updated = time.Now().UTC()
	if err := r.encodeReport(); err != nil {
		return err
	}
	if err := r.importer.Checkpoint(ctx, r.m); err != nil {
		return fmt.Errorf("storing the position: %w", err)
	}
	r.stored, r.dirty = time.Now(), false
	return nil
}

// encodeReport puts the report into the migration.
func (r *run) encodeReport() error {
	text, err := json.Marshal(r.close())
	if err != nil {
		return fmt.Errorf("encoding the report: %w", err)
	}
	r.m.Report = string(text)
	return nil
}

// close returns the report as it is now.
func (r *run) close() *Report {
	r.report.Records, r.report.Copied, r.report.Kept = r.m.Read, r.m.Copied, r.m.Kept
	r.report.Bad, r.report.Removed = r.m.Bad, r.m.Removed
	took := time.Since(r.began)
	r.report.Ended = time.Now().UTC()
	r.report.Seconds, r.report.PinsPerSecond = took.Seconds(), perSecond(r.passed, took)
	report := r.report
	return &report
}

// failed says what the cause of an early end means, after it has stored the
// position. The context may have ended: that is most often why.
func (r *run) failed(ctx context.Context, cause error) error {
	id := r.src.ID()
	switch {
	case errors.Is(cause, state.ErrLive):
		return fmt.Errorf("migrating %s: %w: run the same command again, it %s with conditional writes", id, cause, r.nextTime("goes on", "begins anew"))
	case errors.Is(cause, state.ErrMigrationTaken):
		return fmt.Errorf("migrating %s: %w: let that one do it; if there is none any more, run the same command again", id, cause)
	case r.importer == nil:
		return fmt.Errorf("migrating %s: %w: no pin was written", id, cause)
	}
	if r.dirty {
		ctx, cancel := context.WithTimeout(context.WithoutCancel(ctx), lastCheckpoint)
		defer cancel()
		if err := r.checkpoint(ctx); err != nil {
			cause = fmt.Errorf("%w (and then %w)", cause, err)
		}
	}
	if errors.Is(cause, errConflict) {
		return fmt.Errorf("migrating %s: %w. Nothing was replaced; pins that were missing may have been added", id, cause)
	}
	if errors.Is(cause, errTooLarge) {
		return fmt.Errorf("migrating %s: %w. The %d records before were written", id, cause, r.m.Read)
	}
	total := ""
	if r.report.Total >= 0 {
		total = fmt.Sprintf(" of %d", r.report.Total)
	}
	return fmt.Errorf("migrating %s: %w: %d%s records are done; run the same command again, it %s",
		id, cause, r.m.Read, total, r.nextTime("goes on from there", "begins anew, which does no harm"))
}

// nextTime chooses what the next run does with what is there.
func (r *run) nextTime(resumable, anew string) string {
	if r.m.Fingerprint == "" {
		return anew
	}
	return resumable
}
