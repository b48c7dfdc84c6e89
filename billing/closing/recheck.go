package closing

import (
	"context"
	"fmt"
	"maps"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

// Difference is a day of an owner that is not stored as it follows from all facts.
type Difference struct {
	Owner string
	// Day is in days since 1970.
	Day int64
	// Stored is the last version that is stored, with its number, or that which follows from the
	// rows before it, and Recomputed what there should be.
	Stored, Recomputed usage.Day
	Version            int64
	// What says how they differ.
	What string
}

// Checked is what a Recheck has looked at.
type Checked struct {
	// Owners and Days is how many there were, Differences how many days differ.
	Owners, Days, Differences int64
}

// Recheck works out all closed days again, from the facts alone and from the first day on, and calls
// f with each that is stored otherwise, or whose adjustments do not lead to what is stored. It changes
// nothing. What comes late while it runs may look like a difference. It reads all facts there are;
// in memory it has the levels of the owners of one shard, and a day of one of them. progress is called
// now and then, and may be nil.
func (r *Reader) Recheck(ctx context.Context, f func(Difference) error, progress func(done, of int, c Checked)) (Checked, error) {
	c := check{Reader: r, differs: f}
	for shard := range ledger.Shards {
		if err := c.shard(ctx, shard); err != nil {
			return c.Checked, fmt.Errorf("checking the days of shard %d: %w", shard, err)
		}
		if progress != nil {
			progress(shard+1, ledger.Shards, c.Checked)
		}
	}
	return c.Checked, nil
}

// check is a Recheck that goes on. One goroutine has it.
type check struct {
	*Reader
	Checked
	differs func(Difference) error
}

// carried are levels of an owner after a day: by the facts, and by what is stored.
type carried struct{ facts, stored usage.Level }

func (c *check) shard(ctx context.Context, shard int) error {
	last, err := c.closed.last(ctx, shard)
	if err != nil {
		return err
	}
	owners := make(map[string]*carried)
	for from := c.closed.first; from <= last; {
		to := min(last, lastOf(ledger.MonthOf(from)))
		active := make(map[string]uint32) // a bit for each day
		for day := from; day <= to; day++ {
			err := c.store.EachActive(ctx, day, shard, func(owner string) error {
				active[owner] |= 1 << (day - from)
				if owners[owner] == nil {
					owners[owner] = new(carried)
					c.Checked.Owners++
				}
				return nil
			})
			if err != nil {
				return err
			}
		}
		for _, owner := range slices.Sorted(maps.Keys(owners)) {
			if err := c.month(ctx, owner, owners[owner], from, to, active[owner]); err != nil {
				return err
			}
		}
		from = to + 1
	}
	return nil
}

// month checks days of one month of an owner.
func (c *check) month(ctx context.Context, owner string, levels *carried, from, to int64, active uint32) error {
	stored, err := versions(ctx, c.store, owner, from, to)
	if err != nil {
		return err
	}
	for day := from; day <= to; day++ {
		want := usage.Idle(levels.facts)
		if active&(1<<(day-from)) != 0 {
			deltas, err := c.store.Deltas(ctx, owner, day)
			if err != nil {
				return err
			}
			if want, _, err = foldDay(day, levels.facts, deltas); err != nil {
				return fmt.Errorf("%s of %q: %w", nameOf(day), owner, err)
			}
		}
		is := dayOf(day, levels.stored, stored[day])
		c.Checked.Days++
		if err := c.compare(ctx, owner, day, is, want, stored[day]); err != nil {
			return err
		}
		levels.facts, levels.stored = want.Closing, is.Latest.Closing
	}
	return nil
}

// compare compares a day with what it should be, and its adjustments with its versions.
func (c *check) compare(ctx context.Context, owner string, day int64, is DayUsage, want usage.Day, rows []ledger.StoredDay) error {
	d := Difference{Owner: owner, Day: day, Stored: is.Latest, Recomputed: want, Version: is.Version}
	switch {
	case !same(is.Latest, want):
		d.What = "the facts come to something else"
	case !is.Latest.Opening.Equal(want.Opening) || !is.Latest.Closing.Equal(want.Closing) ||
		is.Latest.ByteMS.Cmp(want.ByteMS) != 0 || is.Latest.PinMS.Cmp(want.PinMS) != 0 || is.Latest.PeakBytes.Cmp(want.PeakBytes) != 0 || is.Latest.Deltas != want.Deltas:
		d.What = "the numbers are not those of the digest"
	default:
		what, err := c.adjusted(ctx, owner, day, is, rows)
		if err != nil {
			return err
		}
		d.What = what
	}
	if d.What == "" {
		return nil
	}
	c.Differences++
	return c.differs(d)
}

// adjusted returns what is wrong with the adjustments of a day.
func (c *check) adjusted(ctx context.Context, owner string, day int64, is DayUsage, rows []ledger.StoredDay) (string, error) {
	if is.Version == 0 {
		return "", nil
	}
	periods := make(map[int]bool)
	for _, row := range rows {
		if row.Version > 0 {
			periods[row.Period] = true
		}
	}
	var of []usage.Adjustment
	for period := range periods {
		all, err := c.store.Adjustments(ctx, owner, period)
		if err != nil {
			return "", err
		}
		for _, a := range all {
			if a.Day == day {
				of = append(of, a.Adjustment)
			}
		}
	}
	byteMS, pinMS, err := usage.Adjusted(day, is.Closed, is.Latest.Digest, of)
	switch {
	case err != nil:
		return err.Error(), nil
	case byteMS.Cmp(is.Latest.ByteMS) != 0 || pinMS.Cmp(is.Latest.PinMS) != 0:
		return "the adjustments do not come to the last version", nil
	}
	return "", nil
}

// String is a difference for people, in a line.
func (d Difference) String() string {
	return fmt.Sprintf("%s %s version %d: %s: stored %s byte·ms, %s pin·ms, %d facts; recomputed %s, %s, %d",
		time.UnixMilli(d.Day*usage.DayMS).UTC().Format(time.DateOnly), d.Owner, d.Version, d.What,
		d.Stored.ByteMS, d.Stored.PinMS, d.Stored.Deltas, d.Recomputed.ByteMS, d.Recomputed.PinMS, d.Recomputed.Deltas)
}
