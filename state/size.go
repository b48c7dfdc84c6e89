package state

import (
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// MaxPinBytes is how large the encoding of a pin may be: 256 KiB, where a usual
// pin has 200 bytes, and one with 1,000 allocations, 1,000 entries of metadata of
// 100 bytes each and 20 origins has 150 KiB. The databases set the bound:
//
//   - A write is the pin, and its allocations once more as text: less than
//     700 KiB. It stays below the 1 MB that ScyllaDB advises for a blob and the
//     2 MB at which it can be set to refuse a cell, and far below the 16 MB that
//     Cassandra takes as one mutation. Paxos stores it several times.
//   - A page of a listing with the largest pins only stays below the 256 MiB at
//     which the driver refuses an answer. ScyllaDB ends pages at 1 MB, Cassandra
//     counts rows.
const MaxPinBytes = 256 << 10

// TooLargeError says that a pin was refused, and that nothing was written, because
// its encoding is larger than MaxPinBytes.
type TooLargeError struct {
	Cid api.Cid
	// Size of the encoding in bytes.
	Size int
}

func (e *TooLargeError) Error() string {
	return fmt.Sprintf("the pin of %s is too large: its encoding has %d bytes, and at most %d can be stored: give it less metadata, fewer origins or fewer allocations",
		e.Cid, e.Size, MaxPinBytes)
}

// CheckPinSize returns a TooLargeError when a pin of c whose encoding has so many
// bytes is too large.
func CheckPinSize(c api.Cid, size int) error {
	if size > MaxPinBytes {
		return &TooLargeError{Cid: c, Size: size}
	}
	return nil
}
