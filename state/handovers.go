package state

import (
	"context"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// HandOvers are notes on how far the pins of removed peers were given to others,
// so that what such a peer held is looked through once, whoever starts or stops
// later. A note is on one removal of a peer, which the time of it tells to the
// millisecond: it says nothing of the next one. The notes on a removal go, sooner
// or later, when the peer is called back. They may be read and written by several
// processes at once.
type HandOvers interface {
	// MarkHandedOver notes that the placements of peer p in the buckets have
	// been seen to since the peer was removed. That is durable when it returns
	// nil; after an error some of the buckets may be noted. It may be called again.
	MarkHandedOver(ctx context.Context, p peer.ID, removed time.Time, buckets ...int) error
	// HandedOver returns the buckets that were noted, in order.
	HandedOver(ctx context.Context, p peer.ID, removed time.Time) ([]int, error)
}
