package migrate

import (
	"context"
	"errors"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate/source"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// LargePin is a pin of the source that is larger than state.MaxPinBytes, as it
// would be stored.
type LargePin struct {
	Cid   string `json:"cid"`
	Bytes int    `json:"bytes"`
}

func tooLarge(value []byte) bool { return len(value) > state.MaxPinBytes }

// largePins counts pins that are too large, and names the first of them.
type largePins struct {
	n    int64
	list []LargePin
}

func (l *largePins) add(c api.Cid, size int) {
	l.n++
	if len(l.list) < listed {
		l.list = append(l.list, LargePin{Cid: c.String(), Bytes: size})
	}
}

// addAll adds the others behind those that are there.
func (l *largePins) addAll(others largePins) {
	l.n += others.n
	l.list = append(l.list, others.list[:min(len(others.list), listed-len(l.list))]...)
}

// look adds the pin of a record if it is too large after the change. Most pins
// need not be decoded for this. The error is that of prepare.
func (l *largePins) look(rec source.Record, change Change) error {
	if change.Zero() && !tooLarge(rec.Value) {
		return nil
	}
	pin, bad, err := prepare(rec, change)
	if bad == nil && tooLarge(pin.Value) {
		l.add(rec.Cid, len(pin.Value))
	}
	return err
}

// refusal is the error of a run that may not leave them out.
func (l *largePins) refusal() error {
	return fmt.Errorf("%w: %d have more than the %d bytes that can be stored, the first is that of %s with %d bytes: "+
		"--skip-too-large leaves them out and lists them", errTooLarge, l.n, state.MaxPinBytes, l.list[0].Cid, l.list[0].Bytes)
}

// errTooLarge ends a run that may leave nothing out.
var errTooLarge = errors.New("pins of the source are too large")

// survey counts the records of the source, and refuses a run that would meet pins
// which are too large and may not leave them out, before it writes. To know that
// the source is read once more, unless it can be read only once: then the run ends
// at the first such pin.
func (r *run) survey(ctx context.Context) error {
	if r.opts.SkipTooLarge || r.opts.DryRun || r.src.ReadOnce() || r.m.Phase != state.MigrationCopying {
		return r.count(ctx)
	}
	total := r.from.Records
	r.meter.begin(PhaseCounting, total, -1, 0)
	passed := func(after source.Position) error {
		total = after.Records
		r.meter.count(total)
		return nil
	}
	var large largePins
	var mistake error
	err := r.src.Read(ctx, r.from,
		func(rec source.Record) error {
			if mistake = large.look(rec, r.opts.Change); mistake != nil {
				return mistake
			}
			return passed(rec.After)
		},
		func(b source.Bad) error { return passed(b.After) })
	switch {
	case ctx.Err() != nil:
		return ctx.Err()
	case mistake != nil:
		return mistake
	case large.n > 0:
		r.report.addLarge(large)
		return large.refusal()
	case err != nil && total > r.from.Records:
		// The run brings in what can be read, and then meets that error itself.
		return r.count(ctx)
	case err != nil:
		return fmt.Errorf("reading the source: %w", err)
	}
	r.meter.end()
	r.report.Total = total
	return nil
}

// count asks the source for the number of its records.
func (r *run) count(ctx context.Context) error {
	total, err := countSource(ctx, r.src, r.meter)
	r.report.Total = total
	return err
}
