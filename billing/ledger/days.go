package ledger

import (
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// StoredDay is what an owner has used on a day, as it was closed or recomputed.
type StoredDay struct {
	Owner string
	// Day is in days since 1970.
	Day int64
	// Version is 0 for the close, and counts the recomputes after it.
	Version int64
	// Usage is what was worked out.
	Usage usage.Day
	// Period is the month in which a recompute is charged, as 202612. It is 0 for the close.
	Period int
	// Closed is when it was made.
	Closed time.Time
}

// PutDay stores a version of a day, unless it is there, and returns what is stored then: of those
// who store one version the first counts, whatever the others have worked out. After an error
// it may be called again.
func (s *Store) PutDay(ctx context.Context, d StoredDay) (StoredDay, error) {
	month, u := MonthOf(d.Day), &d.Usage
	if err := s.db.WriteAll(ctx, []scylla.Statement{scylla.Bind(insertMonth, d.Owner, month)}); err != nil {
		return StoredDay{}, fmt.Errorf("noting that %q has days in %d: %w", d.Owner, month, err)
	}
	period := any(nil)
	if d.Period != 0 {
		period = d.Period
	}
	err := s.decide(ctx, scylla.Bind(insertDay, d.Owner, month, d.Day, d.Version,
		whole(u.Opening.Bytes), u.Opening.Pins, whole(u.Closing.Bytes), u.Closing.Pins,
		whole(u.ByteMS), whole(u.PinMS), whole(u.PeakBytes), int64(u.Deltas), u.Digest[:], u.Negative, period, d.Closed))
	if err != nil {
		return StoredDay{}, fmt.Errorf("storing version %d of the day %d of %q: %w", d.Version, d.Day, d.Owner, err)
	}
	kept, found, err := s.day(ctx, d.Owner, scylla.Bind(selectDay, d.Owner, month, d.Day, d.Version))
	if err == nil && !found {
		err = fmt.Errorf("it is not there after it was stored")
	}
	return kept, wrap(err, "reading version %d of the day %d of %q", d.Version, d.Day, d.Owner)
}

// Day returns the last version of a day, and false if the owner has none: nothing happened then,
// or it is not closed.
func (s *Store) Day(ctx context.Context, owner string, day int64) (StoredDay, bool, error) {
	d, found, err := s.day(ctx, owner, scylla.Bind(selectDayBefore, owner, MonthOf(day), day+1))
	if !found || d.Day != day {
		return StoredDay{}, false, wrap(err, "reading the day %d of %q", day, owner)
	}
	return d, true, nil
}

// LastDay returns the last version of the last day before another one that an owner has, and
// false if there is none. Its closing is the level until then.
func (s *Store) LastDay(ctx context.Context, owner string, before int64) (StoredDay, bool, error) {
	rows := s.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(selectMonths, owner, MonthOf(before-1))).StartWith(2)
	defer rows.Close()
	for month := 0; rows.Next(&month); { // one without such a day is what a crash has left, or begins later
		d, found, err := s.day(ctx, owner, scylla.Bind(selectDayBefore, owner, month, before))
		if err != nil || found {
			return d, found, wrap(err, "reading the last day of %q before %d", owner, before)
		}
	}
	return StoredDay{}, false, wrap(rows.Close(), "reading in which months %q has days", owner)
}

// Days returns all versions of the days of an owner in a month, as 202612, the last ones first.
func (s *Store) Days(ctx context.Context, owner string, month int) ([]StoredDay, error) {
	rows := s.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(selectDays, owner, month))
	defer rows.Close()
	var out []StoredDay
	for row := newDayRow(owner); rows.Next(row.scan()...); row = newDayRow(owner) {
		d, err := row.decode()
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, wrap(rows.Close(), "reading the days of %q in %d", owner, month)
}

func (s *Store) day(ctx context.Context, owner string, statement scylla.Statement) (StoredDay, bool, error) {
	row := newDayRow(owner)
	found, err := s.db.Read(ctx, gocql.Quorum, statement, row.scan()...)
	if err != nil || !found {
		return StoredDay{}, false, err
	}
	d, err := row.decode()
	return d, err == nil, err
}

// dayRow is a row of days.
type dayRow struct {
	StoredDay
	deltas int64
	digest []byte
}

func newDayRow(owner string) *dayRow { return &dayRow{StoredDay: StoredDay{Owner: owner}} }

func (r *dayRow) scan() []any {
	u := &r.Usage
	return []any{
		&r.Day, &r.Version, &u.Opening.Bytes, &u.Opening.Pins, &u.Closing.Bytes, &u.Closing.Pins,
		&u.ByteMS, &u.PinMS, &u.PeakBytes, &r.deltas, &r.digest, &u.Negative, &r.Period, &r.Closed,
	}
}

func (r *dayRow) decode() (StoredDay, error) {
	u := &r.Usage
	if len(r.digest) != len(u.Digest) || u.Opening.Bytes == nil || u.Closing.Bytes == nil || u.ByteMS == nil || u.PinMS == nil || u.PeakBytes == nil {
		return StoredDay{}, fmt.Errorf("version %d of the day %d of %q as it is stored: the row is not complete", r.Version, r.Day, r.Owner)
	}
	u.Deltas, u.Digest = int(r.deltas), [32]byte(r.digest)
	return r.StoredDay, nil
}
