package pins

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/gocql/gocql"
	lru "github.com/hashicorp/golang-lru/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

const (
	// mostReserved is how many places an instance reserves at a time, far from a limit. Near
	// one it is a 64th of what is left, and one by one at last.
	mostReserved = 1000
	shareOfFree  = 64
	// placeLife is how long a reserved place may be used: so long a recount waits for those
	// that were reserved before it.
	placeLife = 5 * time.Minute
	// usageTries is how often a conditional update is tried that others get before.
	usageTries = 20
	// accountsKept is of how many tenants an instance remembers what it has reserved. What it
	// forgets is in use for nothing until the next recount.
	accountsKept = 10_000
)

// usage keeps what tenants hold below their quotas. It is safe for concurrent use.
type usage struct {
	db  *scylla.DB
	now func() time.Time

	mu       sync.Mutex
	accounts *lru.Cache[string, *account]
}

// account is what an instance has reserved and freed for one tenant.
type account struct {
	mu     sync.Mutex
	quota  Quota
	places int64 // reserved and not used
	gen    int64 // in which they were reserved
	since  time.Time
	bytes  int64 // of the tenant, as last read

	freed, freedBytes, freedGen int64
	grown                       int64
}

// usageRow is a row of the table usage.
type usageRow struct {
	pins, bytes, reserved, gen int64
	counted                    time.Time
	rev                        *gocql.UUID
}

func newUsage(db *scylla.DB) *usage {
	accounts, err := lru.New[string, *account](accountsKept)
	if err != nil {
		return nil // only for a size below one
	}
	return &usage{db: db, now: time.Now, accounts: accounts}
}

func (u *usage) account(tenant string) *account {
	u.mu.Lock()
	defer u.mu.Unlock()
	a, ok := u.accounts.Get(tenant)
	if !ok {
		a = new(account)
		u.accounts.Add(tenant, a)
	}
	return a
}

// take takes a place for one request, or returns a *QuotaError.
func (u *usage) take(ctx context.Context, tenant string, quota Quota) error {
	a := u.account(tenant)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.places > 0 && a.quota == quota && u.now().Sub(a.since) < placeLife && (quota.MaxBytes == 0 || a.bytes+a.grown < quota.MaxBytes) {
		a.places--
		return nil
	}
	a.quota = quota
	return u.settle(ctx, tenant, a, func(row *usageRow) (int64, error) {
		if err := quota.full(row); err != nil {
			return 0, err
		}
		if quota.MaxPins == 0 {
			return mostReserved, nil
		}
		return share(quota.MaxPins - row.pins), nil
	})
}

// room returns a *QuotaError if take would return one, or if that many bytes more would be too
// many. It reserves nothing and writes nothing: what it says may be over a moment later.
func (u *usage) room(ctx context.Context, tenant string, quota Quota, bytes int64) error {
	if quota == (Quota{}) {
		return nil
	}
	a := u.account(tenant)
	a.mu.Lock()
	defer a.mu.Unlock()
	row, err := u.read(ctx, gocql.Quorum, tenant)
	if err != nil {
		return err
	}
	a.bring(&row)
	if err := quota.full(&row); err != nil {
		return err
	}
	if quota.MaxBytes > 0 && bytes > quota.MaxBytes-row.bytes {
		return &QuotaError{"bytes", quota.MaxBytes}
	}
	return nil
}

// full returns a *QuotaError if the row is at a limit.
func (q Quota) full(row *usageRow) error {
	switch {
	case q.MaxBytes > 0 && row.bytes >= q.MaxBytes:
		return &QuotaError{"bytes", q.MaxBytes}
	case q.MaxPins > 0 && row.pins >= q.MaxPins:
		return &QuotaError{"pins", q.MaxPins}
	}
	return nil
}

// share is how many of the places that are left an instance takes, or gives back, at once.
func share(free int64) int64 { return max(1, min(mostReserved, free/shareOfFree)) }

