package ledger

import (
	"context"
	"sync"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// EachClaim calls f for all claims of an owner that are known, also those that have ended, in no
// order and one at a time. It reads 4096 partitions, however few there are: half a second. An
// error of f ends it.
func (s *Store) EachClaim(ctx context.Context, owner string, f func(Claim) error) error {
	buckets := make([]int, claimBuckets)
	for i := range buckets {
		buckets[i] = i
	}
	var mu sync.Mutex
	err := each(ctx, buckets, func(ctx context.Context, bucket int) error {
		rows := s.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(selectAllClaims, owner, bucket))
		return eachClaim(rows, owner, func(c Claim) error {
			mu.Lock()
			defer mu.Unlock()
			return f(c)
		})
	})
	return wrap(err, "reading the claims of %q", owner)
}

// EachOwner calls f for each owner who has a day, in no order. It scans the whole table of their
// months, 12 rows a year each. An error of f ends it.
func (s *Store) EachOwner(ctx context.Context, f func(owner string) error) error {
	rows := s.db.Scan(ctx, gocql.Quorum, page, scylla.Bind(selectOwners))
	defer rows.Close()
	for owner := ""; rows.Next(&owner); {
		if err := f(owner); err != nil {
			return err
		}
	}
	err := rows.Close()
	if err != nil {
		s.db.NotServed(err)
	}
	return wrap(err, "reading who has days")
}
