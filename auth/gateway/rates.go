package gateway

import (
	"context"
	"sync"
	"time"

	"github.com/hashicorp/golang-lru/v2/simplelru"
	"golang.org/x/time/rate"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
)

const (
	// tenantRates is of how many tenants the rates are remembered that they have of their own.
	tenantRates = 10_000
	// askTenant bounds the look at what a tenant may do.
	askTenant = 2 * time.Second
)

// perTenant limits tenants: those that have a rate of their own by that, with a second's worth
// at once, and the others by the configuration's.
type perTenant struct {
	tenants *accounts.Tenants
	others  door.Rates // nil without a limit

	mu  sync.Mutex
	own *simplelru.LRU[string, *rate.Limiter]
}

func newPerTenant(tenants *accounts.Tenants, others door.Rates) (*perTenant, error) {
	own, err := simplelru.NewLRU[string, *rate.Limiter](tenantRates, nil)
	if err != nil {
		return nil, err
	}
	return &perTenant{tenants: tenants, others: others, own: own}, nil
}

// Take implements door.Rates. What a tenant may do is not known while the database does not
// answer: then the request fails anyway, when it is looked whether the tenant may work.
func (p *perTenant) Take(tenant string) (time.Duration, bool) {
	ctx, cancel := context.WithTimeout(context.Background(), askTenant)
	defer cancel()
	t, found, err := p.tenants.Get(ctx, tenant)
	switch {
	case err == nil && found && t.RequestsPerSecond > 0:
		return p.take(tenant, t.RequestsPerSecond)
	case p.others != nil:
		return p.others.Take(tenant)
	}
	return 0, true
}

// take takes one of a tenant's own rate.
func (p *perTenant) take(tenant string, perSecond int) (time.Duration, bool) {
	p.mu.Lock()
	limiter, ok := p.own.Get(tenant)
	if !ok {
		limiter = rate.NewLimiter(rate.Limit(perSecond), perSecond)
		p.own.Add(tenant, limiter)
	}
	p.mu.Unlock()
	if limiter.Burst() != perSecond { // it was changed
		limiter.SetLimit(rate.Limit(perSecond))
		limiter.SetBurst(perSecond)
	}
	taken := limiter.Reserve()
	if wait := taken.Delay(); wait > 0 {
		taken.Cancel()
		return wait, false
	}
	return 0, true
}
