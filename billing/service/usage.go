package service

import (
	"context"
	"errors"
	"math/big"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/api"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/closing"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

// Usage tells what owners have used: closed days as they are stored, and those that are open from
// the facts that there are. It is an api.Usage, and safe for concurrent use.
type Usage struct {
	store  *ledger.Store
	reader *closing.Reader
	first  int64
	now    func() time.Time
}

// NewUsage returns the usage since a day. Now is the clock.
func NewUsage(store *ledger.Store, since time.Time, now func() time.Time) *Usage {
	return &Usage{store, closing.NewReader(store, since, now), usage.DayOf(since.UnixMilli()), now}
}

// Month adds up what is closed of a month.
func (u *Usage) Month(ctx context.Context, owner string, month int) (closing.MonthUsage, error) {
	return u.reader.Month(ctx, owner, month)
}

// Days calls f with each day of an owner from one to another, both included, but for those before
// billing began and those that have not begun. Today is counted until now.
func (u *Usage) Days(ctx context.Context, owner string, from, to int64, f func(api.Day) error) error {
	closed, err := u.reader.Days(ctx, owner, from, to, func(d closing.DayUsage) error {
		return f(api.Day{Day: d.Day, Usage: d.Latest, Closed: true, Version: d.Version})
	})
	if err != nil {
		return err
	}
	now := u.now().UnixMilli()
	to = min(to, usage.DayOf(now))
	if to <= closed || to < u.first {
		return nil
	}
	last, _, err := u.store.LastDay(ctx, owner, closed+1)
	if err != nil {
		return err
	}
	level := last.Usage.Closing
	for day := max(closed+1, u.first); day <= to; day++ {
		d, err := u.open(ctx, owner, day, level)
		if err != nil {
			return err
		}
		level = d.Closing
		if day < from {
			continue
		}
		if err := f(api.Day{Day: day, Usage: until(d, day, now)}); err != nil {
			return err
		}
	}
	return nil
}

// open counts a day that is not closed.
func (u *Usage) open(ctx context.Context, owner string, day int64, opening usage.Level) (usage.Day, error) {
	deltas, err := u.store.Deltas(ctx, owner, day)
	if err != nil {
		return usage.Day{}, err
	}
	d, err := usage.Fold(day, opening, deltas)
	if errors.Is(err, usage.ErrConflict) { // neither of two counts, as when the day is closed
		ids := make(map[[32]byte]int)
		for _, one := range deltas {
			ids[one.ID]++
		}
		deltas = slices.DeleteFunc(deltas, func(one usage.Delta) bool { return ids[one.ID] > 1 })
		d, err = usage.Fold(day, opening, deltas)
		d.Negative = true
	}
	return d, err
}

// until takes away what a day would have from a moment on if nothing happened any more.
func until(d usage.Day, day, now int64) usage.Day {
	left := (day+1)*usage.DayMS - now
	if left <= 0 {
		return d
	}
	if d.Closing.Bytes != nil {
		d.ByteMS = new(big.Int).Sub(d.ByteMS, new(big.Int).Mul(d.Closing.Bytes, big.NewInt(left)))
	}
	d.PinMS = new(big.Int).Sub(d.PinMS, new(big.Int).Mul(big.NewInt(d.Closing.Pins), big.NewInt(left)))
	return d
}

// beginOf is when a day begins.
func beginOf(day int64) time.Time { return time.UnixMilli(day * usage.DayMS).UTC() }
