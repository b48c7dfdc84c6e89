package scyllastate

import (
	"context"
	"fmt"
	"sync"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// shardOf is the shard of a CID in expiries: the first 4 bits of the hash that the
// bucket is taken from.
func shardOf(c api.Cid) int { return state.Bucket(c) >> (12 - 4) }

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

// everyPeer names the table everywhere in the table buckets. Other holders are
// peers, and removals of peers: see handedOver.
const everyPeer = "*"

// PlacementBuckets implements state.Placements.
func (s *Store) PlacementBuckets(ctx context.Context, p peer.ID) ([]int, error) {
	return s.bucketsOf(ctx, p.String())
}

// NoteBucket implements state.Scrubber.
func (s *Store) NoteBucket(ctx context.Context, p peer.ID, bucket int) error {
	if err := checkBucket(bucket); err != nil {
		return err
	}
	return s.insertBucket(ctx, p.String(), bucket)
}

// bucketsOf returns the buckets that were noted for a holder, in order.
func (s *Store) bucketsOf(ctx context.Context, holder string) ([]int, error) {
	buckets, err := s.readBuckets(ctx, holder)
	if err != nil {
		return nil, fmt.Errorf("reading which buckets of %s are in use: %w", holder, err)
	}
	s.noted.set(holder, buckets)
	return buckets, nil
}

func (s *Store) readBuckets(ctx context.Context, holder string) ([]int, error) {
	rows := s.db.Rows(ctx, gocql.Quorum, state.Buckets, scylla.Bind(selectBuckets, holder))
	var buckets []int
	var bucket int
	for rows.Next(&bucket) {
		if err := checkBucket(bucket); err != nil {
			logger.Errorf("passing over a row of the table buckets under the holder %q: %s", holder, err)
			continue
		}
		buckets = append(buckets, bucket)
	}
	if err := rows.Close(); err != nil {
		return nil, err
	}
	return buckets, nil
}

// noteBucket makes the bucket of a holder one of bucketsOf. It is called before a
// row is written there, and writes only what this process does not know to be
// noted.
func (s *Store) noteBucket(ctx context.Context, holder string, bucket int) error {
	if s.noted.has(holder, bucket) {
		return nil
	}
	return s.insertBucket(ctx, holder, bucket)
}

func (s *Store) insertBucket(ctx context.Context, holder string, bucket int) error {
	if err := s.tables.noteBucket(ctx, holder, bucket); err != nil {
		return fmt.Errorf("noting that bucket %d of %s is in use: %w", bucket, holder, err)
	}
	s.noted.add(holder, bucket)
	return nil
}

// notedBuckets are the buckets that this process knows to be noted, by holder. A
// read of all of a holder begins them anew: what the database lost is written
// again. The zero value has none. It is safe for concurrent use.
type notedBuckets struct {
	mu      sync.RWMutex
	holders map[string]*[state.Buckets]bool
}

func (n *notedBuckets) has(holder string, bucket int) bool {
	n.mu.RLock()
	defer n.mu.RUnlock()
	noted := n.holders[holder]
	return noted != nil && noted[bucket]
}

func (n *notedBuckets) add(holder string, bucket int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.holders[holder] == nil {
		n.begin(holder)
	}
	n.holders[holder][bucket] = true
}

func (n *notedBuckets) set(holder string, buckets []int) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.begin(holder)
	for _, bucket := range buckets {
		n.holders[holder][bucket] = true
	}
}

// begin forgets what was noted of a holder. The caller has the lock.
func (n *notedBuckets) begin(holder string) {
	if n.holders == nil {
		n.holders = make(map[string]*[state.Buckets]bool)
	}
	n.holders[holder] = new([state.Buckets]bool)
}
