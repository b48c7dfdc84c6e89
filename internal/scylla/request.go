package scylla

import (
	"context"
	"errors"
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// Every request of the program goes through the four kinds of this file: Read
// and Rows, Write, WriteAll and WriteLogged, CAS, Scan. They own what a request needs beside
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
	// scanAttempt bounds the first attempt of one page of a scan.
	scanAttempt = 4 * time.Second
	// scanLimit bounds all of them: one of 4 s and seven of 8 s.
	scanLimit = 15 * scanAttempt
	// mostAttempt bounds every attempt. A server that waits for a replica that
	// hangs does so until its own limit (10 s in both engines), as long as it does
	// not take the node for dead (Cassandra: 18 to 19 s, measured). This is shorter
	// than the first, and ends soon after the second.
	mostAttempt = 8 * time.Second
	// leastAttempt is the shortest attempt that is worth making at the end of a
	// request.
	leastAttempt = 50 * time.Millisecond
	// maxRefusals is how often a request is sent that servers answer with an
	// error.
	maxRefusals = 3
)

// errAttempt is the cause by which a context ends with an attempt.
var errAttempt = errors.New("the time of the attempt is over")

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
	err = db.repeat(ctx, about{read, cons, s.text, 1}, func(ctx context.Context, limit time.Duration) error {
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
	return db.repeat(ctx, about{write, gocql.Quorum, s.text, 1}, func(ctx context.Context, limit time.Duration) error {
		return db.query(ctx, gocql.Quorum, s, limit).Exec()
	})
}

// WriteAll makes plain writes to one partition in one request. What holds for
// Write holds for each of them.
func (db *DB) WriteAll(ctx context.Context, all []Statement) error {
	return db.writeBatch(ctx, gocql.UnloggedBatch, all)
}

// WriteLogged makes plain writes to any partitions in one request: if one of them is made,
// all are, in the end. Others may see some of them before, and after an error some, until
// the servers have made the rest, or none. What holds for Write holds for each of them. It
// costs the servers about twice what the writes do.
func (db *DB) WriteLogged(ctx context.Context, all []Statement) error {
	return db.writeBatch(ctx, gocql.LoggedBatch, all)
}

func (db *DB) writeBatch(ctx context.Context, kind gocql.BatchType, all []Statement) error {
	what := about{batch, gocql.Quorum, "", len(all)}
	switch len(all) {
	case 0:
	case 1:
		return db.Write(ctx, all[0])
	default:
		what.text = all[0].text
	}
	entries := make([]gocql.BatchEntry, len(all))
	for i, s := range all {
		entries[i] = gocql.BatchEntry{Stmt: s.text, Args: s.values, Idempotent: true}
	}
	return db.repeat(ctx, what, func(ctx context.Context, limit time.Duration) error {
		b := db.Session.Batch(kind).WithContext(ctx).SetRequestTimeout(limit)
		b.SetConsistency(gocql.Quorum)
		b.Entries = entries
		if tracer := db.traces.tracerOf(ctx); tracer != nil {
			b.Trace(tracer)
		}
		return b.Exec()
	})
}

// CAS makes a conditional update, once. When it is not applied, now holds the
// columns of the condition as they are, if the row is there.
//
// An error for which neither NotSent nor Rejected is true leaves the outcome
// open: the update may have been applied, or may yet be. Sent again under the
// same trail (WithTrail) it goes to another replica. Who cannot find out what
// became of it tells NotServed.
func (db *DB) CAS(ctx context.Context, s Statement) (applied bool, now map[string]any, err error) {
	c := db.begin(about{cas, gocql.Quorum, s.text, 1})
	err = db.sendOnce(ctx, &c, func(ctx context.Context, limit time.Duration) (err error) {
		now = make(map[string]any, 3)
		applied, err = db.query(ctx, gocql.Quorum, s, limit).Idempotent(false).MapScanCAS(now)
		return err
	})
	db.conf.Metrics.decided(&c, applied, err)
	if err != nil {
		return false, nil, err
	}
	return applied, now, nil
}

// sendOnce makes the attempt of a conditional update.
func (db *DB) sendOnce(ctx context.Context, c *call, attempt func(ctx context.Context, limit time.Duration) error) error {
	ctx, t := withTrail(ctx)
	limit := min(casAttempt, db.limit)
	err := db.try(ctx, t, c, limit, attempt)
	if errors.Is(err, gocql.ErrNoStreams) { // it did not leave: another host may take it
		db.conf.Metrics.repeated(err)
		err = db.try(ctx, t, c, limit, attempt)
	}
	db.end(c, t, err)
	if err != nil {
		// One without an answer may have worked, which its caller finds out.
		open := !NotSent(err) && !Rejected(err)
		if err = db.describe(ctx, t, err, open); !open {
			db.NotServed(err)
		}
		return err
	}
	db.outage.success()
	return nil
}

// Prepare lets the driver learn how statements are routed before they are sent:
// it otherwise learns that when it chooses a host, within the time of the attempt
// and always from the same node, which may hang then. What it cannot learn for want
// of time it learns later.
func (db *DB) Prepare(ctx context.Context, texts []string) {
	db.conf.Metrics.know(texts)
	ctx, cancel := context.WithTimeout(ctx, readAttempt)
	defer cancel()
	for _, text := range texts {
		values := make([]any, strings.Count(text, "?"))
		if _, err := db.Session.Query(text, values...).WithContext(ctx).GetRoutingKey(); err != nil {
			logger.Debugf("preparing %q: %s", text, err)
		}
	}
}

// query is one attempt. The driver sends it once, to the first host that takes
// it: those that are down or have no connection it passes over by itself.
func (db *DB) query(ctx context.Context, cons gocql.Consistency, s Statement, limit time.Duration) *gocql.Query {
	q := db.Session.Query(s.text, s.values...).WithContext(ctx).Consistency(cons).Idempotent(true)
	q.SetRequestTimeout(limit)
	if tracer := db.traces.tracerOf(ctx); tracer != nil {
		q.Trace(tracer)
	}
	return q
}

// repeat makes attempts of a read or a plain write.
func (db *DB) repeat(ctx context.Context, what about, attempt func(ctx context.Context, limit time.Duration) error) error {
	err := db.repeatFor(ctx, what, readAttempt, db.limit, attempt)
	if err != nil {
		db.NotServed(err)
	}
	return err
}

// repeatFor makes attempts until one works, the time of the request is over, or
// another one would be of no use.
func (db *DB) repeatFor(ctx context.Context, what about, first, whole time.Duration, attempt func(ctx context.Context, limit time.Duration) error) error {
	ctx, t := withTrail(ctx)
	c := db.begin(what)
	end := c.begun.Add(whole)
	refusals := 0
	for longest, left := first, whole; ; longest = min(2*longest, mostAttempt) {
		err := db.try(ctx, t, &c, min(longest, left), attempt)
		if err == nil || errors.Is(err, gocql.ErrNotFound) {
			db.end(&c, t, nil)
			db.outage.success()
			return err
		}
		if !timedOut(err) {
			refusals++
		}
		left = time.Until(end)
		if why, ends := giveUp(ctx, err, refusals, left); ends {
			db.end(&c, t, err)
			db.conf.Metrics.gaveUp(why)
			return db.describe(ctx, t, err, false)
		}
		db.conf.Metrics.repeated(err)
	}
}

// giveUp reports whether a request that has failed with err is given up, and why. So
// many refusals it has had, and so much of its time is left.
func giveUp(ctx context.Context, err error, refused int, left time.Duration) (why givenUp, ends bool) {
	switch {
	case ctx.Err() != nil:
		return callerLeft, true
	case Permanent(err):
		return permanent, true
	case limited(err): // sending it again adds to the load that is refused
		return rateLimit, true
	case NotSent(err) && !errors.Is(err, gocql.ErrNoStreams): // of one connection
		return noNode, true // the driver has tried every host
	case refused == maxRefusals:
		return refusals, true
	case left < leastAttempt:
		return timeOver, true
	}
	return 0, false
}

// try makes one attempt. The driver's own limit is one of each message: it may
// send three, as it asks a server to prepare a statement that it has not seen yet.
func (db *DB) try(ctx context.Context, t *trail, c *call, limit time.Duration, attempt func(ctx context.Context, limit time.Duration) error) error {
	c.attempts++
	within, cancel := context.WithTimeoutCause(ctx, limit, errAttempt)
	defer cancel()
	if limit > readAttempt {
		defer db.doubt(t).Stop()
	}
	within, tracer := db.traces.begin(within, c)
	begun := time.Now()
	err := attempt(within, limit)
	if attemptOver(within, err) || broke(err) && db.wasCutOff(t, begun) {
		err = gocql.ErrTimeoutNoResponse
	}
	db.conf.Metrics.attempted(c, err)
	if tracer != nil {
		db.traces.take(ctx, c, t.node(), tracer)
	}
	return err
}

// wasCutOff reports whether the host of an attempt that began then has not answered
// for so long that its connections were closed from here.
func (db *DB) wasCutOff(t *trail, begun time.Time) bool {
	host := t.handed()
	return host != nil && db.health.cutSince(host, begun)
}

// attemptOver reports whether err came because the time of an attempt was over,
// whose context ctx is.
func attemptOver(ctx context.Context, err error) bool {
	return errors.Is(err, context.DeadlineExceeded) && errors.Is(context.Cause(ctx), errAttempt)
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
