package ledger

import (
	"context"
	"fmt"
	"maps"
	"slices"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Place is that of a claim among those of its owner, in an order that never changes. The zero Place
// is before all of them.
type Place struct {
	Bucket    int
	RequestID string
}

// PlaceOf is the place of a claim.
func (k Key) PlaceOf() Place { return Place{k.partition().bucket, k.RequestID} }

// ClaimsAfter returns up to n claims of an owner that come after a place, also those that have
// ended, and whether there are more. It reads partitions, of which an owner has 4096, 64 at a time,
// until it has enough: all of them for an owner with few claims, which takes half a second.
func (s *Store) ClaimsAfter(ctx context.Context, owner string, after Place, n int) (found []Claim, more bool, err error) {
	for begin := after.Bucket; begin < claimBuckets && len(found) <= n; begin += width {
		some := make([][]Claim, min(width, claimBuckets-begin))
		buckets := make([]int, len(some))
		for i := range buckets {
			buckets[i] = begin + i
		}
		err := each(ctx, buckets, func(ctx context.Context, bucket int) error {
			from := ""
			if bucket == after.Bucket {
				from = after.RequestID
			}
			rows := s.db.Rows(ctx, gocql.Quorum, min(n+1, page), scylla.Bind(selectClaimsAfter, owner, bucket, from, n+1))
			return eachClaim(rows, owner, func(c Claim) error {
				some[bucket-begin] = append(some[bucket-begin], c)
				return nil
			})
		})
		if err != nil {
			return nil, false, fmt.Errorf("reading the claims of %q: %w", owner, err)
		}
		for _, all := range some {
			found = append(found, all...)
		}
	}
	if len(found) > n {
		return found[:n], true, nil
	}
	return found, false, nil
}

// Owners returns those who have days, or had facts on one of some days that are not closed, sorted.
// It reads the table of their months whole, and has all of them in memory.
func (s *Store) Owners(ctx context.Context, open []int64) ([]string, error) {
	known := make(map[string]bool)
	note := func(owner string) error {
		known[owner] = true
		return nil
	}
	if err := s.EachOwner(ctx, note); err != nil {
		return nil, err
	}
	for _, day := range open {
		for shard := range Shards {
			if err := s.EachActive(ctx, day, shard, note); err != nil {
				return nil, err
			}
		}
	}
	return slices.Sorted(maps.Keys(known)), nil
}

// Consumers keeps how far consumers of the events of a cluster are. It is safe for concurrent use.
type Consumers struct{ store *Store }

// Consumers returns what keeps how far consumers are, as a consume.State.
func (s *Store) Consumers() Consumers { return Consumers{s} }

// Load returns what was saved last under a name, nil if there is nothing.
func (c Consumers) Load(ctx context.Context, name string) (state []byte, err error) {
	_, err = c.store.db.Read(ctx, gocql.Quorum, scylla.Bind(selectConsumer, name), &state)
	return state, wrap(err, "reading how far the consumer %q is", name)
}

// Save replaces it. It is durable when Save has returned nil.
func (c Consumers) Save(ctx context.Context, name string, state []byte) error {
	return wrap(c.store.db.WriteAll(ctx, []scylla.Statement{scylla.Bind(updateConsumer, state, name)}), "saving how far the consumer %q is", name)
}
