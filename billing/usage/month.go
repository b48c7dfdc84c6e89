package usage

import (
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
)

// ErrGap says that a day does not open with what the one before it has closed with.
var ErrGap = errors.New("a day does not open with what the day before has closed with")

// Total is the usage of days that follow one another.
type Total struct {
	// Opening is the level before the first of them, Closing that after the last.
	Opening, Closing Level
	// ByteMS, PinMS are the sums, PeakBytes is the highest, of those of the days.
	ByteMS, PinMS, PeakBytes *big.Int
	// Days and Deltas is how many there are.
	Days, Deltas int
	// Digest is another one if one of the days is.
	Digest [32]byte
	// Negative says that one of the days is negative.
	Negative bool
}

// Days returns n days that follow one another, the first being the day first, in days since
// 1970. Those that are in the map are taken from there. The others are idle: they carry on
// what the day before has closed with, the first of all what is given as opening.
//
// So days on which nothing happened need not be stored. It does not look whether the days of
// the map fit; Month does.
func Days(first int64, n int, opening Level, stored map[int64]Day) []Day {
	days := make([]Day, 0, max(n, 0))
	for i := range int64(n) {
		day, there := stored[first+i]
		if !there {
			day = Idle(opening)
		}
		days = append(days, day)
		opening = day.Closing
	}
	return days
}

// Month adds up n days that follow one another, as those of a month: the same as Days returns.
// The error is ErrGap if one of them does not open with what the one before it has closed
// with, or the first with what is given as opening.
//
// The digest is the SHA-256 of the first day, the number of days, and the digests of each.
func Month(first int64, n int, opening Level, stored map[int64]Day) (Total, error) {
	sum := Total{Opening: opening.copy(), Closing: opening, ByteMS: new(big.Int), PinMS: new(big.Int), PeakBytes: new(big.Int)}
	days := Days(first, n, opening, stored)
	sum.Days = len(days)
	digests := binary.BigEndian.AppendUint64([]byte(totalFormat), uint64(first))
	digests = binary.BigEndian.AppendUint64(digests, uint64(len(days)))
	for i, day := range days {
		if !day.Opening.Equal(sum.Closing) {
			return Total{}, fmt.Errorf("the day %d: %w", first+int64(i), ErrGap)
		}
		if peak := whole(day.PeakBytes); i == 0 || peak.Cmp(sum.PeakBytes) > 0 {
			sum.PeakBytes.Set(peak)
		}
		sum.ByteMS.Add(sum.ByteMS, whole(day.ByteMS))
		sum.PinMS.Add(sum.PinMS, whole(day.PinMS))
		sum.Deltas += day.Deltas
		sum.Negative = sum.Negative || day.Negative
		sum.Closing = day.Closing
		digests = append(digests, day.Digest[:]...)
	}
	sum.Closing = sum.Closing.copy()
	sum.Digest = sha256.Sum256(digests)
	return sum, nil
}
