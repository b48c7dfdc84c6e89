package usage

import (
	"cmp"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"math/big"
	"slices"
)

// ErrLost says that an adjustment is missing.
var ErrLost = errors.New("an adjustment is missing")

// Adjustment is by how much a recompute of a day that was closed differs from the one
// before it.
type Adjustment struct {
	// ID follows from the day, the version and the digests.
	ID [32]byte
	// Day is the one that was recomputed, in days since 1970.
	Day int64
	// Version counts the recomputes of the day, from 1 on. The closed day is version 0.
	Version int64
	// ByteMS and PinMS are what is to be added, or taken away if they are negative.
	ByteMS, PinMS *big.Int
	// Old and New are the digests of the version before and of this one.
	Old, New [32]byte
}

// Diff returns what is to be added to one version of a day to make it the next one, whose
// number is given, and false if they are made of the same.
//
// The ID is that of one step from one version to the next. It has the number of the version, as
// a day may come back to what it was: when something late is taken back, the days after it
// open as before, and their digests are those of the closed day again. Who writes
// adjustments must see to it that each version of a day is made once.
func Diff(day, version int64, before, after Day) (Adjustment, bool) {
	a := Adjustment{
		Day: day, Version: version, Old: before.Digest, New: after.Digest,
		ByteMS: new(big.Int).Sub(whole(after.ByteMS), whole(before.ByteMS)),
		PinMS:  new(big.Int).Sub(whole(after.PinMS), whole(before.PinMS)),
	}
	b := append([]byte(adjustmentFormat), a.Old[:]...)
	b = append(b, a.New[:]...)
	b = binary.BigEndian.AppendUint64(b, uint64(day))
	a.ID = sha256.Sum256(binary.BigEndian.AppendUint64(b, uint64(version)))
	return a, a.Old != a.New
}

// Equal reports whether two adjustments say the same.
func (a Adjustment) Equal(other Adjustment) bool {
	return a.ID == other.ID && a.Day == other.Day && a.Version == other.Version && a.Old == other.Old && a.New == other.New &&
		whole(a.ByteMS).Cmp(whole(other.ByteMS)) == 0 && whole(a.PinMS).Cmp(whole(other.PinMS)) == 0
}

// Adjusted returns what a closed day is billed for in all: what it was closed with, and
// its adjustments, given in any order. One that is there more than once is counted once. The
// latest is the digest of the last version that there is of the day.
//
// The error is ErrLost if they do not lead from the closed day to the last version step by
// step, ErrConflict if two are of one version and not the same, or ErrOutside if one is of
// another day.
func Adjusted(day int64, closed Day, latest [32]byte, adjustments []Adjustment) (byteMS, pinMS *big.Int, err error) {
	byVersion := slices.Clone(adjustments)
	slices.SortFunc(byVersion, func(a, b Adjustment) int { return cmp.Compare(a.Version, b.Version) })
	byteMS, pinMS = new(big.Int).Set(whole(closed.ByteMS)), new(big.Int).Set(whole(closed.PinMS))
	version, digest := int64(0), closed.Digest
	for i, a := range byVersion {
		switch {
		case a.Day != day:
			return nil, nil, fmt.Errorf("an adjustment of the day %d for %d: %w", a.Day, day, ErrOutside)
		case i > 0 && a.Version == version:
			if !a.Equal(byVersion[i-1]) {
				return nil, nil, fmt.Errorf("version %d of the day %d: %w", a.Version, day, ErrConflict)
			}
			continue
		case a.Version != version+1 || a.Old != digest:
			return nil, nil, fmt.Errorf("before version %d of the day %d: %w", a.Version, day, ErrLost)
		}
		byteMS.Add(byteMS, whole(a.ByteMS))
		pinMS.Add(pinMS, whole(a.PinMS))
		version, digest = a.Version, a.New
	}
	if digest != latest {
		return nil, nil, fmt.Errorf("after version %d of the day %d: %w", version, day, ErrLost)
	}
	return byteMS, pinMS, nil
}
