package closing

import (
	"context"
	"crypto/sha256"
	"encoding/binary"
	"fmt"
	"math/big"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

// Reader tells what owners have used. It is safe for concurrent use.
type Reader struct {
	store  *ledger.Store
	closed *closedDays
}

// NewReader returns a Reader. First is Options.First of those who close days, and now the clock,
// time.Now if it is nil.
func NewReader(store *ledger.Store, first time.Time, now func() time.Time) *Reader {
	if now == nil {
		now = time.Now
	}
	return &Reader{store: store, closed: newClosedDays(store, first, now)}
}

// DayUsage is a closed day of an owner.
type DayUsage struct {
	// Day is in days since 1970.
	Day int64
	// Closed is what the day was closed with: what the invoice of its month has.
	Closed usage.Day
	// Latest is what it is known to have been by now, and Version how often it was recomputed.
	// What they differ by is in adjustments.
	Latest  usage.Day
	Version int64
}

// Days calls f with each closed day of an owner from one day to another, both included, in their
// order: also those on which nothing happened, and those before the owner was known. It returns the
// last day that is closed, which may be before the last one asked for. It has a month in memory, and
// reads it by one request. An error of f ends it.
func (r *Reader) Days(ctx context.Context, owner string, from, to int64, f func(DayUsage) error) (closed int64, err error) {
	if closed, err = r.closed.last(ctx, ledger.ShardOf(owner)); err != nil {
		return 0, err
	}
	from, to = max(from, r.closed.first), min(to, closed)
	if from > to {
		return closed, nil
	}
	last, _, err := r.store.LastDay(ctx, owner, from)
	if err != nil {
		return 0, err
	}
	level := last.Usage.Closing
	for day := from; day <= to; {
		end := min(to, lastOf(ledger.MonthOf(day)))
		stored, err := versions(ctx, r.store, owner, day, end)
		if err != nil {
			return 0, err
		}
		for ; day <= end; day++ {
			d := dayOf(day, level, stored[day])
			level = d.Latest.Closing
			if err := f(d); err != nil {
				return 0, err
			}
		}
	}
	return closed, nil
}

// dayOf returns a day by its rows, the last version first. One that has none is idle: what changes
// the level of a day that is closed makes rows of it.
func dayOf(day int64, level usage.Level, rows []ledger.StoredDay) DayUsage {
	if len(rows) == 0 {
		idle := usage.Idle(level)
		return DayUsage{Day: day, Closed: idle, Latest: idle}
	}
	return DayUsage{Day: day, Closed: rows[len(rows)-1].Usage, Latest: rows[0].Usage, Version: rows[0].Version}
}

// Owners calls f with each owner who has, or had, something on a closed day, in no order. It reads a
// few rows for each owner that there ever was. An error of f ends it.
func (r *Reader) Owners(ctx context.Context, f func(owner string) error) error {
	return r.store.EachOwner(ctx, f)
}

// MonthUsage is what an owner is charged for in a month.
type MonthUsage struct {
	Owner string
	// Month is as 202612, First and Last are the days that are closed of it, in days since
	// 1970, and Complete says that all are.
	Month       int
	First, Last int64
	Complete    bool
	// Opening is the level before the first day, Closing that after the last, as they are known
	// by now.
	Opening, Closing usage.Level
	// ByteMS and PinMS are the sums of what the days were closed with, PeakBytes is the highest
	// of them.
	ByteMS, PinMS, PeakBytes *big.Int
	// Adjustments are those that are charged in the month, sorted by ID, and AdjustedByteMS and
	// AdjustedPinMS their sums.
	Adjustments                   []ledger.StoredAdjustment
	AdjustedByteMS, AdjustedPinMS *big.Int
	// Digest is another one if one of the days, or an adjustment, is.
	Digest [32]byte
	// Held are the days for which no invoice is to be issued before somebody has looked at them.
	Held []Hold
}

// Hold is a day of an owner that is wrong.
type Hold struct {
	// Day is in days since 1970.
	Day int64
	// Why says what is wrong.
	Why string
}

// monthFormat begins what is hashed of a month.
const monthFormat = "pin-billing/closing/month/1\n"

// Month adds up a month, as 202612: what its days were closed with, and the adjustments that are
// charged in it. After it is complete nothing of that changes but by what a crash has left out,
// which is added before the next day closes.
func (r *Reader) Month(ctx context.Context, owner string, month int) (MonthUsage, error) {
	m := MonthUsage{
		Owner: owner, Month: month, First: max(firstOf(month), r.closed.first), Last: firstOf(month) - 1,
		ByteMS: new(big.Int), PinMS: new(big.Int), PeakBytes: new(big.Int), AdjustedByteMS: new(big.Int), AdjustedPinMS: new(big.Int),
	}
	digests := sha256.New()
	digests.Write(binary.BigEndian.AppendUint64([]byte(monthFormat), uint64(month)))
	opened := false
	_, err := r.Days(ctx, owner, m.First, lastOf(month), func(d DayUsage) error {
		if !opened {
			opened, m.Opening = true, d.Latest.Opening
		}
		m.Last, m.Closing = d.Day, d.Latest.Closing
		m.ByteMS.Add(m.ByteMS, d.Closed.ByteMS)
		m.PinMS.Add(m.PinMS, d.Closed.PinMS)
		if d.Closed.PeakBytes.Cmp(m.PeakBytes) > 0 {
			m.PeakBytes.Set(d.Closed.PeakBytes)
		}
		digests.Write(d.Closed.Digest[:])
		m.hold(d)
		return nil
	})
	if err != nil {
		return MonthUsage{}, err
	}
	m.Complete = m.Last == lastOf(month)
	if err := r.adjustments(ctx, &m); err != nil {
		return MonthUsage{}, err
	}
	for _, a := range m.Adjustments {
		digests.Write(a.ID[:])
	}
	m.Digest = [32]byte(digests.Sum(nil))
	return m, nil
}

// adjustments adds what is charged of adjustments in the month. An adjusted day that is wrong holds
// the invoice, whatever month it is of.
func (r *Reader) adjustments(ctx context.Context, m *MonthUsage) (err error) {
	if m.Adjustments, err = r.store.Adjustments(ctx, m.Owner, m.Month); err != nil {
		return err
	}
	looked := make(map[int64]bool)
	for _, a := range m.Adjustments {
		m.AdjustedByteMS.Add(m.AdjustedByteMS, a.ByteMS)
		m.AdjustedPinMS.Add(m.AdjustedPinMS, a.PinMS)
		if looked[a.Day] || m.First <= a.Day && a.Day <= m.Last {
			continue
		}
		looked[a.Day] = true
		row, found, err := r.store.Day(ctx, m.Owner, a.Day)
		if err != nil {
			return err
		}
		if found {
			m.hold(DayUsage{Day: a.Day, Latest: row.Usage})
		}
	}
	return nil
}

// hold notes a day that is wrong, as far as it is known by now.
func (m *MonthUsage) hold(d DayUsage) {
	if d.Latest.Negative {
		m.Held = append(m.Held, Hold{d.Day, fmt.Sprintf("on %s a level was below zero, or facts differed that have one ID", nameOf(d.Day))})
	}
}

// Held returns the days for which no invoice of a month is to be issued, see MonthUsage.Held.
func (r *Reader) Held(ctx context.Context, owner string, month int) ([]Hold, error) {
	m, err := r.Month(ctx, owner, month)
	return m.Held, err
}

// firstOf returns the first day of a month as 202612, in days since 1970.
func firstOf(month int) int64 {
	return usage.DayOf(time.Date(month/100, time.Month(month%100), 1, 0, 0, 0, 0, time.UTC).UnixMilli())
}

// lastOf returns the last one.
func lastOf(month int) int64 { return firstOf(nextMonth(month)) - 1 }
