package sli

import (
	"encoding/binary"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Deadline is how long after it was accepted a pin must be pinned.
const Deadline = time.Minute

// ticks is the time of a revision, a timeuuid (RFC 9562, 5.1): 100 ns since 15 October 1582.
func ticks(rev state.Revision) uint64 {
	low, mid := binary.BigEndian.Uint32(rev[0:4]), binary.BigEndian.Uint16(rev[4:6])
	high := binary.BigEndian.Uint16(rev[6:8]) & 0x0fff
	return uint64(high)<<48 | uint64(mid)<<32 | uint64(low)
}

const (
	// epochTicks is 1970, and firstTicks 1998, as ticks are counted.
	epochTicks = 0x01b21dd213814000
	firstTicks = epochTicks + 883_612_800*10_000_000
)

// acceptedAt is when the pin of a revision was accepted. It returns false if nobody has
// accepted it: the revisions of pins that a migration has written are of before 1998.
func acceptedAt(rev state.Revision) (time.Time, bool) {
	t := ticks(rev)
	if t < firstTicks {
		return time.Time{}, false
	}
	since := t - epochTicks
	return time.Unix(int64(since/10_000_000), int64(since%10_000_000)*100), true //nolint:gosec // 60 bits
}
