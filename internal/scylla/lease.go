package scylla

import (
	"context"
	"errors"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"time"

	"github.com/gocql/gocql"
)

// leasesTable is the table behind Lease. Its rows are written by conditional
// updates only.
const leasesTable = `CREATE TABLE IF NOT EXISTS leases (
	name text PRIMARY KEY,
	holder text,
	epoch bigint,
	until timestamp
) WITH ${point}`

const (
	selectLease = "SELECT holder, epoch, until FROM leases WHERE name = ?"
	takeLease   = "UPDATE leases SET holder = ?, epoch = ?, until = ? WHERE name = ? IF epoch = ?"
)

const (
	leaseTime = 60 * time.Second
	// Those who wait look every one to three seconds, each after a pause of
	// its own.
	leastPause = time.Second
	mostPause  = 3 * time.Second
)

// errTaken says that somebody else holds the lease.
var errTaken = errors.New("another process has taken it")

// Lease is the right to do one named thing, for a time. It keeps well-behaved
// processes apart; it does not stop a paused one that wakes up late, so what is
// done under it must be safe to do twice.
type Lease struct {
	db     *DB
	name   string
	holder string
	epoch  int64
	until  time.Time
}

// leaseRow is what the table says. The epoch is nil when nobody ever held the
// lease.
type leaseRow struct {
	holder string
	epoch  *int64
	until  time.Time
}

// AcquireLease waits until the named lease is free or has run out, and takes
// it. It ends with ctx.
func (db *DB) AcquireLease(ctx context.Context, name string) (*Lease, error) {
	l := &Lease{db: db, name: name, holder: fmt.Sprintf("%s %s", Process(), gocql.MustRandomUUID())}
	if err := l.acquire(ctx); err != nil {
		return nil, err
	}
	return l, nil
}

func (l *Lease) acquire(ctx context.Context) error {
	told := ""
	for {
		// A read at SERIAL is a ballot, and ballots of those who wait would get
		// in the way of the holder's: it is for a lease that looks free.
		now, err := l.read(ctx, gocql.Quorum)
		if err == nil && now.until.Before(time.Now()) {
			now, err = l.read(ctx, gocql.Serial)
		}
		if err != nil {
			return err
		}
		if now.holder == l.holder { // by a try whose answer was lost
			l.epoch, l.until = *now.epoch, now.until
			return nil
		}
		if now.until.Before(time.Now()) {
			taken, err := l.take(ctx, now.epoch)
			if err != nil && Permanent(err) {
				return fmt.Errorf("taking the lease %s: %w", l.name, err)
			}
			if err != nil {
				logger.Warnf("taking the lease %s, trying again: %s", l.name, err)
			}
			if taken {
				return nil
			}
		} else if told != now.holder {
			logger.Infof("waiting for the lease %s, held by %s until %s", l.name, now.holder, now.until.Format(time.RFC3339))
			told = now.holder
		}
		select {
		case <-ctx.Done():
			return fmt.Errorf("waiting for the lease %s: %w", l.name, context.Cause(ctx))
		case <-time.After(leastPause + rand.N(mostPause-leastPause)):
		}
	}
}

// Process names this process for people who read it in a table: the host and
// the process ID.
func Process() string {
	host, err := os.Hostname()
	if err != nil {
		host = "unknown host"
	}
	return fmt.Sprintf("%s pid %d", host, os.Getpid())
}

func (l *Lease) read(ctx context.Context, cons gocql.Consistency) (leaseRow, error) {
	var r leaseRow
	if _, err := l.db.Read(ctx, cons, Bind(selectLease, l.name), &r.holder, &r.epoch, &r.until); err != nil {
		return leaseRow{}, fmt.Errorf("reading the lease %s: %w", l.name, err)
	}
	return r, nil
}

func (l *Lease) take(ctx context.Context, old *int64) (bool, error) {
	epoch := int64(1)
	if old != nil {
		epoch = *old + 1
	}
	until := time.Now().Add(l.db.leaseTime)
	taken, err := l.write(ctx, l.holder, epoch, until, old)
	if taken {
		l.epoch, l.until = epoch, until
	}
	return taken, err
}

// Renew prolongs the lease. An error means that it may be lost.
func (l *Lease) Renew(ctx context.Context) error {
	held, err := l.write(ctx, l.holder, l.epoch, time.Now().Add(l.db.leaseTime), &l.epoch)
	if err == nil && !held {
		err = errTaken
	}
	if err != nil {
		return fmt.Errorf("renewing the lease %s: %w", l.name, err)
	}
	return nil
}

// Keep renews a lease that was just taken, for what takes longer than it lasts,
// until stop is called. The context it returns ends when the lease is lost, or
// runs out and cannot be renewed, with the reason as its cause.
func (l *Lease) Keep(ctx context.Context) (held context.Context, stop func()) {
	held, lose := context.WithCancelCause(ctx)
	stopped := make(chan struct{})
	var keeping sync.WaitGroup
	until := l.until
	keeping.Go(func() {
		if err := keep(ctx, stopped, until, l.db.leaseTime, l.Renew); err != nil {
			lose(err)
		}
	})
	return held, func() {
		// One under way is waited for: it would take the lease anew after Release.
		close(stopped)
		keeping.Wait()
		lose(nil)
	}
}

// keep renews what lasts until then, for lasts each time, until it is stopped, ctx
// ends or it is lost.
func keep(ctx context.Context, stopped <-chan struct{}, until time.Time, lasts time.Duration, renew func(context.Context) error) error {
	pause := lasts / 3
	for {
		select {
		case <-stopped:
			return nil
		case <-ctx.Done():
			return nil
		case <-time.After(pause):
		}
		begun := time.Now()
		within, cancel := context.WithDeadline(ctx, until)
		err := renew(within)
		cancel()
		switch {
		case err == nil:
			until, pause = begun.Add(lasts), lasts/3
		case ctx.Err() != nil:
			return nil
		case errors.Is(err, errTaken):
			return err
		case time.Until(until) <= leastPause:
			return fmt.Errorf("the lease runs out: %w", err)
		default:
			pause = leastPause
		}
	}
}

// Release gives the lease back. When it fails, the lease runs out by itself.
func (l *Lease) Release(ctx context.Context) {
	if _, err := l.write(ctx, "", l.epoch, time.Unix(0, 0), &l.epoch); err != nil {
		logger.Infof("the lease %s was not given back and runs out within %s: %s", l.name, l.db.leaseTime, err)
	}
}

// write makes the conditional update, and reports whether the row is now as it
// was to be written. When the answer is lost it reads: who holds the lease is in
// the row, and no two holders have one name.
func (l *Lease) write(ctx context.Context, holder string, epoch int64, until time.Time, old *int64) (bool, error) {
	ctx = WithTrail(ctx)
	applied, _, err := l.db.CAS(ctx, Bind(takeLease, holder, epoch, until, l.name, old))
	if err == nil || NotSent(err) || Rejected(err) {
		return applied, err
	}
	now, readErr := l.read(ctx, gocql.Serial)
	if readErr != nil {
		return false, errors.Join(err, readErr)
	}
	if now.epoch != nil && *now.epoch == epoch && now.holder == holder && now.until.UnixMilli() == until.UnixMilli() {
		return true, nil
	}
	return false, err
}
