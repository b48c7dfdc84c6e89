package pins

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	dayMS = 24 * 60 * 60 * 1000
	// endedBuckets spreads what a tenant removes in a day. It is a constant of the schema.
	endedBuckets = 16
	// EndedKept is for how long it is known that a request was removed.
	EndedKept = 35 * 24 * time.Hour
	// bothDays is how long after midnight a request may be removed by one who has not seen yet
	// that it was removed before midnight: what a removal takes, and what clocks differ by.
	bothDays = 10 * time.Minute
)

func dayOf(ms int64) int         { return int(ms / dayMS) }
func bucketOf(rnd int64) int     { return int(rnd & (endedBuckets - 1)) }
func startOfDay(day int64) int64 { return day * dayMS }

// endedRow is a row of the table ended.
type endedRow struct {
	key
	removed, pinned, size int64
	cid, name             string
	replMax               int
}

// scan are the places of the columns of selectEnded.
func (e *endedRow) scan() []any {
	return []any{&e.slice, &e.created, &e.rnd, &e.removed, &e.cid, &e.name, &e.replMax, &e.pinned, &e.size}
}

func (e *endedRow) known(tenant string) Claim {
	return Claim{
		Fact: FactEnded, Tenant: tenant, ID: e.id(), CID: e.cid, Name: e.name, Created: timeOf(e.created), Pinned: timeOf(e.pinned),
		Removed: timeOf(e.removed), ReplMax: e.replMax, Size: e.size,
	}
}

// end makes the statement that keeps what is known of a request that is removed.
func (r *row) end(removed int64) scylla.Statement {
	return scylla.Bind(insertEnded, r.Tenant, dayOf(removed), bucketOf(r.rnd), r.created, r.rnd, r.slice, removed, r.CID, orUnset(r.Name),
		r.ReplMax, r.pinned, cmp.Or(r.sized, r.Size), firstStamp(removed))
}

// EachClaim calls f with each request of a tenant that is there, newest first, and then with each
// that was removed since a time, each once, until f fails. One that is removed meanwhile may
// be among both. What was removed is known for EndedKept, and if somebody was told of it
// only (Config.Claims); a zero time means none of that. What was noted less than a minute ago may
// yet be corrected.
//
// It reads as fast as f returns, and has a page in memory.
func (s *Service) EachClaim(ctx context.Context, tenant string, endedSince time.Time, f func(Claim) error) error {
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	m := newMerge(ctx, s, tenant, &Query{}, nil)
	defer m.close()
	for {
		r, more, err := m.next()
		if err != nil {
			return err
		}
		if !more {
			break
		}
		if err := f(r.known()); err != nil {
			return err
		}
	}
	if endedSince.IsZero() {
		return nil
	}
	now := s.now()
	since := max(endedSince.UnixMilli(), now.Add(-EndedKept).UnixMilli())
	last := dayOf(now.Add(deleteAhead).UnixMilli()) // by the clock of another instance
	for day := dayOf(since); day <= last; day++ {
		for bucket := range endedBuckets {
			if err := s.eachEnded(ctx, tenant, day, bucket, since, f); err != nil {
				return err
			}
		}
	}
	return nil
}

// eachEnded calls f with what was removed on a day since a moment.
func (s *Service) eachEnded(ctx context.Context, tenant string, day, bucket int, since int64, f func(Claim) error) error {
	rows := s.db.Rows(ctx, gocql.Quorum, countPage, scylla.Bind(selectEnded, tenant, day, bucket))
	for {
		var e endedRow
		if !rows.Next(e.scan()...) {
			break
		}
		if e.removed < since {
			continue
		}
		if e.removed < startOfDay(int64(day))+bothDays.Milliseconds() {
			first, found, err := s.endedOf(ctx, tenant, e.key, e.removed)
			if err != nil || !found || first.Removed.UnixMilli() < e.removed { // it is among those of the day before
				if err == nil {
					continue
				}
				_ = rows.Close() // what was not read does not matter
				return err
			}
		}
		if err := f(e.known(tenant)); err != nil {
			_ = rows.Close() // the same
			return err
		}
	}
	if err := rows.Close(); err != nil {
		return fmt.Errorf("reading what a tenant has removed: %w", err)
	}
	return nil
}
