package state

import (
	"cmp"
	"context"
	"fmt"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Own is a CID that a peer may hold, shall hold or works on. The pin decides which,
// it may be gone.
type Own struct {
	Cid api.Cid
	// Placement is that of the peer, nil without one.
	Placement *Placement
	// Everywhere is set if the pin was one that every peer holds.
	Everywhere bool
	// Changed is set if the peer has not done a change of the CID, as far as its
	// stored position tells.
	Changed bool
}

// Place is a place in the order of a listing: by Bucket, and by the bytes of the
// CIDs in a bucket. An undefined CID is before all of its bucket.
type Place struct {
	Bucket int
	Cid    api.Cid
}

// PlaceOf is where a CID is.
func PlaceOf(c api.Cid) Place { return Place{Bucket: Bucket(c), Cid: c} }

// Compare is below 0 if p is before q, above 0 if it is behind q, and 0 if they are the
// same.
func (p Place) Compare(q Place) int {
	if c := cmp.Compare(p.Bucket, q.Bucket); c != 0 {
		return c
	}
	return strings.Compare(p.Cid.KeyString(), q.Cid.KeyString()) // the bytes, which are not copied
}

// OwnPins lists what one peer has to do with, without looking at the others' pins.
type OwnPins interface {
	// ListOwn calls f for each CID of peer p behind a place, in order and once,
	// from one goroutine, and ends with the first error of f. What changes
	// meanwhile may be missing or out of date. Memory does not depend on the
	// number of pins and of changes. If one bucket cannot be read the error is
	// a BucketError, and all before it was listed.
	ListOwn(ctx context.Context, p peer.ID, after Place, f func(Own) error) error
	// ListChanged is ListOwn for the CIDs with Changed only.
	ListChanged(ctx context.Context, p peer.ID, after Place, f func(Own) error) error
	// ListPlaced is ListOwn for the CIDs of which peer p has a placement or which
	// are Everywhere. It does not read the feeds: it leaves out what is only
	// Changed, and does not say what is.
	ListPlaced(ctx context.Context, p peer.ID, after Place, f func(Own) error) error
	// ListBucket is ListPlaced for one bucket, of which it reads nothing else.
	ListBucket(ctx context.Context, p peer.ID, bucket int, f func(Own) error) error
	// GetVersions is Conditional.GetVersion for many CIDs, for which it calls f in
	// their order: with ErrCorrupt for a pin that cannot be decoded. It calls f
	// for none if the pins cannot be read. Their number should be some hundreds.
	GetVersions(ctx context.Context, cids []api.Cid, f func(i int, pin *api.Pin, rev Revision, err error)) error
}

// BucketError says which bucket could not be listed.
type BucketError struct {
	Bucket int
	Err    error
}

func (e *BucketError) Error() string { return fmt.Sprintf("reading bucket %d: %s", e.Bucket, e.Err) }

func (e *BucketError) Unwrap() error { return e.Err }
