package ledger

import (
	"context"
	"maps"
	"slices"
	"sync"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// PutSize adds a size to those that peers have told of a CID, and who said so first.
func (s *Store) PutSize(ctx context.Context, cid string, size int64, peer string, at time.Time) error {
	err := s.db.WriteAll(ctx, []scylla.Statement{scylla.Bind(updateSizes, firstOnly-at.UnixMilli(), map[int64]string{size: peer}, cid)})
	return wrap(err, "storing the size of %s", cid)
}

// Sizes returns the sizes of those CIDs of which some are known, each sorted. More than one is a
// conflict.
func (s *Store) Sizes(ctx context.Context, cids []string) (map[string][]int64, error) {
	var mu sync.Mutex
	out := make(map[string][]int64)
	err := each(ctx, cids, func(ctx context.Context, cid string) error {
		var sizes map[int64]string
		found, err := s.db.Read(ctx, gocql.Quorum, scylla.Bind(selectSizes, cid), &sizes)
		if err != nil || !found || len(sizes) == 0 {
			return err
		}
		mu.Lock()
		defer mu.Unlock()
		out[cid] = slices.Sorted(maps.Keys(sizes))
		return nil
	})
	return out, wrap(err, "reading sizes")
}

// PutUnsized enters claims, by the CIDs that they are of, among those without a size.
func (s *Store) PutUnsized(ctx context.Context, cids map[Key]string) error {
	b := make(batches)
	for k, cid := range cids {
		b.add(cid, scylla.Bind(insertUnsized, cid, k.Owner, k.RequestID, int64(firstOnly)))
	}
	return wrap(s.write(ctx, b), "entering claims without a size")
}

// DeleteUnsized removes claims that have a size now, for good.
func (s *Store) DeleteUnsized(ctx context.Context, cids map[Key]string) error {
	b := make(batches)
	for k, cid := range cids {
		b.add(cid, scylla.Bind(deleteUnsized, s.now().UnixMicro(), cid, k.Owner, k.RequestID))
	}
	return wrap(s.write(ctx, b), "removing claims that have a size")
}

// EachUnsized calls f for each claim of a CID that may lack a size. An error of f ends it.
func (s *Store) EachUnsized(ctx context.Context, cid string, f func(Key) error) error {
	rows := s.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(selectUnsized, cid))
	defer rows.Close()
	for k := (Key{}); rows.Next(&k.Owner, &k.RequestID); {
		if err := f(k); err != nil {
			return err
		}
	}
	return wrap(rows.Close(), "reading who waits for the size of %s", cid)
}

// EachUnsizedOfAll calls f for each claim that may lack a size, and the CID, in no order. It
// reads the whole table, which is small unless peers tell no sizes. An error of f ends it.
func (s *Store) EachUnsizedOfAll(ctx context.Context, f func(cid string, k Key) error) error {
	rows := s.db.Scan(ctx, gocql.Quorum, page, scylla.Bind(selectAllUnsized))
	defer rows.Close()
	cid := ""
	for k := (Key{}); rows.Next(&cid, &k.Owner, &k.RequestID); {
		if err := f(cid, k); err != nil {
			return err
		}
	}
	err := rows.Close()
	if err != nil {
		s.db.NotServed(err)
	}
	return wrap(err, "reading all claims without a size")
}
