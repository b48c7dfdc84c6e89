package scyllastate

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"slices"
	"sync"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// bucketOf is the bucket of a CID: the first 12 bits of the SHA-256 of all its
// bytes. The bytes themselves would not do: a CID may carry its content as it
// is. Stored rows depend on it, it never changes.
func bucketOf(c api.Cid) int { return int(hashOf(c) >> (16 - 12)) }

// shardOf is the shard of a CID in expiries: the first 4 bits of the same hash.
func shardOf(c api.Cid) int { return int(hashOf(c) >> (16 - 4)) }

func hashOf(c api.Cid) uint16 {
	sum := sha256.Sum256(c.Bytes())
	return binary.BigEndian.Uint16(sum[:])
}

func checkBucket(bucket int) error {
	if bucket < 0 || bucket >= state.Buckets {
		return fmt.Errorf("there is no bucket %d, only 0 to %d", bucket, state.Buckets-1)
	}
	return nil
}

func checkShard(shard int) error {
	if shard < 0 || shard >= state.ExpiryShards {
		return fmt.Errorf("there is no shard %d of the expiries, only 0 to %d", shard, state.ExpiryShards-1)
	}
	return nil
}

// everywhereList names the table everywhere in the table buckets.
const everywhereList = "*"

// bucketsPage takes all buckets of a list at once.
const bucketsPage = state.Buckets

// PlacementBuckets implements state.Placements.
func (s *Store) PlacementBuckets(ctx context.Context, p peer.ID) ([]int, error) {
	return s.bucketsOf(ctx, p.String())
}

// bucketsOf returns the buckets that were noted for a list, in order.
func (s *Store) bucketsOf(ctx context.Context, list string) ([]int, error) {
	ctx = scylla.WithTrail(ctx)
	iter := s.db.Query(selectBuckets, list).
		WithContext(ctx).Consistency(gocql.Quorum).Idempotent(true).PageSize(bucketsPage).Iter()
	var buckets []int
	var bucket int
	for iter.Scan(&bucket) {
		if checkBucket(bucket) == nil { // a later version may have more
			buckets = append(buckets, bucket)
		}
	}
	if err := iter.Close(); err != nil {
		return nil, fmt.Errorf("reading which buckets of %s are in use: %w", list, scylla.Describe(ctx, err))
	}
	return buckets, nil
}

// noteBucket makes the bucket of a list one of bucketsOf. It is called before a
// row is written there, and asks the database once for each bucket.
func (s *Store) noteBucket(ctx context.Context, list string, bucket int) error {
	if s.noted.has(list, bucket) {
		return nil
	}
	ctx = scylla.WithTrail(ctx)
	err := s.db.Query(insertBucket, list, bucket).
		WithContext(ctx).Consistency(gocql.Quorum).Idempotent(true).Exec()
	if err != nil {
		return fmt.Errorf("noting that bucket %d of %s is in use: %w", bucket, list, scylla.Describe(ctx, err))
	}
	s.noted.add(list, bucket)
	return nil
}

// union returns what is in any of the lists, once each and in order.
func union(lists ...[]int) []int {
	all := slices.Concat(lists...)
	slices.Sort(all)
	return slices.Compact(all)
}

// notedBuckets are the buckets that this process has noted. The zero value has
// none. It is safe for concurrent use.
type notedBuckets struct {
	mu    sync.RWMutex
	lists map[string]*[state.Buckets]bool
}

func (n *notedBuckets) has(list string, bucket int) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	noted := n.lists[list]
	return noted != nil && noted[bucket]
}

func (n *notedBuckets) add(list string, bucket int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.lists == nil {
		n.lists = make(map[string]*[state.Buckets]bool)
	}
	if n.lists[list] == nil {
		n.lists[list] = new([state.Buckets]bool)
	}
	n.lists[list][bucket] = true
}
