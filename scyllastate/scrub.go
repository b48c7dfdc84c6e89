package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// maxPieces bounds the pieces of a scan, far above what is of use.
	maxPieces = 1 << 24
	// maxTold is how many changes Tell appends at once.
	maxTold = 500
)

var _ state.Scrubber = (*Store)(nil)

// ScanPiece implements state.Scrubber. The pieces are equal parts of the ring,
// in its order.
func (s *Store) ScanPiece(ctx context.Context, piece, pieces int, f func(api.Pin, state.Revision) error, bad func(error)) error {
	if pieces < 1 || pieces > maxPieces || piece < 0 || piece >= pieces {
		return fmt.Errorf("there is no piece %d of %d", piece, pieces)
	}
	return s.scanRevisions(ctx, rangeAt(piece, pieces), func(key, value []byte, rev gocql.UUID) error {
		c, err := castKey(key)
		if err != nil {
			bad(err)
			return nil
		}
		pin, err := decodePin(c, value)
		if err != nil {
			bad(err)
			return nil
		}
		return f(pin, state.Revision(rev))
	})
}

// scanRevisions is scanRange with the revisions and for decisions: whatever the
// consistency of a listing is, it sees every acknowledged write.
func (s *Store) scanRevisions(ctx context.Context, r tokenRange, f func(key, value []byte, rev gocql.UUID) error) error {
	done, ended, err := s.scanRevisionsOnce(ctx, r, f)
	if ended != nil {
		return ended
	}
	var overwhelmed *gocql.RequestErrReadFailure
	rest := tokenRange{done, r.upTo}
	if !errors.As(err, &overwhelmed) || uint64(rest.upTo)-uint64(rest.after) <= 1 {
		return err
	}
	middle := rest.after + int64((uint64(rest.upTo)-uint64(rest.after))/2)
	if err := s.scanRevisions(ctx, tokenRange{rest.after, middle}, f); err != nil {
		return err
	}
	return s.scanRevisions(ctx, tokenRange{middle, rest.upTo}, f)
}

// scanRevisionsOnce reads one range and returns up to which token it came. An
// error of f, which may be one of the database about something else, is apart.
func (s *Store) scanRevisionsOnce(ctx context.Context, r tokenRange, f func(key, value []byte, rev gocql.UUID) error) (done int64, ended, err error) {
	ctx = scylla.WithTrail(ctx)
	iter := s.db.Query(selectRevisions+s.db.Dialect.Scan(), r.after, r.upTo).WithContext(ctx).
		Consistency(gocql.Quorum).Idempotent(true).PageSize(listPage).Iter()
	var (
		token      int64
		key, value []byte
		rev        gocql.UUID
	)
	done = r.after
	for iter.Scan(&token, &key, &rev, &value) {
		if len(value) > 0 { // else the marker of a removed pin
			if err := f(key, value, rev); err != nil {
				_ = iter.Close() // err is the reason
				return done, err, nil
			}
		}
		done = token
		key, value = nil, nil // the pin may keep them
	}
	if err := iter.Close(); err != nil {
		return done, nil, fmt.Errorf("reading pins: %w", scylla.Describe(ctx, err))
	}
	return r.upTo, nil, nil
}

// rangeAt is the i-th of the n pieces that tokenRanges makes.
func rangeAt(i, n int) tokenRange {
	width := math.MaxUint64/uint64(n) + 1
	smallest := int64(math.MinInt64)
	after := int64(uint64(smallest) + uint64(i)*width)
	if i == n-1 {
		return tokenRange{after, math.MaxInt64}
	}
	return tokenRange{after, int64(uint64(after) + width)}
}

// Tell implements state.Scrubber.
func (s *Store) Tell(ctx context.Context, p peer.ID, cids ...api.Cid) error {
	// The write that the change seems to announce replaced a revision of 1970:
	// whatever the row is, also none at all, that write is over.
	prev := gocql.MinTimeUUID(time.Unix(0, 0))
	trace := traceparent(ctx)
	rows := make([]intent, 0, min(len(cids), maxTold))
	for i, c := range cids {
		if !c.Defined() {
			return fmt.Errorf("telling peer %s: %w", p, errNoCid)
		}
		rows = append(rows, intent{
			Feed: p.String(), Cid: c.Bytes(), Rev: newUUID(s.now()), Prev: &prev, Kind: kindPin, Traceparent: trace,
		})
		if len(rows) < maxTold && i < len(cids)-1 {
			continue
		}
		if err := s.intents.append(ctx, rows); err != nil {
			return fmt.Errorf("telling peer %s: %w", p, err)
		}
		rows = make([]intent, 0, min(len(cids)-i-1, maxTold)) // the appender may still hold them
	}
	s.nudges.wake([]string{p.String()})
	return nil
}

// Index implements state.Scrubber.
func (s *Store) Index(ctx context.Context, pin api.Pin, rev state.Revision) error {
	if pin.IsPinEverywhere() {
		if err := s.indexEverywhere(ctx, pin.Cid, gocql.UUID(rev)); err != nil {
			return err
		}
	}
	if due := pin.ExpireAt; !due.IsZero() && due.Unix() != 0 {
		return s.indexExpiry(ctx, pin.Cid, due)
	}
	return nil
}
