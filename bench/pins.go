package main

import (
	"context"
	"crypto/sha256"
	"fmt"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multihash"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// slotSeconds is the length of one partition of a feed (scyllastate has it as
// a constant of the schema).
const slotSeconds = 60

const kindPin, kindUnpin int8 = 1, 2

// sample is a pin with everything that the bare driver loop needs of it, so
// that the loop does nothing but send.
type sample struct {
	pin   api.Pin
	cid   []byte
	value []byte
	peers []string
}

// newSample makes the i-th pin of a series. Equal arguments give one CID.
func newSample(series string, i int, holders ...peer.ID) (*sample, error) {
	hash, err := multihash.Sum(fmt.Appendf(nil, "%s %d", series, i), multihash.SHA2_256, -1)
	if err != nil {
		return nil, fmt.Errorf("hashing: %w", err)
	}
	pin := api.PinWithOpts(api.NewCid(cid.NewCidV1(cid.Raw, hash)), api.PinOptions{
		ReplicationFactorMin: len(holders), ReplicationFactorMax: len(holders), Name: fmt.Sprintf("%s %d", series, i),
	})
	pin.Allocations = holders
	pin.Timestamp = time.Now()
	s := &sample{pin: pin, cid: pin.Cid.Bytes()}
	for _, h := range holders {
		s.peers = append(s.peers, h.String())
	}
	if s.value, err = pin.ProtoMarshal(); err != nil {
		return nil, fmt.Errorf("encoding a pin: %w", err)
	}
	return s, nil
}

// newPeers makes the IDs of n peers that do not exist.
func newPeers(n int) ([]peer.ID, error) {
	var out []peer.ID
	for i := range n {
		digest := sha256.Sum256(fmt.Appendf(nil, "peer %d", i))
		hash, err := multihash.Encode(digest[:], multihash.SHA2_256)
		if err != nil {
			return nil, fmt.Errorf("making a peer ID: %w", err)
		}
		id, err := peer.IDFromBytes(hash)
		if err != nil {
			return nil, fmt.Errorf("making a peer ID: %w", err)
		}
		out = append(out, id)
	}
	return out, nil
}

const (
	fillWriters = 64
	// fillChunk is how many feed rows travel in one batch.
	fillChunk = 200
)

// fill writes n pins of a series straight into the tables: the rows that
// Store.Add leaves, feed rows included, but without a read and without a
// condition, which takes a tenth of the time.
func fill(ctx context.Context, db *scylla.DB, series string, n int, holders ...peer.ID) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fillWriters)
	for from := 0; from < n; from += fillChunk { // after an error each ends at once
		g.Go(func() error { return fillSome(ctx, db, series, from, min(from+fillChunk, n), holders) })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("filling the keyspace: %w", err)
	}
	return nil
}

func fillSome(ctx context.Context, db *scylla.DB, series string, from, to int, holders []peer.ID) error {
	batches := make(map[string]*gocql.Batch)
	for _, h := range holders {
		batches[h.String()] = db.Session.Batch(gocql.UnloggedBatch).WithContext(ctx)
	}
	for i := from; i < to; i++ {
		s, err := newSample(series, i, holders...)
		if err != nil {
			return err
		}
		rev, now := gocql.TimeUUID(), time.Now()
		if err := db.Session.Query(fillPin, rev, s.value, len(holders), len(holders), now, s.peers, s.cid).
			WithContext(ctx).Idempotent(true).Exec(); err != nil {
			return err
		}
		for feed, b := range batches {
			b.Entries = append(b.Entries, gocql.BatchEntry{Stmt: insertChange, Idempotent: true,
				Args: []any{feed, now.Unix() / slotSeconds, gocql.TimeUUID(), s.cid, rev, gocql.UnsetValue, kindPin, gocql.UnsetValue}})
		}
	}
	for _, b := range batches {
		if err := b.Exec(); err != nil {
			return err
		}
	}
	return nil
}
