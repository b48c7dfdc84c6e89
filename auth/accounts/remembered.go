package accounts

import (
	"context"
	"fmt"

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

// Forget makes the next look at a tenant ask the store. Call it where it was changed.
func (t *Tenants) Forget(id string) { t.answers.Forget(id) }
