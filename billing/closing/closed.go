package closing

import (
	"context"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

// closedDays knows which days are closed. It is safe for concurrent use.
type closedDays struct {
	store *ledger.Store
	first int64
	now   func() time.Time

	mu    sync.Mutex
	known map[int]int64 // the last day of a shard that is known to be closed
}

func newClosedDays(store *ledger.Store, first time.Time, now func() time.Time) *closedDays {
	return &closedDays{store: store, first: usage.DayOf(first.UnixMilli()), now: now, known: make(map[int]int64)}
}

// last returns the last day of a shard that is closed, in days since 1970: that before the first
// one if there is none. It reads one row more than days were closed since it was asked last, and
// the first time one for each day that is not closed.
func (c *closedDays) last(ctx context.Context, shard int) (int64, error) {
	c.mu.Lock()
	day, known := c.known[shard]
	c.mu.Unlock()
	for try := max(usage.DayOf(c.now().UnixMilli()), c.first-1); !known; try-- {
		if day = try; day < c.first {
			break
		}
		p, err := c.store.Progress(ctx, day, shard)
		if err != nil {
			return 0, err
		}
		known = p.Closed
	}
	for known {
		p, err := c.store.Progress(ctx, day+1, shard)
		if err != nil {
			return 0, err
		}
		if !p.Closed {
			break
		}
		day++
	}
	c.note(shard, day)
	return day, nil
}

// note says that a day is closed, and those before it.
func (c *closedDays) note(shard int, day int64) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if known, ok := c.known[shard]; !ok || day > known {
		c.known[shard] = day
	}
}
