package state

import (
	"context"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// ExpiryShards is the number of parts that expiring pins are divided into.
const ExpiryShards = 16

// Expiries tells which pins may have run out. Every pin with an expiry is in
// it, from before it is in the pinset on. What it says may be out of date: the
// pin itself decides.
type Expiries interface {
	// Due calls f for each CID of one shard that runs out in (after, upTo],
	// and ends with the first error of f. The times are rounded outwards to
	// whole minutes.
	Due(ctx context.Context, shard int, after, upTo time.Time, f func(c api.Cid, due time.Time) error) error
	// DuePosition is the time up to which a shard is done, zero when nobody
	// has begun. SetDuePosition moves it.
	DuePosition(ctx context.Context, shard int) (time.Time, error)
	SetDuePosition(ctx context.Context, shard int, upTo time.Time) error
	// DueWindow is how long after its time a row may still appear: only what
	// is older is complete.
	DueWindow() time.Duration
}
