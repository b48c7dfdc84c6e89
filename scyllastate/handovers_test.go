package scyllastate

import (
	"context"
	"errors"
	"slices"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestHandedOver: what was handed over is noted for one removal of one peer, and
// every process reads it.
func TestHandedOver(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	a, b := statetest.Peer("a"), statetest.Peer("b")
	removed := time.Date(2026, 11, 29, 12, 0, 0, 123_456_789, time.UTC)
	want := func(s *Store, p peer.ID, removed time.Time, buckets ...int) {
		t.Helper()
		got, err := s.HandedOver(ctx, p, removed)
		if must(t, err); !slices.Equal(got, buckets) {
			t.Errorf("%d buckets of %s were handed over, want %d, or in another order", len(got), p, len(buckets))
		}
	}
	want(s, a, removed)
	must(t, s.MarkHandedOver(ctx, a, removed))
	want(s, a, removed)

	var many []int                                         // of more than two requests
	for bucket := 0; bucket < state.Buckets; bucket += 7 { // to the last one
		many = append(many, bucket)
	}
	backwards := slices.Clone(many)
	slices.Reverse(backwards)
	must(t, s.MarkHandedOver(ctx, a, removed, backwards...))
	must(t, s.MarkHandedOver(ctx, a, removed, 7, state.Buckets-2)) // 7 is there
	must(t, s.MarkHandedOver(ctx, b, removed, 3))
	many = append(many[:len(many)-1], state.Buckets-2, state.Buckets-1)
	for _, s := range []*Store{s, openQuick(t, &s.conf)} {
		want(s, a, removed, many...)
		want(s, a, removed.Truncate(time.Millisecond), many...) // as it is read from the table peers
		want(s, b, removed, 3)
		want(s, a, removed.Add(time.Millisecond))
	}
	// They say nothing of where there are placements.
	if used, err := s.PlacementBuckets(ctx, a); err != nil || len(used) > 0 {
		t.Errorf("the buckets %d of the peer are in use, %v", used, err)
	}

	if err := s.MarkHandedOver(ctx, b, removed, 4, state.Buckets); err == nil {
		t.Error("a bucket was noted that there is not")
	}
	want(s, b, removed, 3)
	ended, cancel := context.WithCancel(ctx)
	cancel()
	if err := s.MarkHandedOver(ended, b, removed, 4); !errors.Is(err, context.Canceled) {
		t.Errorf("a note that was not written: %v", err)
	}
	if buckets, err := s.HandedOver(ended, b, removed); !errors.Is(err, context.Canceled) {
		t.Errorf("notes that were not read: %d, %v", buckets, err)
	}
}

// TestCalledBackPeerHasNoNotes: the notes on a removal go with it, and those on
// others stay, as do those when the peer is not called back.
func TestCalledBackPeerHasNoNotes(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	removed := time.Now()
	was := member("a", incarnation(1))
	must(t, s.PutMember(ctx, was, state.Member{}))
	gone := was
	gone.Removed, gone.Incarnation = removed, incarnation(2)
	must(t, s.PutMember(ctx, gone, was))
	must(t, s.MarkHandedOver(ctx, was.ID, removed, 1, 2, 3))
	must(t, s.MarkHandedOver(ctx, was.ID, removed.Add(-time.Hour), 4))
	must(t, s.NoteBucket(ctx, was.ID, 5))
	want := func(what string, n int) {
		t.Helper()
		if got := countRows(t, s, "buckets"); got != n {
			t.Errorf("%s: the table has %d rows, want %d", what, got, n)
		}
	}
	want("removed", 5)
	gone.Addresses = nil
	must(t, s.PutMember(ctx, gone, gone))
	want("still removed", 5)
	back := member("a", incarnation(3))
	if err := s.PutMember(ctx, back, was); !errors.Is(err, state.ErrMemberChanged) {
		t.Fatalf("called back by somebody who does not know that it was removed: %v", err)
	}
	want("not called back", 5)
	must(t, s.PutMember(ctx, back, gone))
	want("called back", 2)
	must(t, s.PutMember(ctx, member("a", incarnation(4)), back))
	want("taken over", 2)
	if buckets, err := s.HandedOver(ctx, was.ID, removed); err != nil || len(buckets) > 0 {
		t.Errorf("%d are handed over, %v", buckets, err)
	}
}
