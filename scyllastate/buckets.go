package scyllastate

import (
	"crypto/sha256"
	"encoding/binary"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster/api"

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
