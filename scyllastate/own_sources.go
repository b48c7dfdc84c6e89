package scyllastate

import (
	"context"
	"fmt"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// ownSource is one of the ways by which CIDs of a peer are found in a bucket.
type ownSource interface {
	// next returns the next key in order, nil at the end and after an error.
	next() []byte
	// mark notes what is known of the key that next returned last.
	mark(own *state.Own)
	// close returns the error that ended the keys early. It may be called again.
	close() error
}

// changedKeys are CIDs with changes.
type changedKeys struct{ keys [][]byte }

func (k *changedKeys) next() []byte {
	if len(k.keys) == 0 {
		return nil
	}
	key := k.keys[0]
	k.keys = k.keys[1:]
	return key
}

func (*changedKeys) mark(own *state.Own) { own.Changed = true }

func (*changedKeys) close() error { return nil }

// placedRows are the rows of placements.
type placedRows struct {
	rows *scylla.Rows
	peer peer.ID
	row  placementCells
}

func (s *Store) placements(ctx context.Context, p peer.ID, bucket int) *scylla.Rows {
	return s.db.Rows(ctx, gocql.Quorum, placementsPage, scylla.Bind(selectPlacements, p.String(), bucket))
}

func (r *placedRows) next() []byte {
	for {
		r.row = placementCells{}
		if !r.rows.Next(r.row.columns()...) {
			return nil
		}
		if r.row.there() {
			return r.row.cid
		}
	}
}

func (r *placedRows) mark(own *state.Own) {
	row := r.row.placement(api.CidUndef)
	own.Placement = &row
}

func (r *placedRows) close() error { return r.rows.Close() }

// everywhereKeys are the keys of everywhere.
type everywhereKeys struct{ rows *scylla.Rows }

func (s *Store) everywhereKeys(ctx context.Context, bucket int) *scylla.Rows {
	return s.db.Rows(ctx, gocql.Quorum, placementsPage, scylla.Bind(selectEverywhereKeys, bucket))
}

func (k *everywhereKeys) next() []byte {
	var key []byte
	if !k.rows.Next(&key) {
		return nil
	}
	return key
}

func (*everywhereKeys) mark(own *state.Own) { own.Everywhere = true }

func (k *everywhereKeys) close() error { return k.rows.Close() }

const (
	// versionsAtOnce is how many pins one statement reads: ScyllaDB refuses more
	// than a hundred keys by default.
	versionsAtOnce = 64
	// versionReaders is how many such statements are under way at the same time.
	versionReaders = 4
)

// GetVersions implements state.OwnPins.
func (s *Store) GetVersions(ctx context.Context, cids []api.Cid, f func(int, *api.Pin, state.Revision, error)) error {
	found := make([]map[string]row, (len(cids)+versionsAtOnce-1)/versionsAtOnce)
	g, gctx := errgroup.WithContext(ctx)
	g.SetLimit(versionReaders)
	for i := range found {
		g.Go(func() (err error) {
			some := cids[i*versionsAtOnce : min((i+1)*versionsAtOnce, len(cids))]
			found[i], err = s.tables.readPins(gctx, some)
			return err
		})
	}
	if err := g.Wait(); err != nil {
		return answer(fmt.Errorf("reading %d pins: %w", len(cids), err))
	}
	for i, c := range cids {
		r := found[i/versionsAtOnce][string(c.Bytes())]
		pin, err := r.decode(c)
		f(i, pin, state.Revision(r.rev), err)
	}
	return nil
}
