package gateway

import (
	"context"
	"errors"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/admin"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/recent"
)

// quotas says what tenants may hold, as it was some moment of the last seconds.
func quotas(tenants *accounts.Tenants) func(context.Context, string) (pins.Quota, error) {
	return func(ctx context.Context, id string) (pins.Quota, error) {
		t, found, err := tenants.Get(ctx, id)
		switch {
		case err != nil:
			return pins.Quota{}, fmt.Errorf("the quota of a tenant: %w", err)
		case !found:
			return pins.Quota{}, errors.New("the quota of a tenant: there is no such tenant")
		}
		return pins.Quota{MaxPins: t.MaxPins, MaxBytes: t.MaxBytes}, nil
	}
}

// usage is what the door asks of tenants. What they hold is remembered for seconds: it is
// for policies, and the limit itself is kept by package pins.
type usage struct {
	tenants *accounts.Tenants
	used    *recent.Answers[pins.Usage]
}

func newUsage(tenants *accounts.Tenants, requests *pins.Service) (*usage, error) {
	used, err := recent.New(func(ctx context.Context, tenant string) (pins.Usage, bool, error) {
		u, err := requests.Usage(ctx, tenant)
		return u, true, err
	}, recent.Config{})
	if err != nil {
		return nil, err
	}
	return &usage{tenants, used}, nil
}

// Active implements door.Tenants.
func (u *usage) Active(ctx context.Context, id string) (bool, error) {
	t, found, err := u.tenants.Get(ctx, id)
	return found && !t.Disabled, err
}

// QuotaUsed implements door.Tenants.
func (u *usage) QuotaUsed(ctx context.Context, id string) (int64, error) {
	t, found, err := u.tenants.Get(ctx, id)
	if err != nil || !found || t.MaxPins == 0 && t.MaxBytes == 0 {
		return 0, err
	}
	used, _, err := u.used.Get(ctx, id)
	if err != nil {
		return 0, err
	}
	return max(percent(used.Pins, t.MaxPins), percent(used.Bytes, t.MaxBytes)), nil
}

// percent is the part of a limit that is used, 0 without a limit.
func percent(used, limit int64) int64 {
	if limit == 0 {
		return 0
	}
	return int64(float64(used) / float64(limit) * 100)
}

// used is what tenants hold, as the API for administrators tells it.
type used struct{ requests *pins.Service }

// Usage implements admin.Usage.
func (u used) Usage(ctx context.Context, tenant string) (admin.Used, error) {
	has, err := u.requests.Usage(ctx, tenant)
	return admin.Used{Pins: has.Pins, Bytes: has.Bytes}, err
}
