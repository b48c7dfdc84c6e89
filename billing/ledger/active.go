package ledger

import (
	"context"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// EachActive calls f once for each owner of a shard who may have facts on a day, in days since
// 1970, sorted. An error of f ends it.
func (s *Store) EachActive(ctx context.Context, day int64, shard int, f func(owner string) error) error {
	rows := s.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(selectActive, day, shard))
	defer rows.Close()
	last, first := "", true
	for owner := ""; rows.Next(&owner); {
		if owner == last && !first { // another bucket
			continue
		}
		last, first = owner, false
		if err := f(owner); err != nil {
			return err
		}
	}
	return wrap(rows.Close(), "reading who was active on the day %d", day)
}

// OwnerDay is a day of an owner.
type OwnerDay struct {
	Owner string
	Day   int64
}

// MarkLate notes days that have got facts although their close may have begun. noted is the day
// on which it is called.
func (s *Store) MarkLate(ctx context.Context, noted int64, days []OwnerDay) error {
	b := make(batches)
	for _, d := range days {
		shard := ShardOf(d.Owner)
		b.add(activePartition{noted, shard}, scylla.Bind(insertLate, noted, shard, d.Day, d.Owner))
	}
	return wrap(s.write(ctx, b), "noting late facts")
}

// EachLate calls f for each day that was noted as late on a day, of the owners of a shard. An
// error of f ends it. A day may be there without a fact that is new.
func (s *Store) EachLate(ctx context.Context, noted int64, shard int, f func(OwnerDay) error) error {
	rows := s.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(selectLate, noted, shard))
	defer rows.Close()
	for d := (OwnerDay{}); rows.Next(&d.Day, &d.Owner); {
		if err := f(d); err != nil {
			return err
		}
	}
	return wrap(rows.Close(), "reading what was late on the day %d", noted)
}
