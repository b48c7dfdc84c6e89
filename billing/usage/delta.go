package usage

import (
	"errors"
	"fmt"
	"math"
	"math/big"
)

var (
	// ErrConflict says that two that have one ID are not the same.
	ErrConflict = errors.New("two that are different have one ID")
	// ErrOutside says that a delta is not of the day that it was given for.
	ErrOutside = errors.New("a delta of another day")
	// ErrRange says that a number is larger than there is room for.
	ErrRange = errors.New("too large")
)

// DayMS is how long a day is, in milliseconds.
const DayMS = 86_400_000

// Delta is a step of a level.
type Delta struct {
	// ID is unique: of those with one ID one is counted.
	ID [32]byte
	// At is when, in milliseconds since 1970 in UTC.
	At int64
	// Bytes is by how many the level rises, or falls if it is negative. It is never
	// changed.
	Bytes *big.Int
	// Pins is by how many the level rises, or falls if it is negative.
	Pins int64
}

// Equal reports whether two deltas say the same.
func (d Delta) Equal(other Delta) bool {
	return d.ID == other.ID && d.At == other.At && d.Pins == other.Pins && whole(d.Bytes).Cmp(whole(other.Bytes)) == 0
}

// Level is what is held at one time.
type Level struct {
	Bytes *big.Int // never changed
	Pins  int64
}

// Equal reports whether two levels are the same.
func (l Level) Equal(other Level) bool {
	return l.Pins == other.Pins && whole(l.Bytes).Cmp(whole(other.Bytes)) == 0
}

// copy returns the level with a number of its own.
func (l Level) copy() Level { return Level{new(big.Int).Set(whole(l.Bytes)), l.Pins} }

// whole returns a number that may be nil.
func whole(n *big.Int) *big.Int {
	if n == nil {
		return new(big.Int)
	}
	return n
}

// DayOf returns the day of a time in milliseconds since 1970, in days since then.
func DayOf(ms int64) int64 {
	day := ms / DayMS
	if ms%DayMS < 0 {
		day--
	}
	return day
}

// span returns the first millisecond of a day, and the first after it.
func span(day int64) (start, end int64, err error) {
	if day < math.MinInt64/DayMS || day >= math.MaxInt64/DayMS {
		return 0, 0, fmt.Errorf("the day %d: %w", day, ErrRange)
	}
	return day * DayMS, (day + 1) * DayMS, nil
}
