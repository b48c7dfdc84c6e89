package scylla

import (
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"
)

// TryLease takes the named lease for ttl if it is free or has run out, or prolongs it if
// holder has it, and returns its epoch; false if somebody else has it. It does not wait.
// Another holder has another, larger epoch. Holder must be the name of one process. After
// an error the lease may be held, which the next call finds out.
func (db *DB) TryLease(ctx context.Context, name, holder string, ttl time.Duration) (epoch int64, held bool, err error) {
	l := &Lease{db: db, name: name, holder: holder}
	now, err := l.read(ctx, gocql.Quorum)
	if err != nil {
		return 0, false, err
	}
	mine := now.epoch != nil && now.holder == holder
	if !mine && now.until.After(time.Now()) {
		return 0, false, nil
	}
	// Also in a keyspace that was made anew, or comes from a backup, an epoch is larger than
	// those before.
	epoch = time.Now().UnixMilli()
	switch {
	case mine:
		epoch = *now.epoch // also if it has run out: nobody has taken it
	case now.epoch != nil:
		epoch = max(epoch, *now.epoch+1)
	}
	held, err = l.write(ctx, holder, epoch, time.Now().Add(ttl), now.epoch)
	switch {
	case err != nil:
		return 0, false, fmt.Errorf("taking the lease %s: %w", name, err)
	case !held: // somebody was faster
		return 0, false, nil
	}
	return epoch, true, nil
}

// FreeLease gives back a lease that TryLease has taken. It is no error if it was lost.
func (db *DB) FreeLease(ctx context.Context, name, holder string, epoch int64) error {
	l := &Lease{db: db, name: name, holder: holder}
	now, err := l.read(ctx, gocql.Quorum)
	if err != nil || now.epoch == nil || now.holder != holder || *now.epoch != epoch {
		return err
	}
	if _, err := l.write(ctx, "", epoch, time.Unix(0, 0), &epoch); err != nil {
		return fmt.Errorf("giving back the lease %s: %w", name, err)
	}
	return nil
}
