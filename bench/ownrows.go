package main

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// ownChunk is how many rows travel in one batch.
const ownChunk = 50

// fillRetries is patient: what is measured comes after the fill, and a fill of
// minutes is not to be lost to one pause of the server.
func fillRetries() gocql.RetryPolicy {
	return &gocql.ExponentialBackoffRetryPolicy{NumRetries: 6, Min: time.Second, Max: 10 * time.Second}
}

// fillOwn writes n pins of a series that one peer holds, and what the peer notes of
// them, straight into the tables. There are no feed rows: their cursor has passed.
func fillOwn(ctx context.Context, db *scylla.DB, series string, n int, holder peer.ID) error {
	numbers := make([]uint64, n) // bucket and number
	for i := range numbers {
		s, err := newSample(series, i, holder)
		if err != nil {
			return err
		}
		numbers[i] = uint64(state.Bucket(s.pin.Cid))<<32 | uint64(i)
	}
	slices.Sort(numbers)
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fillWriters)
	noted := -1
	for len(numbers) > 0 && ctx.Err() == nil {
		bucket := int(numbers[0] >> 32)
		end := 1
		for end < min(ownChunk, len(numbers)) && int(numbers[end]>>32) == bucket {
			end++
		}
		some := numbers[:end]
		numbers = numbers[end:]
		isNew := bucket != noted
		noted = bucket
		g.Go(func() error { return fillBucket(ctx, db, series, bucket, some, isNew, holder) })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("filling the keyspace: %w", err)
	}
	return nil
}

// fillBucket writes some pins of one bucket, and notes the bucket if it is new.
func fillBucket(ctx context.Context, db *scylla.DB, series string, bucket int, numbers []uint64, isNew bool, holder peer.ID) error {
	pins, rows := db.Session.Batch(gocql.UnloggedBatch).WithContext(ctx), db.Session.Batch(gocql.UnloggedBatch).WithContext(ctx)
	for _, number := range numbers {
		s, err := newSample(series, int(uint32(number)), holder)
		if err != nil {
			return err
		}
		rev, now := gocql.TimeUUID(), time.Now()
		pins.Entries = append(pins.Entries, gocql.BatchEntry{Stmt: fillPin, Idempotent: true, Args: []any{rev, s.value, 1, 1, now, s.peers, s.cid}})
		rows.Entries = append(rows.Entries, gocql.BatchEntry{Stmt: putPlacement, Idempotent: true, Args: []any{
			now.UnixMicro(), rev, int8(state.PlacementPinned), now, 0, int64(1000), "", int(api.PinDepth(-1)), holder.String(), bucket, s.cid,
		}})
	}
	for _, b := range []*gocql.Batch{pins, rows} {
		if err := b.RetryPolicy(fillRetries()).Exec(); err != nil {
			return err
		}
	}
	if !isNew {
		return nil
	}
	return db.Session.Query(insertBucket, holder.String(), bucket).WithContext(ctx).Idempotent(true).RetryPolicy(fillRetries()).Exec()
}
