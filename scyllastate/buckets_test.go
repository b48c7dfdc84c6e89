package scyllastate

import (
	"fmt"
	"slices"
	"testing"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

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
		if b, s := state.Bucket(c), shardOf(c); b != tt.bucket || s != tt.shard {
			t.Errorf("%s is in bucket %d and shard %d, want %d and %d", tt.text, b, s, tt.bucket, tt.shard)
		}
	}
	for i := range 1000 {
		c := statetest.Cid(string(rune(i)))
		if b, s := state.Bucket(c), shardOf(c); b < 0 || b >= state.Buckets || s < 0 || s >= state.ExpiryShards {
			t.Fatalf("%s is in bucket %d and shard %d", c, b, s)
		}
	}
}

// inBuckets returns one CID for each of so many buckets, in their order.
func inBuckets(t *testing.T, n int) []api.Cid {
	t.Helper()
	cids := make([]api.Cid, 0, n)
	for i := 0; len(cids) < n; i++ {
		c := statetest.Cid(fmt.Sprint("in a bucket ", i))
		if !slices.ContainsFunc(cids, func(other api.Cid) bool { return state.Bucket(other) == state.Bucket(c) }) {
			cids = append(cids, c)
		}
	}
	slices.SortFunc(cids, func(a, b api.Cid) int { return state.Bucket(a) - state.Bucket(b) })
	return cids
}

// TestPlacementBuckets: the buckets in use are known, also to other processes,
// and noted once.
func TestPlacementBuckets(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	a, b := statetest.Peer("a"), statetest.Peer("b")
	want := func(s *Store, p peer.ID, cids ...api.Cid) {
		t.Helper()
		var buckets []int
		for _, c := range cids {
			buckets = append(buckets, state.Bucket(c))
		}
		got, err := s.PlacementBuckets(ctx, p)
		if must(t, err); !slices.Equal(got, buckets) {
			t.Errorf("%s uses the buckets %d, want %d", p, got, buckets)
		}
	}
	put := func(p peer.ID, c api.Cid) {
		t.Helper()
		must(t, s.PutPlacement(ctx, p, state.Placement{Cid: c, Status: state.PlacementQueued}))
	}
	cids := inBuckets(t, 4)
	want(s, a)
	for _, i := range []int{2, 0, 1} {
		put(a, cids[i])
	}
	put(b, cids[3])
	must(t, s.indexEverywhere(ctx, cids[1], gocql.TimeUUID()))
	must(t, s.DropPlacement(ctx, a, cids[0])) // its bucket may have others
	other := openQuick(t, &s.conf)
	for _, s := range []*Store{s, other} {
		want(s, a, cids[:3]...)
		want(s, b, cids[3])
	}
	everywhere, err := s.bucketsOf(ctx, everyPeer)
	if must(t, err); !slices.Equal(everywhere, []int{state.Bucket(cids[1])}) {
		t.Errorf("everywhere uses %d", everywhere)
	}

	must(t, s.db.Session.Query("TRUNCATE buckets").Exec())
	put(a, cids[2])
	must(t, s.indexEverywhere(ctx, cids[1], gocql.TimeUUID()))
	want(s, a) // it was known to be noted
	put(a, cids[2])
	want(s, a, cids[2]) // and then not any more
	must(t, s.NoteBucket(ctx, a, state.Bucket(cids[1])))
	want(s, a, cids[1], cids[2])
	for _, c := range cids[:2] { // there is nothing in the first one
		if _, err := s.DropStrays(ctx, state.Bucket(c)); err != nil {
			t.Fatal(err)
		}
	}
	if everywhere, err = s.bucketsOf(ctx, everyPeer); err != nil || !slices.Equal(everywhere, []int{state.Bucket(cids[1])}) {
		t.Errorf("everywhere uses %d after a scrub, %v", everywhere, err)
	}
	if err := s.NoteBucket(ctx, a, state.Buckets); err == nil {
		t.Error("a bucket was noted that there is not")
	}
}

// TestBucketIsNotedFirst: no row is written that nobody would find.
func TestBucketIsNotedFirst(t *testing.T) {
	s := openStore(t, freshConfig(t)) // loses a table
	ctx := t.Context()
	a, c := statetest.Peer("a"), statetest.Cid("x")
	must(t, s.db.Session.Query("DROP TABLE buckets").Exec())
	for range 2 { // what failed once is not taken for done
		if err := s.PutPlacement(ctx, a, state.Placement{Cid: c, Status: state.PlacementQueued}); err == nil {
			t.Error("a placement was stored in a bucket that could not be noted")
		}
		if err := s.Add(ctx, everywherePin(c)); err == nil {
			t.Error("a pin of every peer was stored in a bucket that could not be noted")
		}
	}
	for _, table := range []string{"placements", "everywhere", "pins"} {
		if n := countRows(t, s, table); n != 0 {
			t.Errorf("%s has %d rows", table, n)
		}
	}
	if err := s.ListOwn(ctx, a, state.Place{}, func(state.Own) error { return nil }); err == nil {
		t.Error("what a peer holds was listed without its buckets")
	}
	if _, err := s.PlacementBuckets(ctx, a); err == nil {
		t.Error("the buckets of a peer were read")
	}
}
