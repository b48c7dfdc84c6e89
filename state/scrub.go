package state

import (
	"context"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Scrubber is what a scrub needs to look through the whole pinset, piece by
// piece, and to mend what is missing beside it.
type Scrubber interface {
	// ScanPiece calls f for each pin of one of so many equal pieces of the
	// pinset, from one goroutine, and ends with the first error of f. A row
	// that cannot be decoded goes to bad instead, with an undefined CID if its key
	// is none.
	ScanPiece(ctx context.Context, piece, pieces int, f func(api.Pin, Revision) error, bad func(api.Cid, error)) error
	// ScanFrom is ScanPiece for the rest of a piece: for the pin of a CID that
	// ScanPiece has called f for, which may be gone by now, and those that come after
	// it. An undefined CID is before all others.
	ScanFrom(ctx context.Context, piece, pieces int, from api.Cid, f func(api.Pin, Revision) error, bad func(api.Cid, error)) error
	// GetPlacementsOf returns the placements of a CID that some peers have.
	GetPlacementsOf(ctx context.Context, peers []peer.ID, c api.Cid) (map[peer.ID]Placement, error)
	// Tell makes a peer look at pins again, as if they had been written.
	Tell(ctx context.Context, p peer.ID, cids ...api.Cid) error
	// Index writes again what lists the pin beside the pinset: among the
	// pins that every peer holds, and among those that run out.
	Index(ctx context.Context, pin api.Pin, rev Revision) error
	// NoteBucket makes a bucket in which peer p has placements one of its
	// PlacementBuckets again.
	NoteBucket(ctx context.Context, p peer.ID, bucket int) error
	// DropStrays removes from one bucket of the pins that every peer holds
	// what is none and cannot become one by a write that is under way. If any
	// is left, it sees to it that the bucket is found.
	DropStrays(ctx context.Context, bucket int) (dropped int, err error)
}

// Follower lets one peer read the feed of another.
type Follower interface {
	// Follow opens the feed of a peer that does not read it itself, from where
	// that peer stopped. It moves no cursor: the changes come again to the
	// peer.
	Follow(ctx context.Context, p peer.ID) (Feed, error)
}
