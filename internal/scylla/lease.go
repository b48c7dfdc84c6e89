package scylla

import (
	"context"
	"errors"
	"fmt"
	"os"
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
	leaseTime  = 60 * time.Second
	leasePause = 300 * time.Millisecond
)

// Lease is the right to do one named thing, for a time. It keeps well-behaved
// processes apart; it does not stop a paused one that wakes up late, so what is
// done under it must be safe to do twice.
type Lease struct {
	db     *DB
	name   string
	holder string
	epoch  int64
}

// AcquireLease waits until the named lease is free or has run out, and takes
// it. It ends with ctx.
func (db *DB) AcquireLease(ctx context.Context, name string) (*Lease, error) {
	l := &Lease{db: db, name: name, holder: fmt.Sprintf("%s %s", Process(), gocql.MustRandomUUID())}
	told := ""
	for {
		holder, epoch, until, err := l.read(ctx)
		if err != nil {
			return nil, err
		}
		if holder == l.holder {
			return l, nil // an earlier try whose answer was lost
		}
		if until.Before(time.Now()) {
			taken, err := l.take(ctx, epoch)
			if err != nil && Permanent(err) {
				return nil, fmt.Errorf("taking the lease %s: %w", name, err)
			}
			if err != nil {
				logger.Warnf("taking the lease %s, trying again: %s", name, err)
			}
			if taken {
				return l, nil
			}
		} else if told != holder {
			logger.Infof("waiting for the lease %s, held by %s until %s", name, holder, until.Format(time.RFC3339))
			told = holder
		}
		select {
		case <-ctx.Done():
			return nil, fmt.Errorf("waiting for the lease %s: %w", name, context.Cause(ctx))
		case <-time.After(leasePause):
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

// read returns who holds the lease. The epoch is nil when nobody ever did.
func (l *Lease) read(ctx context.Context) (holder string, epoch *int64, until time.Time, err error) {
	ctx = WithTrail(ctx)
	err = l.db.Query(selectLease, l.name).WithContext(ctx).Consistency(gocql.Serial).Idempotent(true).Scan(&holder, &epoch, &until)
	if errors.Is(err, gocql.ErrNotFound) {
		err = nil
	}
	if err != nil {
		err = fmt.Errorf("reading the lease %s: %w", l.name, Describe(ctx, err))
	}
	return holder, epoch, until, err
}

func (l *Lease) take(ctx context.Context, old *int64) (bool, error) {
	epoch := int64(1)
	if old != nil {
		epoch = *old + 1
	}
	applied, err := l.write(ctx, l.holder, epoch, time.Now().Add(leaseTime), old)
	if applied {
		l.epoch = epoch
	}
	return applied, err
}

// Renew prolongs the lease. An error means that it may be lost.
func (l *Lease) Renew(ctx context.Context) error {
	applied, err := l.write(ctx, l.holder, l.epoch, time.Now().Add(leaseTime), &l.epoch)
	if err == nil && !applied {
		err = errors.New("another process has taken it")
	}
	if err != nil {
		return fmt.Errorf("renewing the lease %s: %w", l.name, err)
	}
	return nil
}

// Release gives the lease back. When it fails, the lease runs out by itself.
func (l *Lease) Release(ctx context.Context) {
	if _, err := l.write(ctx, "", l.epoch, time.Unix(0, 0), &l.epoch); err != nil {
		logger.Infof("the lease %s was not given back and runs out within %s: %s", l.name, leaseTime, err)
	}
}

func (l *Lease) write(ctx context.Context, holder string, epoch int64, until time.Time, old *int64) (bool, error) {
	ctx = WithTrail(ctx)
	applied, err := l.db.Query(takeLease, holder, epoch, until, l.name, old).
		WithContext(ctx).RetryPolicy(NoRetry()).MapScanCAS(map[string]any{})
	return applied, Describe(ctx, err)
}
