package scyllastate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// handOverBatch is the number of notes in one request, of some 100 bytes each.
const handOverBatch = 256

var _ state.HandOvers = (*Store)(nil)

// handedOver names the removal of a peer in the table buckets. No peer ID has a
// slash.
func handedOver(p peer.ID, removed time.Time) string {
	return fmt.Sprintf("handed over/%s/%d", p, removed.UnixMilli())
}

// MarkHandedOver implements state.HandOvers.
func (s *Store) MarkHandedOver(ctx context.Context, p peer.ID, removed time.Time, buckets ...int) error {
	for _, bucket := range buckets {
		if err := checkBucket(bucket); err != nil {
			return err
		}
	}
	holder := handedOver(p, removed)
	for some := range slices.Chunk(buckets, handOverBatch) {
		notes := make([]scylla.Statement, len(some))
		for i, bucket := range some {
			notes[i] = scylla.Bind(insertBucket, holder, bucket)
		}
		if err := s.db.WriteAll(ctx, notes); err != nil {
			return fmt.Errorf("noting that %d buckets of the removed peer %s were handed over: %w", len(some), p, err)
		}
	}
	return nil
}

// HandedOver implements state.HandOvers.
func (s *Store) HandedOver(ctx context.Context, p peer.ID, removed time.Time) ([]int, error) {
	buckets, err := s.readBuckets(ctx, handedOver(p, removed))
	if err != nil {
		return nil, fmt.Errorf("reading which buckets of the removed peer %s were handed over: %w", p, err)
	}
	return buckets, nil
}

// forgetHandedOver drops the notes on a removal that counts no more. Those that
// stay, also what somebody who does not know yet writes after this, take space and
// do nothing else.
func (s *Store) forgetHandedOver(ctx context.Context, p peer.ID, removed time.Time) {
	holder := handedOver(p, removed)
	if err := s.db.Write(ctx, scylla.Bind(dropBuckets, holder)); err != nil {
		logger.Warnf("peer %s was called back, and up to %d small rows on its removal stay in the table buckets under the holder %q, for nothing: %s",
			p, state.Buckets, holder, err)
	}
}
