package migrate

import (
	"bytes"
	"context"
	"errors"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate/source"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// window is a stretch of the source that is written at once. Everything that was
// found in it is counted with it, and not before it is written: what was read
// further is found again after a stop.
type window struct {
	pins       []state.BulkPin // one for each CID, the last
	bad        badRecords
	large      largePins
	duplicates int64
	after      source.Position // behind its last record

	records int
	bytes   int
	index   map[string]int // of pins, by CID
}

func newWindow(size int) *window {
	return &window{index: make(map[string]int, size), pins: make([]state.BulkPin, 0, size)}
}

// add takes a pin, in place of an earlier one of the same CID.
func (w *window) add(pin state.BulkPin) {
	key := pin.Pin.Cid.KeyString()
	if i, ok := w.index[key]; ok {
		w.pins[i] = pin
		w.duplicates++
	} else {
		w.index[key] = len(w.pins)
		w.pins = append(w.pins, pin)
	}
	w.bytes += len(pin.Value)
}

// passed says that one more record was read. The key may be overwritten by the
// source when it goes on.
func (w *window) passed(after source.Position) {
	w.after.Key = append(w.after.Key[:0], after.Key...)
	w.after.Records = after.Records
	w.records++
}

// reader makes windows of a source.
type reader struct {
	src    source.Source
	change Change
	size   int // of a window, in records
	out    chan *window
}

// read sends the windows from a position on, and closes the channel. While one is
// written the next one is read. What was read before an error of the source is
// sent too.
func (r *reader) read(ctx context.Context, from source.Position) error {
	defer close(r.out)
	w := newWindow(r.size)
	last := from.Records
	pass := func(after source.Position) error {
		w.passed(after)
		if w.records < r.size && w.bytes < windowBytes {
			return nil
		}
		full := w
		w = newWindow(r.size)
		return r.send(ctx, full)
	}
	err := r.src.Read(ctx, from,
		func(rec source.Record) error {
			// The number decides which pin stays, and what an earlier run has
			// left. It must not be wrong.
			number := rec.After.Records
			if number <= last || number >= state.MaxMigrationRecords {
				return fmt.Errorf("record %d comes after record %d: a source numbers its records upwards, to %d at most", number, last, int64(state.MaxMigrationRecords)-1)
			}
			last = number
			pin, bad, err := prepare(rec, r.change)
			if err != nil {
				return err
			}
			switch {
			case bad != nil:
				w.bad.add(place(rec), bad)
			case tooLarge(pin.Value):
				w.large.add(rec.Cid, len(pin.Value))
			default:
				w.add(pin)
			}
			return pass(rec.After)
		},
		func(b source.Bad) error {
			w.bad.add(b.At, b.Err)
			return pass(b.After)
		})
	if err == nil {
		// A source that stops with its context must not look complete.
		err = ctx.Err()
	}
	if w.records > 0 && ctx.Err() == nil {
		err = errors.Join(err, r.send(ctx, w))
	}
	return err
}

func (r *reader) send(ctx context.Context, w *window) error {
	select {
	case r.out <- w:
		return nil
	case <-ctx.Done():
		return ctx.Err()
	}
}

// prepare returns the pin of a record, changed. It returns bad when the record is
// none, and err when the pin must not be changed like this, which ends the run: a
// mistake in the change is one in many pins.
func prepare(rec source.Record, change Change) (pin state.BulkPin, bad, err error) {
	decoded, bad := decodePin(rec.Cid, rec.Value)
	if bad != nil {
		return state.BulkPin{}, bad, nil
	}
	changed, err := change.Apply(&decoded)
	if err != nil {
		return state.BulkPin{}, nil, err
	}
	value := bytes.Clone(rec.Value)
	if changed {
		if value, bad = decoded.ProtoMarshal(); bad != nil {
			return state.BulkPin{}, fmt.Errorf("the changed pin cannot be encoded: %w", bad), nil
		}
	}
	return state.BulkPin{Number: rec.After.Records, Value: value, Pin: decoded}, nil, nil
}

// place names a record that is bad.
func place(rec source.Record) string {
	if rec.Cid.Defined() {
		return rec.Cid.String()
	}
	return fmt.Sprintf("record %d", rec.After.Records)
}
