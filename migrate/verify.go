package migrate

import (
	"context"
	"errors"
	"fmt"
	"time"

	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate/source"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// scanners is how many pieces of the target are read at once.
const scanners = 4

// limits bound the memory and the time of a comparison.
type limits struct {
	buckets    int   // of the digests, in all
	pieces     int   // of the target, at least
	piecePins  int64 // of one piece, as far as the number of pins is known
	groupBytes int64 // of the source's pins that are kept at once, about
	passes     int   // over both sides, to look at differences
}

// defaultLimits need about 90 MB: the digests, the pins of a group, and what is
// in flight.
func defaultLimits() limits {
	return limits{buckets: 1 << 18, pieces: 1 << 10, piecePins: 100_000, groupBytes: 64 << 20, passes: 32}
}

// grid chooses the buckets for so many records, negative if nobody knows.
func (l limits) grid(records int64) grid {
	pieces := l.pieces
	for pieces < l.buckets && records/int64(pieces) > l.piecePins {
		pieces *= 2
	}
	return grid{pieces: pieces, parts: max(1, l.buckets/pieces)}
}

// Verify compares the pins of src, with opts.Change made in them, with all that is
// in dst, and changes neither. It reads src once if nothing differs, and otherwise
// again for each share of the differences that fits into memory. The differences of
// a source that can be read only once are therefore not named. Of opts it uses Change and
// Progress; RecordedChange returns the Change of a migration.
//
// Pins that change while Verify reads may show as different, or not. Differences are
// no error: ask Comparison.Equal.
func Verify(ctx context.Context, src source.Source, dst Target, opts Options) (*Comparison, error) {
	return verify(ctx, src, dst, opts, defaultLimits())
}

func verify(ctx context.Context, src source.Source, dst Target, opts Options, l limits) (*Comparison, error) {
	opts, err := opts.checked()
	if err != nil {
		return nil, err
	}
	began := time.Now()
	v := &verifier{src: src, dst: dst, change: opts.Change, limits: l, meter: newMeter(opts.Progress)}
	v.found = &Comparison{Source: src.ID(), Change: opts.Change, Warnings: src.Warnings(), MaxPinBytes: state.MaxPinBytes}
	others, err := v.do(ctx)
	if err != nil {
		return nil, fmt.Errorf("comparing %s with the pinset: %w", src.ID(), err)
	}
	v.found.sort()
	v.found.note(others)
	v.found.Seconds = time.Since(began).Seconds()
	return v.found, nil
}

// verifier compares one source with one target.
type verifier struct {
	src    source.Source
	dst    Target
	change Change
	limits limits
	meter  *meter
	found  *Comparison

	grid grid
	sides
	contents bool // pins that say the same in other bytes are equal
}

// sides are the digests of all buckets.
type sides struct {
	source  []bucket
	target  []bucket
	weights []uint32 // bytes of the source's pins in each bucket
}

// do compares, and returns how many other sources the target has pins of.
func (v *verifier) do(ctx context.Context) (others int, err error) {
	found, err := v.dst.Migrations(ctx)
	if err != nil {
		return 0, fmt.Errorf("asking the pinset for its migrations: %w", err)
	}
	v.found.Live = found.Live.Yes()
	for _, m := range found.All {
		if m.ID != v.src.ID() {
			others++
		}
	}
	total, err := countSource(ctx, v.src, v.meter)
	if err != nil {
		return 0, err
	}
	v.grid = v.limits.grid(total)
	if err := v.digest(ctx, PhaseComparing, total); err != nil {
		return 0, err
	}
	if len(v.groups()) > v.limits.passes {
		if err := v.digestContents(ctx, total); err != nil {
			return 0, err
		}
	}
	for i := range v.source {
		v.found.Pins += int64(v.source[i].pins)
		v.found.Target += int64(v.target[i].pins)
	}
	return others, v.details(ctx)
}

// digestContents fills the buckets once more, by what the pins say: where many are
// encoded differently, they would hide the few that differ.
func (v *verifier) digestContents(ctx context.Context, total int64) error {
	byBytes := v.sides
	v.contents = true
	err := v.digest(ctx, PhaseComparingContents, total)
	if errors.Is(err, source.ErrReadOnce) {
		v.sides = byBytes
		return nil
	}
	return err
}

// digest fills the buckets of both sides at the same time.
func (v *verifier) digest(ctx context.Context, phase Phase, total int64) error {
	n := v.grid.size()
	v.sides = sides{source: make([]bucket, n), target: make([]bucket, n), weights: make([]uint32, n)}
	if total >= 0 {
		total *= 2 // if the other side has as many
	}
	v.meter.begin(phase, 0, total, 0)
	group, ctx := errgroup.WithContext(ctx)
	group.Go(func() error { return v.digestSource(ctx) })
	group.Go(func() error { return v.digestTarget(ctx) })
	if err := group.Wait(); err != nil {
		return err
	}
	v.meter.end()
	return nil
}

// hash is that of the bytes of a pin, or of what they say.
func (v *verifier) hash(key, value []byte) pinHash {
	if !v.contents {
		return hashPin(key, value)
	}
	if pin, err := decodeRow(key, value); err == nil {
		if encoded, err := pin.ProtoMarshal(); err == nil {
			return hashPin(key, encoded)
		}
	}
	return hashPin(key, value) // no pin: it is found to be none
}

func (v *verifier) digestSource(ctx context.Context) error {
	bad := badRecords{}
	err := v.readSource(ctx,
		func(key, value []byte) {
			i := v.grid.bucketOf(v.dst.PieceOf(key, v.grid.pieces), key)
			v.source[i].add(v.hash(key, value))
			v.weights[i] += weight(key, value)
		},
		func(at string, err error) { bad.add(at, err) },
		func(after source.Position) { v.found.Records = after.Records })
	if !errors.Is(err, source.ErrReadOnce) {
		v.found.Bad, v.found.BadRecords = bad.n, bad.list
	}
	return err
}

// weight is about what a pin takes in memory.
func weight(key, value []byte) uint32 { return uint32(2*len(key) + len(value) + 100) }

// digestTarget reads the pieces, several at once. No two of them share a bucket.
func (v *verifier) digestTarget(ctx context.Context) error {
	pieces := make([]int, v.grid.pieces)
	for i := range pieces {
		pieces[i] = i
	}
	return v.scan(ctx, pieces, func(i int, key, value []byte) error {
		v.target[i].add(v.hash(key, value))
		return nil
	})
}

// scan calls f for each row of some pieces with the bucket it is in, from several
// goroutines. Rows of one bucket come one after another.
func (v *verifier) scan(ctx context.Context, pieces []int, f func(bucket int, key, value []byte) error) error {
	group, ctx := errgroup.WithContext(ctx)
	group.SetLimit(scanners)
	for _, piece := range pieces {
		group.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			rows := int64(0)
			err := v.dst.ScanValues(ctx, piece, v.grid.pieces, func(key, value []byte) error {
				if rows++; rows%saidEvery == 0 {
					v.meter.add(saidEvery, 0)
				}
				return f(v.grid.bucketOf(piece, key), key, value)
			})
			if err != nil {
				return fmt.Errorf("reading piece %d of %d of the pinset: %w", piece, v.grid.pieces, err)
			}
			v.meter.add(rows%saidEvery, 0)
			return nil
		})
	}
	return group.Wait()
}

// saidEvery is after how many pins the progress is told.
const saidEvery = 256

// readSource calls pin for each pin of the source as it should be in the target, bad
// for each record that is none, and passed after each of both. Key and value may be
// kept.
func (v *verifier) readSource(ctx context.Context, pin func(key, value []byte), bad func(at string, err error), passed func(source.Position)) error {
	unsaid := int64(0)
	pass := func(after source.Position) error {
		passed(after)
		if unsaid++; unsaid == saidEvery {
			v.meter.add(unsaid, 0)
			unsaid = 0
		}
		return nil
	}
	err := v.src.Read(ctx, source.Position{},
		func(rec source.Record) error {
			prepared, problem, err := prepare(rec, v.change)
			if err != nil {
				return err
			}
			if problem != nil {
				bad(place(rec), problem)
			} else {
				pin(rec.Cid.Bytes(), prepared.Value)
			}
			return pass(rec.After)
		},
		func(b source.Bad) error {
			bad(b.At, b.Err)
			return pass(b.After)
		})
	if err == nil {
		err = ctx.Err() // a source that stops with its context is not whole
	}
	if err != nil {
		return fmt.Errorf("reading the source: %w", err)
	}
	v.meter.add(unsaid, 0)
	return nil
}
