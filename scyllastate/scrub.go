package scyllastate

import (
	"context"
	"fmt"
	"slices"
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
	// placementsAtOnce is how many peers GetPlacementsOf asks for with one request:
	// ScyllaDB refuses more than a hundred keys by default.
	placementsAtOnce = 64
)

var _ state.Scrubber = (*Store)(nil)

// ScanPiece implements state.Scrubber. The pieces are equal parts of the ring,
// in its order.
func (s *Store) ScanPiece(ctx context.Context, piece, pieces int, f func(api.Pin, state.Revision) error, bad func(api.Cid, error)) error {
	return s.ScanFrom(ctx, piece, pieces, api.CidUndef, f, bad)
}

// ScanFrom implements state.Scrubber.
func (s *Store) ScanFrom(ctx context.Context, piece, pieces int, from api.Cid, f func(api.Pin, state.Revision) error, bad func(api.Cid, error)) error {
	if pieces < 1 || pieces > maxPieces || piece < 0 || piece >= pieces {
		return fmt.Errorf("there is no piece %d of %d", piece, pieces)
	}
	r := rangeAt(piece, pieces)
	if from.Defined() {
		token := tokenOf(from.Bytes())
		if token <= r.after || token > r.upTo {
			return fmt.Errorf("%s is not in piece %d of %d", from, piece, pieces)
		}
		r.after = token - 1
	}
	// Whatever the consistency of a listing is: decisions rest on this.
	return s.scanRange(ctx, gocql.Quorum, r, func(row scanned) error {
		c, err := castKey(row.key)
		if err != nil {
			bad(api.CidUndef, err)
			return nil
		}
		pin, err := decodePin(c, row.value)
		if err != nil {
			bad(c, err)
			return nil
		}
		return f(pin, state.Revision(row.rev))
	})
}

// GetPlacementsOf implements state.Scrubber. It makes one request for up to 64 peers.
func (s *Store) GetPlacementsOf(ctx context.Context, peers []peer.ID, c api.Cid) (map[peer.ID]state.Placement, error) {
	found := make(map[peer.ID]state.Placement, len(peers))
	for some := range slices.Chunk(peers, placementsAtOnce) {
		names := make([]string, len(some))
		byName := make(map[string]peer.ID, len(some))
		for i, p := range some {
			names[i] = p.String()
			byName[names[i]] = p
		}
		rows := s.db.Rows(ctx, gocql.Quorum, placementsAtOnce, scylla.Bind(selectPlacementOf, names, state.Bucket(c), c.Bytes()))
		var name string
		var cells placementCells
		for rows.Next(append([]any{&name}, cells.columns()...)...) {
			if cells.there() {
				found[byName[name]] = cells.placement(c)
			}
			cells = placementCells{}
		}
		if err := rows.Close(); err != nil {
			return nil, fmt.Errorf("reading the placements of %s on %d peers: %w", c, len(peers), err)
		}
	}
	return found, nil
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
			Feed: p.String(), Cid: c.Bytes(), Rev: newUUID(s.now()), Prev: &prev, Kind: kindLook, Traceparent: trace,
		})
		if len(rows) < maxTold && i < len(cids)-1 {
			continue
		}
		if err := s.intents.append(ctx, rows); err != nil {
			return fmt.Errorf("telling peer %s: %w", p, err)
		}
		s.metrics.told(len(rows))
		rows = make([]intent, 0, min(len(cids)-i-1, maxTold)) // the appender may still hold them
	}
	s.nudges.wrote([]string{p.String()})
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
