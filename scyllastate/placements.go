package scyllastate

import (
	"context"
	"fmt"
	"strings"
	"sync/atomic"
	"time"
	"unicode/utf8"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// placementsPage is the number of rows that one request returns.
	placementsPage = 500
	// maxErrorText bounds what is kept of an error of IPFS, in bytes.
	maxErrorText = 1 << 10
)

var _ state.Placements = (*Store)(nil)

// PutPlacement implements state.Placements. Of a long error it keeps the
// beginning.
func (s *Store) PutPlacement(ctx context.Context, p peer.ID, row state.Placement) error {
	if !row.Cid.Defined() {
		return fmt.Errorf("storing a placement of peer %s: %w", p, errNoCid)
	}
	if row.Status < state.PlacementQueued || row.Status > state.PlacementUnpinError {
		return fmt.Errorf("storing the placement of %s on peer %s: there is no status %d", row.Cid, p, row.Status)
	}
	bucket := state.Bucket(row.Cid)
	if err := s.noteBucket(ctx, p.String(), bucket); err != nil {
		return fmt.Errorf("storing the placement of %s on peer %s: %w", row.Cid, p, err)
	}
	var rev, size, depth any = gocql.UnsetValue, gocql.UnsetValue, gocql.UnsetValue // a null would be a tombstone
	if row.Rev != (state.Revision{}) {
		rev = gocql.UUID(row.Rev)
	}
	if row.Size > 0 {
		size = row.Size
	}
	if row.Depth != nil {
		depth = int(*row.Depth)
	}
	err := s.db.Write(ctx, scylla.Bind(putPlacement, s.stamp(), rev, int8(row.Status), s.now(), row.Attempts, size, errorText(row.Error),
		depth, p.String(), bucket, row.Cid.Bytes()))
	if err != nil {
		return fmt.Errorf("storing the placement of %s on peer %s: %w", row.Cid, p, err)
	}
	return nil
}

// SetSize implements state.Placements. A size of 0 is none and changes nothing.
func (s *Store) SetSize(ctx context.Context, p peer.ID, c api.Cid, size int64) error {
	if size <= 0 {
		return nil
	}
	// The time is taken first: a placement that is dropped after this look
	// takes the size with it.
	at := s.stamp()
	if _, there, err := s.GetPlacement(ctx, p, c); err != nil || !there {
		return err
	}
	err := s.db.Write(ctx, scylla.Bind(putSize, at, size, p.String(), state.Bucket(c), c.Bytes()))
	if err != nil {
		return fmt.Errorf("storing the size of %s on peer %s: %w", c, p, err)
	}
	return nil
}

// DropPlacement implements state.Placements.
func (s *Store) DropPlacement(ctx context.Context, p peer.ID, c api.Cid) error {
	if !c.Defined() {
		return nil
	}
	err := s.db.Write(ctx, scylla.Bind(dropPlacement, s.stamp(), p.String(), state.Bucket(c), c.Bytes()))
	if err != nil {
		return fmt.Errorf("dropping the placement of %s on peer %s: %w", c, p, err)
	}
	return nil
}

// GetPlacement implements state.Placements.
func (s *Store) GetPlacement(ctx context.Context, p peer.ID, c api.Cid) (state.Placement, bool, error) {
	if !c.Defined() {
		return state.Placement{}, false, nil
	}
	var cells placementCells
	if _, err := s.db.Read(ctx, gocql.Quorum, scylla.Bind(selectPlacement, p.String(), state.Bucket(c), c.Bytes()), cells.columns()...); err != nil {
		return state.Placement{}, false, fmt.Errorf("reading the placement of %s on peer %s: %w", c, p, err)
	}
	if !cells.there() {
		return state.Placement{}, false, nil
	}
	return cells.placement(c), true, nil
}

// ListPlacements implements state.Placements. A row whose key is not a CID is
// logged and passed over: no pin can belong to it.
func (s *Store) ListPlacements(ctx context.Context, p peer.ID, bucket int, f func(state.Placement) error) error {
	if err := checkBucket(bucket); err != nil {
		return err
	}
	rows := s.placements(ctx, p, bucket)
	var cells placementCells
	for rows.Next(cells.columns()...) {
		row := cells
		cells = placementCells{}
		if !row.there() {
			continue
		}
		c, err := api.CastCid(row.cid)
		if err != nil {
			logger.Errorf("passing over a placement of peer %s whose key 0x%x is not a CID: %s", p, row.cid, err)
			continue
		}
		if err := f(row.placement(c)); err != nil {
			_ = rows.Close() // err is the reason
			return err
		}
	}
	if err := rows.Close(); err != nil {
		return fmt.Errorf("listing bucket %d of the placements on peer %s: %w", bucket, p, err)
	}
	return nil
}

// placementCells is one row of placements as it comes from the database.
type placementCells struct {
	cid      []byte
	rev      *gocql.UUID
	status   *int8
	updated  time.Time
	attempts int
	size     int64
	text     string
	depth    *int
}

// columns are where the columns of selectPlacement go, in its order.
func (r *placementCells) columns() []any {
	return []any{&r.cid, &r.rev, &r.status, &r.updated, &r.attempts, &r.size, &r.text, &r.depth}
}

// there is false for a row of which only the size is left: it was written while
// the row was dropped.
func (r *placementCells) there() bool { return r.status != nil }

func (r *placementCells) placement(c api.Cid) state.Placement {
	out := state.Placement{
		Cid: c, Status: state.PlacementStatus(*r.status), Updated: r.updated,
		Attempts: r.attempts, Size: r.size, Error: r.text,
	}
	if r.rev != nil {
		out.Rev = state.Revision(*r.rev)
	}
	if r.depth != nil {
		depth := api.PinDepth(*r.depth)
		out.Depth = &depth
	}
	return out
}

// errorText makes a text of which the database takes every byte.
func errorText(text string) string {
	text = strings.ToValidUTF8(text, "\ufffd")
	if len(text) <= maxErrorText {
		return text
	}
	end := maxErrorText
	for !utf8.RuneStart(text[end]) {
		end--
	}
	return text[:end]
}

// stamps gives the timestamps of plain writes, in microseconds since 1970. Each
// is later than all before it, so that of two writes by this process the second
// counts, whatever the clock does in between. It is safe for concurrent use.
type stamps struct{ last atomic.Int64 }

func (s *stamps) next(now time.Time) int64 {
	for {
		last := s.last.Load()
		next := max(now.UnixMicro(), last+1)
		if s.last.CompareAndSwap(last, next) {
			return next
		}
	}
}

// stamp is the timestamp of a plain write that is made now. It goes by the
// database's clock: a process that starts again after this machine's clock was
// set right must not write behind what it wrote before.
func (s *Store) stamp() int64 { return s.stamps.next(s.clock.database()) }

// database is the time by the database's clock, as far as the last measurement
// tells. That this machine's clock was set since then does not matter.
func (c *clock) database() time.Time {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.wallAt.Add(c.steady() - c.steadyAt - c.skew)
}
