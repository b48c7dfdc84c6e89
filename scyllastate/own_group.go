package scyllastate

import (
	"context"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// maxGroup is how many buckets one statement reads: ScyllaDB refuses more than a
	// hundred keys by default.
	maxGroup = 64
	// groupGrowth is how many times larger than the one before a group may be: many
	// lists end with the first bucket.
	groupGrowth = 4
)

// bucketGroups cuts buckets into groups that are read by one statement each: as many
// as half fill a page, going by those that were read. A peer with few pins has one or
// two in a bucket, and would make a request for each otherwise.
type bucketGroups struct {
	rest          []ownBucket
	size          int // of the last group
	rows, buckets int // that were read
}

// next returns the next group, none at the end. The first one has one bucket.
func (g *bucketGroups) next() []ownBucket {
	n := min(groupGrowth*g.size, maxGroup)
	if g.rows > 0 {
		n = min(n, placementsPage/2*g.buckets/g.rows)
	}
	g.size = min(max(n, 1), len(g.rest))
	group := g.rest[:g.size]
	g.rest = g.rest[g.size:]
	return group
}

// took takes what there was in some buckets.
func (g *bucketGroups) took(buckets, rows int) {
	g.buckets += buckets
	g.rows += rows
}

// readGroup calls f for what there is in some buckets, in order. It reads them one by
// one if they have more than a page, and if they cannot be read together: the error
// has to say which bucket cannot.
func (s *Store) readGroup(ctx context.Context, p peer.ID, group []ownBucket, f func(state.Own) error) error {
	if len(group) > 1 {
		found, whole, err := s.readTogether(ctx, p, group)
		if err == nil && whole {
			for _, b := range group {
				if err := mergeBucket(p, b.number, found[b.number], f); err != nil {
					return err
				}
			}
			return nil
		}
		if err != nil && ctx.Err() == nil {
			logger.Debugf("reading %d buckets of peer %s together, going on one by one: %s", len(group), p, err)
		}
	}
	for _, b := range group {
		if err := s.readOwn(ctx, p, b, f); err != nil {
			return err
		}
	}
	return nil
}

// readTogether returns the sources of some buckets, by bucket, and false if there is
// more than a page in one of the tables.
func (s *Store) readTogether(ctx context.Context, p peer.ID, group []ownBucket) (found map[int][]ownSource, whole bool, err error) {
	found = make(map[int][]ownSource, len(group))
	var placed, everywhere []int
	for _, b := range group {
		found[b.number] = []ownSource{&changedKeys{keys: b.changed}}
		if b.placed {
			placed = append(placed, b.number)
		}
		if b.everywhere {
			everywhere = append(everywhere, b.number)
		}
	}
	rows := make(map[int]*keptRows)
	var row placementCells
	var bucket int
	whole, err = s.readPage(ctx, placed, scylla.Bind(selectPlacementsOf, p.String(), placed), append([]any{&bucket}, row.columns()...), func() {
		if rows[bucket] == nil {
			rows[bucket] = &keptRows{}
			found[bucket] = append(found[bucket], rows[bucket])
		}
		if row.there() {
			rows[bucket].rows = append(rows[bucket].rows, row)
		}
		row = placementCells{}
	})
	if err != nil || !whole {
		return nil, false, err
	}
	keys := make(map[int]*keptKeys)
	var key []byte
	whole, err = s.readPage(ctx, everywhere, scylla.Bind(selectEverywhereOf, everywhere), []any{&bucket, &key}, func() {
		if keys[bucket] == nil {
			keys[bucket] = &keptKeys{}
			found[bucket] = append(found[bucket], keys[bucket])
		}
		keys[bucket].keys = append(keys[bucket].keys, key)
		key = nil
	})
	return found, whole, err
}

// readPage reads what there is in some buckets into dest and calls f for each row. It
// returns false if there is more than a page.
func (s *Store) readPage(ctx context.Context, buckets []int, statement scylla.Statement, dest []any, f func()) (whole bool, err error) {
	if len(buckets) == 0 {
		return true, nil
	}
	rows := s.db.Rows(ctx, gocql.Quorum, placementsPage, statement)
	n := 0
	for rows.Next(dest...) {
		if n++; n > placementsPage {
			_ = rows.Close() // what was read does not matter
			return false, nil
		}
		f()
	}
	return true, rows.Close()
}

// keptRows are rows of placements that were read.
type keptRows struct {
	rows []placementCells
	last placementCells
}

func (k *keptRows) next() []byte {
	if len(k.rows) == 0 {
		return nil
	}
	k.last, k.rows = k.rows[0], k.rows[1:]
	return k.last.cid
}

func (k *keptRows) mark(own *state.Own) {
	row := k.last.placement(api.CidUndef)
	own.Placement = &row
}

func (*keptRows) close() error { return nil }

// keptKeys are keys of everywhere that were read.
type keptKeys struct{ keys [][]byte }

func (k *keptKeys) next() []byte {
	if len(k.keys) == 0 {
		return nil
	}
	key := k.keys[0]
	k.keys = k.keys[1:]
	return key
}

func (*keptKeys) mark(own *state.Own) { own.Everywhere = true }

func (*keptKeys) close() error { return nil }
