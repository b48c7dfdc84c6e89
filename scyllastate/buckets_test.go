package scyllastate

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func decodeCid(t *testing.T, text string) api.Cid {
	t.Helper()
	c, err := api.DecodeCid(text)
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestBuckets holds the buckets of some CIDs against those that sha256sum gives
// for their bytes. Stored rows are found by them: they may never change.
func TestBuckets(t *testing.T) {
	for _, tt := range []struct {
		text   string
		bucket int
		shard  int
	}{
		{"QmYwAPJzv5CZsnA625s3Xf2nemtYgPpHdWEz79ojWP7ZYF", 469, 1},
		{"bafkqaddimvwgy3zao5xxe3debi", 1757, 6},
		{"bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy", 1710, 6},
		{"bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi", 634, 2},
		{"zdj7WWeQ43G6JJvLWQWZpyHuAMq6uYWRjkBXFad11vE2LHhQ7", 199, 0},
	} {
		c := decodeCid(t, tt.text)
		if b, s := bucketOf(c), shardOf(c); b != tt.bucket || s != tt.shard {
			t.Errorf("%s is in bucket %d and shard %d, want %d and %d", tt.text, b, s, tt.bucket, tt.shard)
		}
	}
	for i := range 1000 {
		c := statetest.Cid(string(rune(i)))
		if b, s := bucketOf(c), shardOf(c); b < 0 || b >= state.Buckets || s < 0 || s >= state.ExpiryShards {
			t.Fatalf("%s is in bucket %d and shard %d", c, b, s)
		}
	}
}
