package relay

import (
	"sync/atomic"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Stats is what a Relay has done since it was made.
type Stats struct {
	// Usable is whether the streams could be used when they were looked at last, Refused
	// how often they could not.
	Usable  bool
	Refused uint64
	// Shards is how many it has now.
	Shards int
	// Published are the events that the stream has acknowledged, Replayed those that were
	// told again.
	Published, Replayed uint64
	// Malformed are the rows of feeds that cannot be told, each counted once, Failures the batches that could not
	// be published and were tried again.
	Malformed, Failures uint64
}

type counters struct {
	isUsable                                          atomic.Bool
	held                                              atomic.Int64
	refused, published, replayed, malformed, failures atomic.Uint64
	// through is up to when the events of each shard are told that the Relay has, zero for the others, in
	// nanoseconds of Unix time.
	through [state.EventShards]atomic.Int64
}

// toldThrough notes up to when the events of a shard are told.
func (c *counters) toldThrough(shard int, through time.Time) {
	c.through[shard].Store(through.UnixNano())
}

// left notes that the Relay has a shard no more.
func (c *counters) left(shard int) { c.through[shard].Store(0) }

// lag is how long ago that is, of the shard that is furthest behind.
func (c *counters) lag(now time.Time) time.Duration {
	var lag time.Duration
	for i := range c.through {
		if through := c.through[i].Load(); through != 0 {
			lag = max(lag, now.Sub(time.Unix(0, through)))
		}
	}
	return lag
}

// Stats returns what the Relay has done. It may be called at any time.
func (r *Relay) Stats() Stats {
	s := &r.stats
	return Stats{
		Usable: s.isUsable.Load(), Refused: s.refused.Load(), Shards: int(s.held.Load()),
		Published: s.published.Load(), Replayed: s.replayed.Load(),
		Malformed: s.malformed.Load(), Failures: s.failures.Load(),
	}
}
