package accounts

import (
	"cmp"
	"context"
	"fmt"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Tenant is whose objects there are.
type Tenant struct {
	ID, Name string
	Created  time.Time
	// Disabled means that nobody of the tenant is let in. Its pins stay.
	Disabled bool
	// MaxPins and MaxBytes are quotas. Zero means none.
	MaxPins, MaxBytes int64
	// RequestsPerSecond is for all principals of the tenant together. Zero means no limit.
	RequestsPerSecond int
	// Rev is of the row: a change names the one that it is a change of.
	Rev string
}

func (t Tenant) check() error {
	switch {
	case t.ID == "":
		return invalid("id", "it is empty")
	case t.MaxPins < 0:
		return invalid("max_pins", "%d is negative", t.MaxPins)
	case t.MaxBytes < 0:
		return invalid("max_bytes", "%d is negative", t.MaxBytes)
	case t.RequestsPerSecond < 0 || t.RequestsPerSecond > maxRequests:
		return invalid("requests_per_second", "%d is not 0 to %d", t.RequestsPerSecond, maxRequests)
	}
	if err := principal.CheckText(t.ID); err != nil {
		return invalid("id", "%v", err)
	}
	if err := principal.CheckText(t.Name); err != nil {
		return invalid("name", "%v", err)
	}
	return nil
}

// maxRequests is more than any gateway serves.
const maxRequests = 1_000_000

// Tenant returns the tenant of an id, and false if there is none.
func (s *Store) Tenant(ctx context.Context, id string) (Tenant, bool, error) {
	if id == "" {
		return Tenant{}, false, nil // the database takes no empty key
	}
	var row tenantRow
	found, err := s.db.Read(ctx, gocql.Quorum, scylla.Bind(selectTenant, id), row.columns()...)
	if err != nil || !found {
		return Tenant{}, false, wrap(err, "reading the tenant %q", id)
	}
	tenant, err := row.tenant()
	return tenant, err == nil, stored(err, "the tenant %q", id)
}

func (s *Store) tenants(ctx context.Context, ids []string) (map[gocql.UUID]Tenant, error) {
	out := make(map[gocql.UUID]Tenant)
	rows := s.db.Rows(ctx, gocql.Quorum, MaxPage, scylla.Bind(selectTenants, ids))
	defer rows.Close()
	for row := new(tenantRow); rows.Next(row.columns()...); row = new(tenantRow) {
		tenant, err := row.tenant()
		if err != nil {
			return nil, stored(err, "the tenant %q", row.id)
		}
		out[*row.made] = tenant
	}
	return out, wrap(rows.Close(), "reading tenants")
}

// insertTenant makes a tenant, or returns ErrExists.
func (s *Store) insertTenant(ctx context.Context, t Tenant) (Tenant, error) {
	if _, found, err := s.Tenant(ctx, t.ID); err != nil || found {
		return Tenant{}, wrap(cmp.Or(err, ErrExists), "tenant %q", t.ID)
	}
	rev, err := mark()
	if err != nil {
		return Tenant{}, err
	}
	e := entry{listOfTenants, gocql.TimeUUID(), t.ID}
	if err := s.enter(ctx, e); err != nil {
		return Tenant{}, err
	}
	made, _, err := s.settle(ctx, "rev", rev, scylla.Bind(insertTenant,
		t.ID, e.made, t.Name, t.Disabled, t.MaxPins, t.MaxBytes, t.RequestsPerSecond, rev))
	if err == nil && !made {
		err = ErrExists // and the entry is of no row
	}
	if err != nil {
		return Tenant{}, fmt.Errorf("making the tenant %q: %w", t.ID, err)
	}
	t.Created, t.Rev = e.made.Time(), rev.String()
	return t, nil
}

// updateTenant changes the tenant of revision t.Rev.
func (s *Store) updateTenant(ctx context.Context, t Tenant) (Tenant, error) {
	old, found, err := s.Tenant(ctx, t.ID)
	switch {
	case err != nil:
		return Tenant{}, err
	case !found:
		return Tenant{}, fmt.Errorf("tenant %q: %w", t.ID, ErrNotFound)
	case old.Rev != t.Rev:
		return Tenant{}, fmt.Errorf("tenant %q: %w", t.ID, ErrChanged)
	}
	before, err := gocql.ParseUUID(old.Rev)
	if err != nil {
		return Tenant{}, stored(err, "the tenant %q", t.ID)
	}
	rev, err := mark()
	if err != nil {
		return Tenant{}, err
	}
	changed, _, err := s.settle(ctx, "rev", rev, scylla.Bind(updateTenant,
		t.Name, t.Disabled, t.MaxPins, t.MaxBytes, t.RequestsPerSecond, rev, t.ID, before))
	switch {
	case err != nil:
		return Tenant{}, fmt.Errorf("changing the tenant %q: %w", t.ID, err)
	case !changed:
		return Tenant{}, fmt.Errorf("tenant %q: %w", t.ID, ErrChanged)
	}
	t.Created, t.Rev = old.Created, rev.String()
	return t, nil
}

// tenantRow has pointers for what may be null in a row that is not complete.
type tenantRow struct {
	id        string
	made      *gocql.UUID
	name      string
	disabled  *bool
	pins      *int64
	bytes     *int64
	perSecond *int
	rev       *gocql.UUID
}

func (r *tenantRow) columns() []any {
	return []any{&r.id, &r.made, &r.name, &r.disabled, &r.pins, &r.bytes, &r.perSecond, &r.rev}
}

func (r *tenantRow) tenant() (Tenant, error) {
	if r.made == nil || r.disabled == nil || r.pins == nil || r.bytes == nil || r.perSecond == nil || r.rev == nil {
		return Tenant{}, errIncomplete
	}
	t := Tenant{
		ID: r.id, Name: r.name, Created: r.made.Time(), Disabled: *r.disabled,
		MaxPins: *r.pins, MaxBytes: *r.bytes, RequestsPerSecond: *r.perSecond, Rev: r.rev.String(),
	}
	return t, t.check()
}
