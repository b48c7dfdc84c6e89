package scylla

import (
	"context"
	"time"

	"github.com/gocql/gocql"
)

// Rows are the rows that a statement selects, fetched page by page. They are
// for one goroutine. The caller closes them.
type Rows struct {
	db      *DB
	ctx     context.Context
	cancel  context.CancelFunc
	trail   *trail
	s       Statement
	cons    gocql.Consistency
	size    int
	first   int  // of the first page, zero for size
	scan    bool // of a piece of the ring
	attempt time.Duration
	whole   time.Duration

	iter  *gocql.Iter // the page that is read, nil before the first and after the last
	read  int         // rows of it
	state []byte      // where the page after it begins, empty when there is none
	next  chan page   // that page, nil until it is asked for
	begun bool
	err   error
}

// page is one answer.
type page struct {
	iter  *gocql.Iter
	state []byte // where the next one begins, empty after the last
	err   error
}

// Rows reads the rows of one partition, or of a small table, size of them at a
// time.
func (db *DB) Rows(ctx context.Context, cons gocql.Consistency, size int, s Statement) *Rows {
	return db.rows(ctx, cons, size, s, readAttempt, db.limit)
}

// Scan reads the rows of a piece of the ring, for which the servers may take
// longer than for a partition. The caller tells the log when it gives up, see
// NotServed.
func (db *DB) Scan(ctx context.Context, cons gocql.Consistency, size int, s Statement) *Rows {
	rows := db.rows(ctx, cons, size, s, scanAttempt, scanLimit)
	rows.scan = true
	return rows
}

func (db *DB) rows(ctx context.Context, cons gocql.Consistency, size int, s Statement, attempt, whole time.Duration) *Rows {
	ctx, cancel := context.WithCancel(ctx)
	ctx, t := withTrail(ctx)
	return &Rows{db: db, ctx: ctx, cancel: cancel, trail: t, s: s, cons: cons, size: size, attempt: attempt, whole: whole}
}

// StartWith makes the first page one of n rows, for a caller that may need no more of
// them. It must be called before Next.
func (r *Rows) StartWith(n int) *Rows {
	r.first = n
	return r
}

// Next copies the next row into dest, which has a pointer for each column. It
// returns false at the end and after an error, which Close returns.
func (r *Rows) Next(dest ...any) bool {
	for r.err == nil {
		switch {
		case !r.begun:
			r.begun = true
			r.take(r.fetch(nil, r.firstSize()))
		case r.iter == nil:
			return false
		case r.iter.Scan(dest...):
			if r.read++; r.read == 2 {
				r.ahead() // not before: a caller may stop at the first row
			}
			return true
		default:
			if err := r.iter.Close(); err != nil {
				r.err = r.failed(r.db.describe(r.ctx, r.trail, err, false))
				return false
			}
			r.advance()
		}
	}
	return false
}

func (r *Rows) firstSize() int {
	if r.first > 0 {
		return r.first
	}
	return r.size
}

// advance goes on with the next page.
func (r *Rows) advance() {
	r.iter = nil
	if len(r.state) == 0 {
		return
	}
	r.ahead()
	p := <-r.next
	r.next = nil
	r.take(p)
}

// take makes p the page that is read.
func (r *Rows) take(p page) {
	if r.err = p.err; r.err != nil {
		return
	}
	r.iter, r.state, r.read = p.iter, p.state, 0
}

// ahead fetches the page after the one that is read meanwhile.
func (r *Rows) ahead() {
	if len(r.state) == 0 || r.next != nil {
		return
	}
	next, state := make(chan page, 1), r.state
	r.next = next
	go func() { next <- r.fetch(state, r.size) }()
}

// fetch gets the page of size rows that begins at state.
func (r *Rows) fetch(state []byte, size int) (p page) {
	what := about{read, r.cons, r.s.text, 1}
	if r.scan {
		what.kind = scan
	}
	p.err = r.db.repeatFor(r.ctx, what, r.attempt, r.whole, func(ctx context.Context, limit time.Duration) error {
		s := r.s
		if r.scan {
			s.text += r.db.Dialect.Scan(wholeAttempt(limit))
		}
		iter := r.db.query(ctx, r.cons, s, limit).PageSize(size).PageState(state).Iter()
		p.iter, p.state = iter, iter.PageState()
		if iter.NumRows() > 0 {
			return nil
		}
		// Only closing it tells an error. An empty page may have one after it.
		return iter.Close()
	})
	p.err = r.failed(p.err)
	return p
}

// wholeAttempt is the limit that an attempt of a scan has if the time of the
// request does not cut it short: there are two, and each is a statement to the
// servers.
func wholeAttempt(limit time.Duration) time.Duration {
	if limit <= scanAttempt {
		return scanAttempt
	}
	return mostAttempt
}

// failed tells the log of an error, unless the caller does.
func (r *Rows) failed(err error) error {
	if err != nil && !r.scan {
		r.db.NotServed(err)
	}
	return err
}

// Close ends the reading. It returns the error that ended it early, nil when
// the caller did.
func (r *Rows) Close() error {
	r.cancel()
	if r.iter != nil && r.err == nil {
		_ = r.iter.Close() // what was not read does not matter
	}
	if r.next != nil {
		if p := <-r.next; p.err == nil {
			_ = p.iter.Close()
		}
	}
	r.iter, r.next = nil, nil
	return r.err
}
