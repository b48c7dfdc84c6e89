package state

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
)

// PlacementStatus is how far a peer has come with a pin that it holds.
type PlacementStatus int8

// The values of PlacementStatus. They are stored.
const (
	// PlacementQueued is to be pinned by IPFS, or being pinned.
	PlacementQueued PlacementStatus = 1
	// PlacementPinned is what IPFS reported pinned.
	PlacementPinned PlacementStatus = 2
	// PlacementPinError failed; the recovery of the peer tries again.
	PlacementPinError PlacementStatus = 3
	// PlacementUnpinning is to be unpinned, or being unpinned.
	PlacementUnpinning PlacementStatus = 4
	// PlacementUnpinError failed; it is tried again until IPFS has unpinned
	// it.
	PlacementUnpinError PlacementStatus = 5
)

// Leaving reports whether the content is to go.
func (s PlacementStatus) Leaving() bool {
	return s == PlacementUnpinning || s == PlacementUnpinError
}

// Placement says what a peer does with one CID. Once its IPFS daemon has
// unpinned the CID there is none.
type Placement struct {
	Cid    api.Cid
	Status PlacementStatus
	// Rev is the revision of the pin that the peer acted on last. In
	// PutPlacement zero leaves it as it is.
	Rev Revision
	// Updated is when the status was written. PutPlacement sets it.
	Updated time.Time
	// Attempts counts the tries that failed since the last success or change.
	Attempts int
	// Size is that of the DAG in bytes, 0 when IPFS could not tell. In
	// PutPlacement 0 leaves it as it is.
	Size int64
	// Error is what went wrong in the last try.
	Error string
	// Depth is that to which the peer pins or has pinned the CID, nil when it is
	// not known. In PutPlacement nil leaves it as it is.
	Depth *api.PinDepth
}

// Buckets is the number of parts that the CIDs are divided into where work is
// shared or listed piece by piece.
const Buckets = 4096

// Placements is what the peers hold. Anybody may read it; the rows of a peer
// are written by that peer only, one write of a CID after another.
type Placements interface {
	// PutPlacement stores what peer p does with a CID. It is durable when it
	// returns nil. A later call counts, also after a restart.
	PutPlacement(ctx context.Context, p peer.ID, row Placement) error
	// SetSize stores the size of what peer p holds, if it has a placement.
	SetSize(ctx context.Context, p peer.ID, c api.Cid, size int64) error
	// DropPlacement forgets the CID.
	DropPlacement(ctx context.Context, p peer.ID, c api.Cid) error
	// GetPlacement returns false when there is none.
	GetPlacement(ctx context.Context, p peer.ID, c api.Cid) (Placement, bool, error)
	// PlacementBuckets returns the buckets that may have placements of peer p,
	// in order. The others had none when it was called.
	PlacementBuckets(ctx context.Context, p peer.ID) ([]int, error)
	// ListPlacements calls f for each placement of peer p in one bucket, in
	// the order of the CIDs' bytes, and ends with the first error of f.
	ListPlacements(ctx context.Context, p peer.ID, bucket int, f func(Placement) error) error
}

// Bucket is the part that a CID belongs to: the first 12 bits of the SHA-256 of all
// its bytes. The bytes themselves would not do: a CID may carry its content as it
// is. Stored rows depend on it, it never changes.
func Bucket(c api.Cid) int {
	sum := sha256.Sum256(c.Bytes())
	return int(binary.BigEndian.Uint16(sum[:]) >> (16 - 12))
}
