package pins

import (
	"context"
	"fmt"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// removal is what was known of a tenant's usage before a request of it was removed.
type removal struct {
	gen   int64
	quota Quota
	row   usageRow
}

// before is called before a request is removed. What was removed before a recount ended, and
// is told after, must not be told: the recount has not seen it.
func (u *usage) before(ctx context.Context, tenant string, quota Quota) (removal, error) {
	row, err := u.read(ctx, gocql.Quorum, tenant)
	if err != nil {
		return removal{}, err
	}
	return removal{gen: row.gen, quota: quota, row: row}, nil
}

// free gives the place of a request that was removed to others. What cannot be given now is
// given by the next recount.
func (u *usage) free(ctx context.Context, r *row, was removal) {
	first, err := u.claimPlace(ctx, r)
	if err != nil || !first {
		return
	}
	a := u.account(r.Tenant)
	a.mu.Lock()
	defer a.mu.Unlock()
	if a.freedGen != was.gen {
		a.freed, a.freedBytes, a.freedGen = 0, 0, was.gen
	}
	a.freed++
	a.freedBytes += r.Size
	if a.freed >= share(was.quota.MaxPins-was.row.pins) || was.quota.MaxBytes > 0 {
		// A place that the instance has not used is given with it, and the next reserved anew.
		if err := u.settle(ctx, r.Tenant, a, func(*usageRow) (int64, error) { return 0, nil }); err != nil {
			logger.Debugf("a place in the quota is free after the next recount only: %s", err)
		}
	}
}

// claimPlace returns true once for each request: the removal of one request by two at the
// same time frees one place.
func (u *usage) claimPlace(ctx context.Context, r *row) (bool, error) {
	applied, _, err := u.db.CAS(ctx, scylla.Bind(insertFreed, r.Tenant, r.created, r.rnd))
	if err != nil {
		return false, fmt.Errorf("freeing a place in the quota: %w", err)
	}
	return applied, nil
}

// grow notes that the content of a tenant's request has so many bytes more than was known.
func (u *usage) grow(tenant string, by int64) {
	a := u.account(tenant)
	a.mu.Lock()
	defer a.mu.Unlock()
	a.grown += by
}