// settle brings the row of usage up to what the account knows, and reserves as many places
// as want says, of which the caller has one.
func (u *usage) settle(ctx context.Context, tenant string, a *account, want func(*usageRow) (int64, error)) error {
	begun := u.now()
	var places int64
	row, err := u.update(ctx, tenant, func(row *usageRow) error {
		a.bring(row)
		var err error
		if places, err = want(row); err != nil {
			return err
		}
		row.pins, row.reserved = row.pins+places, row.reserved+places
		return nil
	})
	var full *QuotaError
	if errors.As(err, &full) {
		return err // nothing was written: the account is as it was
	}
	// Also if the outcome is open: what counts twice, or not at all, must be on the safe side.
	a.places, a.freed, a.freedBytes, a.grown = 0, 0, 0, 0
	if err != nil {
		return err
	}
	a.places, a.gen, a.since, a.bytes = max(0, places-1), row.gen, begun, row.bytes
	return nil
}

// bring brings a row up to what the account knows, with none of its places reserved.
func (a *account) bring(row *usageRow) {
	if a.gen == row.gen {
		row.pins, row.reserved = row.pins-a.places, row.reserved-a.places
	}
	if a.freedGen == row.gen {
		row.pins, row.bytes = row.pins-a.freed, row.bytes-a.freedBytes
	}
	row.pins, row.bytes = max(0, row.pins), max(0, row.bytes+a.grown)
}

// update changes the row of a tenant by a conditional update. An error of change ends it.
func (u *usage) update(ctx context.Context, tenant string, change func(*usageRow) error) (usageRow, error) {
	ctx = scylla.WithTrail(ctx)
	cons := gocql.Quorum
	for range usageTries {
		row, err := u.read(ctx, cons, tenant)
		if err != nil {
			return usageRow{}, err
		}
		if err := change(&row); err != nil {
			return usageRow{}, err
		}
		rev, err := gocql.RandomUUID()
		if err != nil {
			return usageRow{}, fmt.Errorf("drawing a revision: %w", err)
		}
		applied, err := u.write(ctx, tenant, row, rev)
		if err != nil || applied {
			return row, err
		}
		cons = gocql.Serial // see what is under way
	}
	return usageRow{}, fmt.Errorf("the usage of a tenant was changed by others %d times in a row", usageTries)
}

// write makes the conditional update. When the answer is lost, it looks whose revision is
// there.
func (u *usage) write(ctx context.Context, tenant string, row usageRow, rev gocql.UUID) (bool, error) {
	var counted any = gocql.UnsetValue
	if !row.counted.IsZero() {
		counted = row.counted
	}
	applied, _, err := u.db.CAS(ctx, scylla.Bind(updateUsage, row.pins, row.bytes, row.reserved, row.gen, counted, rev, tenant, row.rev))
	if err == nil {
		return applied, nil
	}
	err = fmt.Errorf("writing the usage of a tenant: %w", err)
	if scylla.NotSent(err) || scylla.Rejected(err) {
		return false, err
	}
	now, readErr := u.read(ctx, gocql.Serial, tenant)
	if readErr == nil && now.rev != nil && *now.rev == rev {
		return true, nil
	}
	return false, errors.Join(err, readErr)
}

func (u *usage) read(ctx context.Context, cons gocql.Consistency, tenant string) (usageRow, error) {
	var row usageRow
	_, err := u.db.Read(ctx, cons, scylla.Bind(selectUsage, tenant), &row.pins, &row.bytes, &row.reserved, &row.gen, &row.counted, &row.rev)
	if err != nil {
		return usageRow{}, fmt.Errorf("reading the usage of a tenant: %w", err)
	}
	return row, nil
}

// close gives back what is reserved.
func (u *usage) close(ctx context.Context) error {
	var errs []error
	for _, tenant := range u.accounts.Keys() {
		a := u.account(tenant)
		a.mu.Lock()
		if a.places > 0 || a.freed > 0 || a.grown != 0 {
			errs = append(errs, u.settle(ctx, tenant, a, func(*usageRow) (int64, error) { return 0, nil }))
		}
		a.mu.Unlock()
	}
	return errors.Join(errs...)
}
