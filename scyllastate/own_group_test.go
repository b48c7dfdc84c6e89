package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"testing"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestBucketGroups: each bucket is in one group, in order, and the groups are as large
// as half a page allows, however many pins there are.
func TestBucketGroups(t *testing.T) {
	all := make([]ownBucket, state.Buckets)
	for i := range all {
		all[i].number = i
	}
	for _, tt := range []struct{ rows, most int }{ // in each bucket
		{0, state.Buckets/maxGroup + 3}, {1, state.Buckets/maxGroup + 3}, {5, state.Buckets/50 + 4}, {100, state.Buckets/2 + 2}, {700, state.Buckets},
	} {
		g := &bucketGroups{rest: all}
		groups, next := 0, 0
		for group := g.next(); len(group) > 0; group = g.next() {
			if groups++; groups == 1 && len(group) > 1 {
				t.Errorf("%d rows in a bucket: a list that ends with the first bucket reads %d", tt.rows, len(group))
			}
			if n := len(group); n > maxGroup || n > 1 && n*tt.rows > placementsPage {
				t.Errorf("%d rows in a bucket: %d buckets together", tt.rows, n)
			}
			for _, b := range group {
				if b.number != next {
					t.Fatalf("%d rows in a bucket: bucket %d comes after %d", tt.rows, b.number, next-1)
				}
				next++
			}
			g.took(len(group), tt.rows*len(group))
		}
		if groups > tt.most || next != state.Buckets {
			t.Errorf("%d rows in a bucket: %d groups, want at most %d; %d buckets", tt.rows, groups, tt.most, next)
		}
	}
}

// placeMany lets a peer hold CIDs, some of which every peer holds, and some only by
// that, and returns what a listing has to say of them.
func placeMany(t *testing.T, s *Store, p peer.ID, cids []api.Cid) []state.Own {
	t.Helper()
	placed := make([]state.Own, len(cids))
	var g errgroup.Group
	g.SetLimit(64)
	for i, c := range cids {
		g.Go(func() error {
			placed[i] = state.Own{Cid: c, Everywhere: i%2 == 1}
			if i%4 != 3 {
				row := state.Placement{Cid: c, Status: state.PlacementPinned, Size: int64(i + 1)}
				if err := s.PutPlacement(context.Background(), p, row); err != nil {
					return err
				}
				placed[i].Placement = &row
			}
			if i%2 == 1 {
				return s.indexEverywhere(context.Background(), c, gocql.TimeUUID())
			}
			return nil
		})
	}
	must(t, g.Wait())
	return placed
}

// TestListPlacedInGroups: a peer with few pins in each bucket reads many buckets with a
// request, and lists what is in each of them. A bucket that does not fit is read by
// itself.
func TestListPlacedInGroups(t *testing.T) {
	s := newTestStore(t)
	a := statetest.Peer("a")
	const many, full = 1500, 700
	cids := make([]api.Cid, many)
	for i := range cids {
		cids[i] = statetest.Cid(fmt.Sprint("own ", i))
	}
	want := placeMany(t, s, a, cids)
	list := func() (got []state.Own, requests int64) {
		counted := &requestCount{}
		s.db.Session.SetTrace(counted)
		defer s.db.Session.SetTrace(nil)
		must(t, s.ListPlaced(t.Context(), a, state.Place{}, func(own state.Own) error {
			got = append(got, own)
			return nil
		}))
		return got, counted.Load()
	}
	check := func(what string, most int64) {
		t.Helper()
		got, requests := list()
		slices.SortFunc(want, func(a, b state.Own) int { return state.PlaceOf(a.Cid).Compare(state.PlaceOf(b.Cid)) })
		if !slices.EqualFunc(got, want, equalOwn) {
			t.Errorf("%s: %d are listed, which are not the %d that are there, in order", what, len(got), len(want))
		}
		if t.Logf("%s: %d requests for %d pins", what, requests, len(got)); requests > most {
			t.Errorf("%s: %d requests, want at most %d", what, requests, most)
		}
	}
	check("few in each bucket", many/20)

	bucket := state.Bucket(cids[many/2])
	more := cidsIn(t, bucket, full)
	want = append(want, placeMany(t, s, a, more)...)
	check("one bucket is full", many/20+3*maxGroup)
}

// equalOwn compares all that a listing without changes tells.
func equalOwn(a, b state.Own) bool {
	if a.Cid != b.Cid || a.Everywhere != b.Everywhere || a.Changed != b.Changed || (a.Placement == nil) != (b.Placement == nil) {
		return false
	}
	return a.Placement == nil || a.Placement.Cid == b.Placement.Cid && a.Placement.Status == b.Placement.Status && a.Placement.Size == b.Placement.Size
}

// TestGroupNamesTheBucket: buckets that cannot be read together are read one by one, so
// that the error is that of one bucket.
func TestGroupNamesTheBucket(t *testing.T) {
	s := newTestStore(t)
	s.db.Close()
	group := []ownBucket{{number: 5, changed: [][]byte{statetest.Cid("a").Bytes()}}, {number: 6, placed: true}, {number: 7, placed: true, everywhere: true}}
	listed := 0
	err := s.readGroup(t.Context(), statetest.Peer("a"), group, func(state.Own) error { listed++; return nil })
	var bad *state.BucketError
	if !errors.As(err, &bad) || bad.Bucket != 6 || listed != 1 {
		t.Errorf("%d were listed, and then: %v", listed, err)
	}
}
