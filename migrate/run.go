package migrate

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate/source"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Run brings the pins of src into dst, in bulk or by conditional writes, as the
// package comment explains. It goes on where an earlier run has ended early.
//
// The report is there also with an error, unless nothing was begun. After an
// error, also that of the context, all records of the report are durable in the
// target and the next Run goes on behind them, or closely before. An error that
// matches state.ErrLive wants nothing but that next Run; one that matches
// state.ErrMigrationTaken says that another process does the work now.
//
// Run uses src from one goroutine at a time and does not close it.
func Run(ctx context.Context, src source.Source, dst Target, opts Options) (*Report, error) {
	opts, err := opts.checked()
	if err != nil {
		return nil, err
	}
	meter := newMeter(opts.Progress)
	route, err := findRoute(ctx, src, dst, opts, meter, false)
	if err != nil {
		return nil, fmt.Errorf("migrating %s: %w", src.ID(), err)
	}
	if route.refused != nil {
		return nil, route.refused
	}
	if opts.DryRun {
		route.dry()
	}
	r := newRun(src, dst, opts, meter, route)
	if err := r.do(ctx); err != nil {
		err = r.failed(ctx, err)
		return r.close(), err
	}
	return r.close(), nil
}

// run is one process' part of a run.
type run struct {
	src     source.Source
	dst     Target
	opts    Options
	meter   *meter
	resumed bool
	holder  string // who migrates, as it was looked at
	from    source.Position

	m        state.Migration // as the next checkpoint stores it
	report   Report
	importer state.Importer // nil: a dry run, or not begun
	write    func(ctx context.Context, pins []state.BulkPin) (written, error)
	stored   time.Time // when m was stored
	dirty    bool      // m has changed since
	began    time.Time // for the speed
	passed   int64     // pins that this process has written or kept
}

func newRun(src source.Source, dst Target, opts Options, meter *meter, route *route) *run {
	r := &run{src: src, dst: dst, opts: opts, meter: meter, resumed: route.resumed, holder: route.holder, from: route.position(), m: route.m, began: time.Now()}
	r.report = Report{
		Source:   src.ID(),
		Run:      r.m.Run,
		DryRun:   opts.DryRun,
		Bulk:     r.m.Bulk,
		Reason:   route.reason,
		Change:   opts.Change,
		Warnings: src.Warnings(),
		Started:  r.m.Started,

		MaxPinBytes: state.MaxPinBytes,
	}
	if route.resumed {
		r.report.takeOver(route.m)
		if route.earlier.Bulk && !r.m.Bulk {
			r.report.note("the first %d records were written in bulk, the others with conditional writes", route.m.Read)
		}
	}
	return r
}

// do makes the run, from where it is to its end.
func (r *run) do(ctx context.Context) error {
	if err := r.survey(ctx); err != nil {
		return err
	}
	if r.m.Phase == state.MigrationCopying {
		if err := r.copy(ctx); err != nil {
			return err
		}
	}
	if err := r.begin(ctx); err != nil { // nothing was to be copied
		return err
	}
	if err := r.sweep(ctx); err != nil {
		return err
	}
	if r.opts.DryRun && !r.opts.SkipTooLarge && r.report.TooLarge > 0 {
		r.report.note("without --skip-too-large the run would be refused, as %d pins are too large", r.report.TooLarge)
	}
	phase := r.m.Phase
	r.m.Phase, r.report.Complete, r.dirty = state.MigrationDone, true, true
	if err := r.checkpoint(ctx); err != nil {
		r.m.Phase, r.report.Complete = phase, false
		return err
	}
	return nil
}

// countSource returns how many records the source has, or a negative number.
func countSource(ctx context.Context, src source.Source, meter *meter) (int64, error) {
	meter.begin(PhaseCounting, 0, -1, 0)
	total, err := src.Count(ctx, meter.count)
	if err != nil {
		return 0, fmt.Errorf("counting the records: %w", err)
	}
	meter.end()
	return total, nil
}

