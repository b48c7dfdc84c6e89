package migrate

import (
	"bytes"
	"context"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate/source"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// clockMargin is how far the clocks of two machines that migrate may differ, and
// how long one that has stored nothing may still be about to write.
const clockMargin = time.Hour

// route is how a run would be made, decided by what the pinset holds.
type route struct {
	// m is the migration as it would be begun.
	m state.Migration
	// earlier is the last run of the same source, nil if there was none, and
	// resumed says that m goes on with it.
	earlier *state.Migration
	resumed bool
	live    state.Live
	others  []state.Migration
	all     []state.Migration
	holder  string
	// counted says that the pins were counted.
	counted             bool
	ownPins, othersPins int64
	reason              string
	refused             error // why the run must not be begun
}

// findRoute decides between bulk and conditional writes, and between going on and
// beginning anew. It reads the whole pinset only if the decision depends on it, or
// with always.
func findRoute(ctx context.Context, src source.Source, dst Target, opts Options, meter *meter, always bool) (*route, error) {
	found, err := dst.Migrations(ctx)
	if err != nil {
		return nil, fmt.Errorf("asking the pinset for its migrations: %w", err)
	}
	r := &route{live: found.Live, all: found.All, holder: found.Holder}
	for i, m := range found.All {
		if m.ID == src.ID() {
			r.earlier = &found.All[i]
		} else {
			r.others = append(r.others, m)
		}
	}
	r.begin(src, opts)
	if always || r.mustCount(opts) {
		meter.begin(PhaseCheckingTarget, 0, -1, 0)
		r.ownPins, r.othersPins, err = dst.CountMigrated(ctx, src.ID(), meter.count)
		if err != nil {
			return nil, fmt.Errorf("counting the pins of the pinset: %w", err)
		}
		meter.end()
		r.counted = true
	}
	r.choose(opts)
	return r, nil
}

// begin prepares the migration: the one that goes on, or a new run.
func (r *route) begin(src source.Source, opts Options) {
	now := time.Now().UTC()
	fingerprint := opts.Change.fingerprint(src.Fingerprint())
	old := r.earlier
	if old != nil && old.Phase != state.MigrationDone && fingerprint != "" && old.Fingerprint == fingerprint {
		r.m, r.resumed = *old, true
		r.m.Updated = now
		return
	}
	r.m = state.Migration{
		ID:          src.ID(),
		Run:         1,
		Phase:       state.MigrationCopying,
		Fingerprint: fingerprint,
		Options:     opts.Change.String(),
		Started:     now,
		Updated:     now,
	}
	if old != nil {
		r.m.Run = old.Run + 1
	}
	if r.m.Run > state.MaxMigrationRuns {
		r.refused = fmt.Errorf("%s was read from its beginning %d times, which is the most that is possible: use a new keyspace, or \"state import\"",
			src.ID(), state.MaxMigrationRuns)
	}
}

// mustCount reports whether it matters how many pins there are.
func (r *route) mustCount(opts Options) bool {
	switch {
	case r.refused != nil:
		return false
	case r.resumed && (r.live.Yes() || !r.m.Bulk):
		// The rule for existing pins is asked at every pin from here on. The
		// pins may well be those that this run has written.
		return false
	case r.resumed:
		// They were counted when the run was begun. Since then only a peer can
		// have written a pin, and the pinset would be in use, or somebody else
		// who migrates.
		return r.othersSince(r.m.Started)
	case r.live.Yes():
		return opts.Existing == ExistingFail
	default:
		return true
	}
}

// othersSince reports whether another migration may have written since then.
func (r *route) othersSince(since time.Time) bool {
	for _, m := range r.others {
		if m.Updated.After(since.Add(-clockMargin)) {
			return true
		}
	}
	return false
}

// underWay returns the source of another bulk migration that has not ended and
// may still write, empty if there is none. Rows of two bulk migrations can have the
// same timestamp, and would become a mixture.
func (r *route) underWay() string {
	for _, m := range r.others {
		if m.Bulk && m.Phase != state.MigrationDone && m.Updated.After(r.m.Updated.Add(-clockMargin)) {
			return m.ID
		}
	}
	return ""
}

// choose decides how pins are written. A conditional run never goes on in bulk:
// what it kept has the number of an earlier run.
func (r *route) choose(opts Options) {
	inBulk := !r.resumed || r.m.Bulk // begun as, or may be begun as
	r.m.Bulk = false
	var meets string // what nobody has seen yet that the run may meet
	switch {
	case r.live.Yes():
		since := "" // not always known
		if !r.live.Since.IsZero() {
			since = " since " + r.live.Since.UTC().Format(time.RFC3339)
		}
		r.reason = fmt.Sprintf("the pinset is in use%s (%s)", since, r.live.By)
		if r.othersPins > 0 && !r.resumed {
			meets = r.holdsOthers()
		}
	case !inBulk:
		r.reason = "the run was begun with conditional writes"
	case r.othersPins > 0:
		meets = r.holdsOthers()
		r.reason = meets
	case r.underWay() != "":
		meets = fmt.Sprintf("the migration of %s has not ended and may still write", r.underWay())
		r.reason = meets
	case r.resumed:
		r.m.Bulk = true
		r.reason = "the pinset is not in use, and the run was begun in bulk"
	default:
		r.m.Bulk = true
		r.reason = "the pinset is not in use and holds no pins of anybody else"
	}
	if meets != "" && r.refused == nil && opts.Existing == ExistingFail {
		r.refused = fmt.Errorf("migrating %s: %s: use --existing %s (the later timestamp stays), --existing %s (what is there stays), or an empty keyspace",
			r.m.ID, meets, ExistingNewer, ExistingKeep)
	}
	if !r.m.Bulk {
		r.m.Phase = state.MigrationCopying // nothing to sweep
	}
}

func (r *route) holdsOthers() string {
	return fmt.Sprintf("the pinset holds %d pins that this migration has not written in bulk", r.othersPins)
}

// position is where the run begins to read.
func (r *route) position() source.Position {
	return source.Position{Key: bytes.Clone(r.m.Position), Records: r.m.Read}
}

// dry makes the run one of all records: a dry run looks at each.
func (r *route) dry() {
	r.resumed = false
	r.m.Phase, r.m.Position, r.m.Report = state.MigrationCopying, nil, ""
	r.m.Read, r.m.Copied, r.m.Kept, r.m.Bad, r.m.Removed = 0, 0, 0, 0, 0
}
