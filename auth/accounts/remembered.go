package accounts

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/recent"
)

// Tenants remember for seconds what tenants are: a request does not read the database, and
// that a tenant was disabled is seen by all instances within 5 seconds. Safe for concurrent
// use.
type Tenants struct {
	answers *recent.Answers[Tenant]
}

// NewTenants returns tenants that ask a store. Zero times are those of package recent: 5
// seconds, and 1 second for tenants that do not exist.
func NewTenants(store *Store, times recent.Config) (*Tenants, error) {
	answers, err := recent.New(store.Tenant, times)
	if err != nil {
		return nil, fmt.Errorf("tenants: %w", err)
	}
	return &Tenants{answers: answers}, nil
}

// Get returns the tenant of an id as it was some moment of the last seconds, and false if
// there is none.
func (t *Tenants) Get(ctx context.Context, id string) (Tenant, bool, error) {
	tenant, ok, err := t.answers.Get(ctx, id)
	return tenant, ok, wrap(err, "tenant %q", id)
}

// Admit returns the tenant of a principal that has proved itself, whatever it has shown: no
// credential is good without one. An error is a *principal.Refusal, if there is no such
// tenant or it is disabled, or a *principal.Unavailable.
func (t *Tenants) Admit(ctx context.Context, p principal.Principal) (Tenant, error) {
	tenant, ok, err := t.Get(ctx, p.Tenant)
	switch {
	case err != nil:
		return Tenant{}, principal.CannotCheck(time.Second, err)
	case !ok:
		return Tenant{}, principal.Refuse("this tenant is not registered", fmt.Errorf("%q", p.Tenant))
	case tenant.Disabled:
		return Tenant{}, principal.Refuse("this tenant is disabled", fmt.Errorf("%q", p.Tenant))
	}
	return tenant, nil
}

// Forget makes the next look at a tenant ask the store. Call it where it was changed.
func (t *Tenants) Forget(id string) { t.answers.Forget(id) }