// begin makes this process the one who migrates, and chooses how pins are written.
// It is called when there is something to write: a source that cannot be read
// leaves no trace in the target. The second time it does nothing.
func (r *run) begin(ctx context.Context) error {
	if r.write != nil {
		return nil
	}
	if r.opts.DryRun {
		r.write = wouldWrite
		if !r.m.Bulk {
			r.write = conditional{dst: r.dst, existing: r.opts.Existing}.look
		}
		return nil
	}
	r.m.Updated = time.Now().UTC() // the source may have been read meanwhile
	if err := r.encodeReport(); err != nil {
		return err
	}
	importer, err := r.dst.BeginMigration(ctx, r.m, r.holder)
	if err != nil {
		return fmt.Errorf("beginning run %d: %w", r.m.Run, err)
	}
	r.importer, r.stored = importer, time.Now()
	if r.m.Bulk {
		r.write = r.bulk
		return nil
	}
	r.write = conditional{r.dst, r.opts.Existing, importer.Index}.write
	return nil
}

// wouldWrite is how a dry run writes in bulk.
func wouldWrite(_ context.Context, pins []state.BulkPin) (written, error) {
	return written{copied: int64(len(pins))}, nil
}

// bulk writes pins without a condition.
func (r *run) bulk(ctx context.Context, pins []state.BulkPin) (written, error) {
	if len(pins) == 0 {
		return written{}, nil
	}
	if err := r.importer.Write(ctx, pins); err != nil {
		return written{}, err
	}
	return written{copied: int64(len(pins))}, nil
}

// copy writes all windows behind the position. One is read while another one is
// written.
func (r *run) copy(ctx context.Context) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	size := r.opts.Window
	if !r.m.Bulk {
		size = min(size, conditionalWindow)
	}
	in := &reader{src: r.src, change: r.opts.Change, size: size, out: make(chan *window)}
	ended := make(chan error, 1)
	go func() { ended <- in.read(ctx, r.from) }()

	r.meter.begin(PhaseCopying, r.m.Read, r.report.Total, r.m.Bad)
	for w := range in.out {
		err := r.mayLeaveOut(w)
		if err == nil {
			err = r.begin(ctx)
		}
		if err == nil {
			err = r.take(ctx, w)
		}
		if err != nil {
			cancel()
			for range in.out { // it is closed when nobody reads the source any more
			}
			return err
		}
	}
	r.meter.end()
	if err := <-ended; err != nil {
		return fmt.Errorf("reading the source: %w", err)
	}
	return nil
}

// mayLeaveOut refuses a window with pins that are too large, before any of it is
// written. A source that could be surveyed has none, unless it has changed since.
func (r *run) mayLeaveOut(w *window) error {
	if w.large.n == 0 || r.opts.SkipTooLarge || r.opts.DryRun {
		return nil
	}
	return w.large.refusal()
}

// take writes one window, and stores the position behind it when it is time.
func (r *run) take(ctx context.Context, w *window) error {
	done, err := r.write(ctx, w.pins)
	if err != nil {
		return err
	}
	r.m.Position, r.m.Read = w.after.Key, w.after.Records
	r.m.Copied += done.copied
	r.m.Kept += done.kept
	r.m.Bad += w.bad.n
	bad := badRecords{list: r.report.BadRecords}
	bad.addAll(w.bad)
	r.report.BadRecords = bad.list
	r.report.addLarge(w.large)
	r.report.Replaced += done.replaced
	r.report.Different += done.different
	r.report.Duplicates += w.duplicates
	r.passed += done.copied + done.kept
	r.dirty = true
	r.meter.at(r.m.Read, r.m.Bad)
	if time.Since(r.stored) < r.opts.CheckpointEvery {
		return nil
	}
	return r.checkpoint(ctx)
}
