package invoicing

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// blockNumbers is how many numbers lie together. Rows that are stored depend on it.
const blockNumbers = 4096

// text is a number as people write it.
func text(series string, number int64) string { return fmt.Sprintf("%s-%06d", series, number) }

// taken is whose a number is, and since when.
type taken struct {
	place
	at time.Time
}

// number has a number belong to a draft, and returns it with the moment at which it was taken, both
// the same whoever asks and however often. It returns false if the draft is none any more.
//
// The draft says first which number it is to have (want), and goes on to the next one only when
// that one is known to be another's: so never has it two. A number is tried only when the one
// before it is there: so there are no gaps.
func (o *Office) number(ctx context.Context, at place) (n int64, since time.Time, ok bool, err error) {
	select {
	case o.taking <- struct{}{}:
	case <-ctx.Done():
		return 0, time.Time{}, false, context.Cause(ctx)
	}
	defer func() { <-o.taking }()
	for {
		r, err := o.row(ctx, at)
		if err != nil {
			return 0, time.Time{}, false, err
		}
		if !r.draft() {
			return 0, time.Time{}, false, nil
		}
		if r.want != nil {
			whose, err := o.reserve(ctx, r.series, *r.want, at)
			if err != nil {
				return 0, time.Time{}, false, err
			}
			if whose.place == at {
				return *r.want, whose.at, true, nil
			}
		}
		next, err := o.nextNumber(ctx, r.series)
		if err != nil {
			return 0, time.Time{}, false, err
		}
		if r.want != nil {
			next = max(next, *r.want+1) // that one is taken, as was just seen
		}
		err = o.decide(ctx, scylla.Bind(updateWant, next, at.owner, at.period, at.rev, string(invoice.Draft), r.want))
		if err != nil {
			return 0, time.Time{}, false, fmt.Errorf("choosing a number for the %s: %w", at, err)
		}
	}
}

// reserve takes a number for a document unless it is taken, and returns whose it is. After an error
// nothing but the same may be tried.
func (o *Office) reserve(ctx context.Context, series string, n int64, at place) (taken, error) {
	block := n / blockNumbers
	err := o.decide(ctx, scylla.Bind(insertNumber, series, block, n, at.owner, at.period, at.rev, o.now()))
	if err != nil {
		return taken{}, fmt.Errorf("taking the number %s: %w", text(series, n), err)
	}
	var whose taken
	found, err := o.db.Read(ctx, gocql.Serial, scylla.Bind(selectNumber, series, block, n), &whose.owner, &whose.period, &whose.rev, &whose.at)
	if err == nil && !found {
		err = errors.New("it is not there after it was taken")
	}
	return whose, wrap(err, "reading whose the number %s is", text(series, n))
}

// nextNumber returns one that was free, and before which all are taken.
func (o *Office) nextNumber(ctx context.Context, series string) (int64, error) {
	var block int64
	if _, err := o.db.Read(ctx, gocql.Quorum, scylla.Bind(selectNewest, series), &block); err != nil {
		return 0, fmt.Errorf("looking where the numbers %s end: %w", series, err)
	}
	for {
		var top int64
		found, err := o.db.Read(ctx, gocql.Quorum, scylla.Bind(selectTop, series, block), &top)
		switch {
		case err != nil:
			return 0, fmt.Errorf("looking for the last number %s: %w", series, err)
		case !found: // all before it are taken, and the first of all is 1
			return max(1, block*blockNumbers), nil
		case top+1 < (block+1)*blockNumbers:
			return top + 1, nil
		}
		block++
		if err := o.write(ctx, scylla.Bind(insertNewest, series, block, block)); err != nil {
			return 0, fmt.Errorf("noting where the numbers %s end: %w", series, err)
		}
	}
}

// Finish issues what has a number and was not issued, which crashes leave, and returns how many
// documents that were. It looks at the last numbers of a series: two blocks of 4,096.
func (o *Office) Finish(ctx context.Context, series string) (int, error) {
	next, err := o.nextNumber(ctx, series)
	if err != nil {
		return 0, err
	}
	finished := 0
	for block := max(0, next/blockNumbers-1); block <= next/blockNumbers; block++ {
		err := o.eachNumber(ctx, series, block, func(_ int64, at place) error {
			r, err := o.row(ctx, at)
			if err != nil {
				return err
			}
			if !r.draft() {
				return nil
			}
			finished++
			_, err = o.finish(ctx, at)
			return err
		})
		if err != nil {
			return finished, err
		}
	}
	return finished, nil
}

func (o *Office) eachNumber(ctx context.Context, series string, block int64, f func(n int64, at place) error) error {
	rows := o.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(selectNumbers, series, block))
	defer rows.Close()
	var n int64
	for at := (place{}); rows.Next(&n, &at.owner, &at.period, &at.rev); at = (place{}) {
		if err := f(n, at); err != nil {
			return err
		}
	}
	return wrap(rows.Close(), "reading the numbers %s", series)
}
