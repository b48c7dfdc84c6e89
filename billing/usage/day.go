package usage

import (
	"bytes"
	"cmp"
	"encoding/binary"
	"fmt"
	"math/big"
	"slices"
)

// Day is the usage of one day.
type Day struct {
	// Opening is the level before the day, Closing that after it.
	Opening, Closing Level
	// ByteMS is the sum of the bytes held, over the milliseconds of the day, PinMS that
	// of the pins.
	ByteMS, PinMS *big.Int
	// PeakBytes is the highest level of bytes that lasted for a millisecond. What is
	// taken and given in the same millisecond makes none.
	PeakBytes *big.Int
	// Deltas is how many there were, each counted once.
	Deltas int
	// Digest is the SHA-256 of the opening and the deltas, from which all else follows.
	Digest [32]byte
	// Negative says that a level of bytes or of pins was below zero for a millisecond or
	// longer.
	Negative bool
}

// Idle returns a day without deltas.
func Idle(opening Level) Day {
	day := newDay(opening)
	day.lasted(day.Closing.Bytes, day.Closing.Pins < 0)
	day.Digest = digest(day.Opening, nil, nil)
	return day
}

// newDay returns a day without deltas, and without what is found by looking at its levels.
func newDay(opening Level) Day {
	day := Day{Opening: opening.copy(), Closing: opening.copy(), ByteMS: big.NewInt(DayMS), PinMS: big.NewInt(DayMS)}
	day.ByteMS.Mul(day.ByteMS, day.Opening.Bytes)
	day.PinMS.Mul(day.PinMS, big.NewInt(opening.Pins))
	return day
}

// lasted notes a level that lasted for a millisecond or longer.
func (d *Day) lasted(level *big.Int, fewerPins bool) {
	if d.PeakBytes == nil {
		d.PeakBytes = new(big.Int).Set(level)
	} else if level.Cmp(d.PeakBytes) > 0 {
		d.PeakBytes.Set(level)
	}
	d.Negative = d.Negative || fewerPins || level.Sign() < 0
}

// Fold returns the usage of a day, in days since 1970 in UTC, with the deltas of that
// day in any order. An ID that is there more than once is counted once.
//
// The error is ErrOutside for a delta of another day, ErrConflict for two different
// deltas with one ID, or ErrRange for a day, or a number of pins at its end, that an
// int64 of milliseconds or of pins does not hold. It takes 48 bytes a delta.
func Fold(day int64, opening Level, deltas []Delta) (Day, error) {
	start, end, err := span(day)
	if err != nil {
		return Day{}, err
	}
	order := make([]place, len(deltas))
	for i := range deltas {
		d := &deltas[i]
		if d.At < start || d.At >= end {
			return Day{}, fmt.Errorf("%x at %d in the day %d: %w", d.ID, d.At, day, ErrOutside)
		}
		order[i] = place{binary.BigEndian.Uint64(d.ID[:]), i}
	}
	if order, err = once(deltas, order); err != nil {
		return Day{}, err
	}
	out := newDay(opening)
	out.Deltas = len(order)
	out.Digest = digest(out.Opening, deltas, order)
	steps := make([]step, len(order))
	for i, p := range order {
		steps[i] = stepOf(&deltas[p.index])
	}
	slices.SortFunc(steps, func(a, b step) int { return cmp.Compare(a.at, b.at) })
	if err := out.add(steps, start, end); err != nil {
		return Day{}, fmt.Errorf("the day %d: %w", day, err)
	}
	return out, nil
}

// place is where a delta is in a slice, with what it is sorted by.
type place struct {
	key   uint64
	index int
}

// once sorts places, whose keys begin the IDs, by ID and leaves out those whose ID
// is there before.
func once(deltas []Delta, order []place) ([]place, error) {
	slices.SortFunc(order, func(a, b place) int {
		if c := cmp.Compare(a.key, b.key); c != 0 {
			return c
		}
		return bytes.Compare(deltas[a.index].ID[:], deltas[b.index].ID[:])
	})
	kept := order[:0]
	for _, p := range order {
		if n := len(kept); n > 0 && deltas[kept[n-1].index].ID == deltas[p.index].ID {
			if !deltas[kept[n-1].index].Equal(deltas[p.index]) {
				return nil, fmt.Errorf("%x: %w", deltas[p.index].ID, ErrConflict)
			}
			continue
		}
		kept = append(kept, p)
	}
	return kept, nil
}

// step is a delta with its number in one place. To go from one delta to the next in the order
// of time, and from there to its number, took two thirds of what Fold takes for a million.
type step struct {
	at, pins, bytes int64
	large           *big.Int // the bytes, if an int64 does not hold them
}

func stepOf(d *Delta) step {
	s := step{at: d.At, pins: d.Pins}
	switch {
	case d.Bytes == nil:
	case d.Bytes.IsInt64():
		s.bytes = d.Bytes.Int64()
	default:
		s.large = d.Bytes
	}
	return s
}

// add counts steps, in the order of their times, into a day that has none.
func (d *Day) add(steps []step, start, end int64) error {
	level, pins := d.Closing.Bytes, big.NewInt(d.Closing.Pins)
	var left, height, area big.Int
	now := start
	for i := range steps {
		s := &steps[i]
		if s.at > now {
			d.lasted(level, pins.Sign() < 0)
			now = s.at
		}
		left.SetInt64(end - s.at)
		if s.large != nil {
			height.Set(s.large)
		} else {
			height.SetInt64(s.bytes)
		}
		level.Add(level, &height)
		d.ByteMS.Add(d.ByteMS, area.Mul(&height, &left))
		if s.pins != 0 {
			height.SetInt64(s.pins)
			pins.Add(pins, &height)
			d.PinMS.Add(d.PinMS, area.Mul(&height, &left))
		}
	}
	d.lasted(level, pins.Sign() < 0)
	if !pins.IsInt64() {
		return fmt.Errorf("%s pins: %w", pins, ErrRange)
	}
	d.Closing.Pins = pins.Int64()
	return nil
}
