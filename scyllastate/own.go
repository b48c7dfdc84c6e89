package scyllastate

import (
	"bytes"
	"context"
	"fmt"
	"maps"
	"slices"
	"sync"

	"github.com/libp2p/go-libp2p/core/peer"
	"go.opencensus.io/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// ownReaders is how many groups of buckets ListOwn reads at the same time, once it
	// has come as far.
	ownReaders = 16
	// ownAhead is how many CIDs of each it reads ahead.
	ownAhead = placementsPage
)

var _ state.OwnPins = (*Store)(nil)

// ListOwn implements state.OwnPins. A CID is found by one of three ways: peer p has
// a placement of it, every peer holds it, or its change is in a feed that p has not
// read so far. Each of them is in the order of the CIDs within a bucket. Of a long
// backlog it keeps the changes of the first buckets, and reads the backlog again
// when it has come to the end of them.
func (s *Store) ListOwn(ctx context.Context, p peer.ID, after state.Place, f func(state.Own) error) error {
	ctx, span := trace.StartSpan(ctx, "state/scylla/ListOwn")
	defer span.End()

	return s.listOwn(ctx, p, after, s.ownBuckets, f)
}

// ListChanged implements state.OwnPins.
func (s *Store) ListChanged(ctx context.Context, p peer.ID, after state.Place, f func(state.Own) error) error {
	ctx, span := trace.StartSpan(ctx, "state/scylla/ListChanged")
	defer span.End()

	return s.listOwn(ctx, p, after, changedBuckets, f)
}

// ListPlaced implements state.OwnPins.
func (s *Store) ListPlaced(ctx context.Context, p peer.ID, after state.Place, f func(state.Own) error) error {
	ctx, span := trace.StartSpan(ctx, "state/scylla/ListPlaced")
	defer span.End()

	buckets, err := s.ownBuckets(ctx, p, nil)
	if err == nil {
		err = s.listBuckets(ctx, p, after, buckets, f)
	}
	return incomplete(p, err)
}

// incomplete is the error of a listing.
func incomplete(p peer.ID, err error) error {
	if err == nil {
		return nil
	}
	return answer(fmt.Errorf("listing the pins of peer %s, incomplete: %w", p, err))
}

// bucketsFunc returns the buckets in which there may be pins of a peer, in order.
type bucketsFunc func(ctx context.Context, p peer.ID, changed map[int][][]byte) ([]ownBucket, error)

func (s *Store) listOwn(ctx context.Context, p peer.ID, after state.Place, in bucketsFunc, f func(state.Own) error) error {
	for after.Bucket < state.Buckets {
		next, err := s.listOwnPass(ctx, p, after, in, f)
		if err != nil {
			return incomplete(p, err)
		}
		after = state.Place{Bucket: next}
	}
	return nil
}

// listOwnPass lists as many buckets as there are changes kept of, and returns the
// one to go on with.
func (s *Store) listOwnPass(ctx context.Context, p peer.ID, after state.Place, in bucketsFunc, f func(state.Own) error) (next int, err error) {
	// The changes come first. One that p has done by then has left a placement,
	// which is there when the buckets are read.
	changed, next, err := s.backlog(ctx, p, after.Bucket)
	if err != nil {
		return 0, err
	}
	buckets, err := in(ctx, p, changed)
	if err != nil {
		return 0, err
	}
	buckets = slices.DeleteFunc(buckets, func(b ownBucket) bool { return b.number >= next })
	return next, s.listBuckets(ctx, p, after, buckets, f)
}

// listBuckets lists what is in buckets of peer p behind a place, and reads ahead.
func (s *Store) listBuckets(ctx context.Context, p peer.ID, after state.Place, buckets []ownBucket, f func(state.Own) error) error {
	buckets = slices.DeleteFunc(buckets, func(b ownBucket) bool { return b.number < after.Bucket })
	ctx, cancel := context.WithCancel(ctx)
	var running sync.WaitGroup
	defer running.Wait()
	defer cancel()
	groups := &bucketGroups{rest: buckets}
	var streams []*ownStream // that have begun, and are not handed on
	begin := func() bool {
		group := groups.next()
		if len(group) == 0 {
			return false
		}
		stream := &ownStream{buckets: group, out: make(chan state.Own, ownAhead)}
		streams = append(streams, stream)
		running.Go(func() {
			defer close(stream.out)
			stream.err = s.readGroup(ctx, p, group, stream.send(ctx))
		})
		return true
	}
	begun := 0
	from := after.Cid.Bytes()
	for i := 0; ; i++ {
		for begun <= readAhead(i) && begin() {
			begun++
		}
		if len(streams) == 0 {
			return ctx.Err()
		}
		stream, rows := streams[0], 0
		streams = streams[1:]
		// The first group has one bucket, and no other one may begin before the place.
		partly := i == 0 && stream.buckets[0].number == after.Bucket && after.Cid.Defined()
		for own := range stream.out {
			rows++
			if partly && bytes.Compare(own.Cid.Bytes(), from) <= 0 {
				continue
			}
			if err := f(own); err != nil {
				return err
			}
		}
		if stream.err != nil {
			return stream.err
		}
		groups.took(len(stream.buckets), rows)
	}
}

// readAhead is the last group of buckets that is read while group i is handed on: few at
// first, because many lists end with the first bucket, up to ownReaders later.
func readAhead(i int) int { return i + min(i, ownReaders-1) }

// ownStream is what is read of some buckets. err is set before out is closed.
type ownStream struct {
	buckets []ownBucket
	out     chan state.Own
	err     error
}

// send returns a function for readOwn that waits while the reader is behind.
func (o *ownStream) send(ctx context.Context) func(state.Own) error {
	return func(own state.Own) error {
		select {
		case o.out <- own:
			return nil
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

// ownBucket says where in one bucket there may be pins of a peer.
type ownBucket struct {
	number             int
	placed, everywhere bool
	changed            [][]byte // sorted keys
}

// changedBuckets is a bucketsFunc for those with changes.
func changedBuckets(_ context.Context, _ peer.ID, changed map[int][][]byte) ([]ownBucket, error) {
	buckets := make([]ownBucket, 0, len(changed))
	for _, number := range slices.Sorted(maps.Keys(changed)) {
		buckets = append(buckets, ownBucket{number: number, changed: changed[number]})
	}
	return buckets, nil
}

// ownBuckets is a bucketsFunc for all.
func (s *Store) ownBuckets(ctx context.Context, p peer.ID, changed map[int][][]byte) ([]ownBucket, error) {
	placed, err := s.bucketsOf(ctx, p.String())
	if err != nil {
		return nil, err
	}
	everywhere, err := s.bucketsOf(ctx, everyPeer)
	if err != nil {
		return nil, err
	}
	all := make([]ownBucket, state.Buckets)
	for bucket, keys := range changed {
		all[bucket].changed = keys
	}
	for _, bucket := range placed {
		all[bucket].placed = true
	}
	for _, bucket := range everywhere {
		all[bucket].everywhere = true
	}
	var used []ownBucket
	for number, b := range all {
		b.number = number
		if b.placed || b.everywhere || len(b.changed) > 0 {
			used = append(used, b)
		}
	}
	return used, nil
}
