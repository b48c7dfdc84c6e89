package scyllastate

import (
	"bytes"
	"errors"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestListBucket lists what is in one bucket, in order, and nothing of its
// neighbours, of other peers and of the feed.
func TestListBucket(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	a, b := statetest.Peer("a"), statetest.Peer("b")
	cids := cidsIn(t, 9, 6)
	slices.SortFunc(cids, func(a, b api.Cid) int { return bytes.Compare(a.Bytes(), b.Bytes()) })
	row, list := func(c api.Cid) { place(t, s, a, api.PinCid(c), state.PlacementQueued) }, func(c api.Cid) { must(t, s.indexEverywhere(ctx, c, gocql.TimeUUID())) }
	row(cids[4])
	list(cids[3])
	row(cids[2])
	list(cids[2])
	row(cids[0])
	place(t, s, b, api.PinCid(cids[1]), state.PlacementPinned)
	changed := held("changed", a)
	changed.Cid = cids[5]
	setCursor(t, s, a, time.Now().Add(-s.lim.window()))
	must(t, s.Add(ctx, changed))
	for _, bucket := range []int{8, 10} {
		row(cidsIn(t, bucket, 1)[0])
		list(cidsIn(t, bucket, 1)[0])
	}

	var got []state.Own
	must(t, s.ListBucket(ctx, a, 9, func(own state.Own) error {
		got = append(got, own)
		return nil
	}))
	want := []state.Own{{Cid: cids[0]}, {Cid: cids[2], Everywhere: true}, {Cid: cids[3], Everywhere: true}, {Cid: cids[4]}}
	if !slices.EqualFunc(got, want, func(got, want state.Own) bool {
		placed := got.Placement != nil && got.Placement.Cid == got.Cid && got.Placement.Status == state.PlacementQueued
		return got.Cid == want.Cid && got.Everywhere == want.Everywhere && !got.Changed && placed == (want.Cid != cids[3])
	}) {
		t.Errorf("listed are %+v", got)
	}

	var placed []state.Own
	must(t, s.ListPlaced(ctx, a, state.Place{Bucket: 9, Cid: cids[0]}, func(own state.Own) error {
		placed = append(placed, own)
		return nil
	}))
	same := func(a, b state.Own) bool { return a.Cid == b.Cid && a.Everywhere == b.Everywhere && !a.Changed }
	if len(placed) != len(got) || !slices.EqualFunc(placed[:len(got)-1], got[1:], same) || state.Bucket(placed[len(got)-1].Cid) != 10 {
		t.Errorf("behind the first one are %+v", placed)
	}

	enough, n := errors.New("enough"), 0
	if err := s.ListBucket(ctx, a, 9, func(state.Own) error { n++; return enough }); !errors.Is(err, enough) || n != 1 {
		t.Errorf("it goes on after an error, %d times, and ends with %v", n, err)
	}
	none := func(state.Own) error { return nil }
	if err := s.ListBucket(ctx, a, state.Buckets, none); err == nil {
		t.Error("there is a bucket behind the last one")
	}
	s.db.Close()
	var bad *state.BucketError
	if err := s.ListBucket(ctx, a, 9, none); !errors.As(err, &bad) || bad.Bucket != 9 {
		t.Errorf("without a database: %v", err)
	}
}

// TestListBucketCost: a bucket costs two requests, and a list of none as many, however
// long the backlog is.
func TestListBucketCost(t *testing.T) {
	s := newTestStore(t)
	a := statetest.Peer("a")
	setCursor(t, s, a, time.Now().Add(-feedTTL/2))
	const buckets = 50 // beside which what the store does by itself does not show
	none := func(state.Own) error { return nil }
	for name, list := range map[string]func(bucket int) error{
		"ListBucket": func(bucket int) error { return s.ListBucket(t.Context(), a, bucket, none) },
		"ListPlaced": func(bucket int) error { return s.ListPlaced(t.Context(), a, state.Place{Bucket: bucket}, none) },
	} {
		requests := &requestCount{}
		s.db.Session.SetTrace(requests)
		for bucket := range buckets {
			must(t, list(bucket))
		}
		s.db.Session.SetTrace(nil)
		if n := requests.Load() / buckets; n != 2 {
			t.Errorf("%s: %d requests for %d calls", name, requests.Load(), buckets)
		}
	}
}

// requestCount counts the requests of a session.
type requestCount struct{ atomic.Int64 }

// Trace implements gocql.Tracer.
func (r *requestCount) Trace([]byte) { r.Add(1) }
