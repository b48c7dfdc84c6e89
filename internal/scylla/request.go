package scylla

import (
	"context"
	"errors"
	"time"

	"github.com/gocql/gocql"
)

// Every request of the program goes through the four kinds of this file: Read
// and Rows, Write and WriteAll, CAS, Scan. They own what a request needs beside
// its statement: how long one attempt and all of them may take, at which
// consistency, to which host the next attempt goes, and what an error says.
//
// No attempt may use up the time of its request: a node that hangs answers
// nothing, and only another replica can. What may be sent twice is sent again,
// to a host that has not failed this request yet. A conditional update is sent
// once; whoever made it decides by reading (see CAS).

const (
	// readAttempt bounds the first attempt of a read or a plain write. Each
	// further one may take twice as long: a database that is merely slow must
	// not be asked for the same again and again.
	readAttempt = time.Second
	// casAttempt bounds a conditional update. It is longer than the servers'
	// own limit for one (write_request_timeout, 2 s): what the client gives up
	// while the server works on contends with its own repetition.
	casAttempt = 3 * time.Second
	// scanAttempt bounds one page of a scan, beyond the limit that the dialect
	// sets for it on the server.
	scanAttempt = ScanTimeout + 5*time.Second
	// maxRefusals is how often a request is sent that servers answer with an
	// error.
	maxRefusals = 3
)

// Statement is CQL text with the values of its markers.
type Statement struct {
	text   string
	values []any
}

// Bind makes a Statement.
func Bind(text string, values ...any) Statement { return Statement{text, values} }

// Read reads one row into dest, which has a pointer for each column. It returns
// false when there is no row.
func (db *DB) Read(ctx context.Context, cons gocql.Consistency, s Statement, dest ...any) (found bool, err error) {
	err = db.repeat(ctx, func(ctx context.Context, limit time.Duration) error {
		return db.query(ctx, cons, s, limit).Scan(dest...)
	})
	if errors.Is(err, gocql.ErrNotFound) {
		return false, nil
	}
	return err == nil, err
}

// Write makes a plain write at QUORUM. It may be applied more than once, so it
// must be one that carries its timestamp, or that nobody else makes.
func (db *DB) Write(ctx context.Context, s Statement) error {
	return db.repeat(ctx, func(ctx context.Context, limit time.Duration) error {
		return db.query(ctx, gocql.Quorum, s, limit).Exec()
	})
}

// WriteAll makes plain writes to one partition in one request. What holds for
// Write holds for each of them.
func (db *DB) WriteAll(ctx context.Context, all []Statement) error {
	if len(all) == 1 {
		return db.Write(ctx, all[0])
	}
	entries := make([]gocql.BatchEntry, len(all))
	for i, s := range all {
		entries[i] = gocql.BatchEntry{Stmt: s.text, Args: s.values, Idempotent: true}
	}
	return db.repeat(ctx, func(ctx context.Context, limit time.Duration) error {
		b := db.Session.Batch(gocql.UnloggedBatch).WithContext(ctx).SetRequestTimeout(limit)
		b.SetConsistency(gocql.Quorum)
		b.Entries = entries
		return b.Exec()
	})
}

// CAS makes a conditional update, once. When it is not applied, now holds the
// columns of the condition as they are, if the row is there.
//
// An error for which neither NotSent nor Rejected is true leaves the outcome
// open: the update may have been applied, or may yet be. Sent again under the
// same trail (WithTrail) it goes to another replica.
func (db *DB) CAS(ctx context.Context, s Statement) (applied bool, now map[string]any, err error) {
	ctx, t := withTrail(ctx)
	defer db.doubt(t).Stop()
	now = make(map[string]any, 3)
	applied, err = db.query(ctx, gocql.Quorum, s, min(casAttempt, db.limit)).Idempotent(false).MapScanCAS(now)
	if err != nil {
		return false, nil, db.describe(t, err, true)
	}
	db.outage.success()
	return applied, now, nil
}

// query is one attempt. The driver sends it once, to the first host that takes
// it: those that are down or have no connection it passes over by itself.
func (db *DB) query(ctx context.Context, cons gocql.Consistency, s Statement, limit time.Duration) *gocql.Query {
	q := db.Session.Query(s.text, s.values...).WithContext(ctx).Consistency(cons).Idempotent(true)
	q.SetRequestTimeout(limit)
	return q
}

// repeat makes attempts of a read or a plain write.
func (db *DB) repeat(ctx context.Context, attempt func(ctx context.Context, limit time.Duration) error) error {
	return db.repeatFor(ctx, readAttempt, db.limit, attempt)
}

// repeatFor makes attempts until one works, the time of the request is over, or
// another one would be of no use.
func (db *DB) repeatFor(ctx context.Context, first, whole time.Duration, attempt func(ctx context.Context, limit time.Duration) error) error {
	ctx, t := withTrail(ctx)
	end := time.Now().Add(whole)
	refusals := 0
	for longest := min(first, whole); ; longest *= 2 {
		err := db.try(ctx, t, min(longest, time.Until(end)), attempt)
		if err == nil || errors.Is(err, gocql.ErrNotFound) {
			db.outage.success()
			return err
		}
		if !timedOut(err) {
			refusals++
		}
		if refusals == maxRefusals || !repeatable(err) || ctx.Err() != nil || !time.Now().Before(end) {
			return db.describe(t, err, false)
		}
	}
}

// try makes one attempt.
func (db *DB) try(ctx context.Context, t *trail, limit time.Duration, attempt func(ctx context.Context, limit time.Duration) error) error {
	if limit > readAttempt {
		defer db.doubt(t).Stop()
	}
	return attempt(ctx, limit)
}

// doubt looks after a while whether the node that an attempt waits for answers
// anything at all. If it does not, the attempt ends long before its limit: its
// connection is closed.
func (db *DB) doubt(t *trail) *time.Timer {
	return time.AfterFunc(readAttempt, func() {
		if host := t.handed(); host != nil {
			db.health.suspect(host)
		}
	})
}

// timedOut reports whether the host has not answered in the time of an attempt.
func timedOut(err error) bool { return errors.Is(err, gocql.ErrTimeoutNoResponse) }

// repeatable reports whether another host may answer what has failed with err.
func repeatable(err error) bool {
	var limited *gocql.RequestErrRateLimitReached
	if Permanent(err) || errors.As(err, &limited) {
		return false // sending it again adds to the load that is refused
	}
	return !NotSent(err) // the driver has tried every host
}
