package admin

import (
	"context"
	"errors"
	"net/http"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
)

// tenantView is a tenant as it is answered.
type tenantView struct {
	ID                string    `json:"id"`
	Name              string    `json:"name"`
	Created           time.Time `json:"created"`
	Disabled          bool      `json:"disabled"`
	MaxPins           int64     `json:"max_pins"`
	MaxBytes          int64     `json:"max_bytes"`
	RequestsPerSecond int       `json:"requests_per_second"`
	Rev               string    `json:"rev"`
}

func viewOfTenant(t accounts.Tenant) tenantView {
	return tenantView{
		ID: t.ID, Name: t.Name, Created: t.Created.UTC().Truncate(time.Millisecond), Disabled: t.Disabled,
		MaxPins: t.MaxPins, MaxBytes: t.MaxBytes, RequestsPerSecond: t.RequestsPerSecond, Rev: t.Rev,
	}
}

// newTenant is a tenant that is to be made.
type newTenant struct {
	ID string `json:"id"`
	tenantChange
}

// tenantChange is what is to be changed of a tenant. What is nil stays.
type tenantChange struct {
	Name              *string `json:"name"`
	Disabled          *bool   `json:"disabled"`
	MaxPins           *int64  `json:"max_pins"`
	MaxBytes          *int64  `json:"max_bytes"`
	RequestsPerSecond *int    `json:"requests_per_second"`
}

// changes tells whether there is anything to be changed, and whether that is a quota.
func (n tenantChange) changes() (anything, quotas bool) {
	quotas = n.MaxPins != nil || n.MaxBytes != nil || n.RequestsPerSecond != nil
	return quotas || n.Name != nil || n.Disabled != nil, quotas
}

func (n tenantChange) apply(t *accounts.Tenant) {
	set(&t.Name, n.Name)
	set(&t.Disabled, n.Disabled)
	set(&t.MaxPins, n.MaxPins)
	set(&t.MaxBytes, n.MaxBytes)
	set(&t.RequestsPerSecond, n.RequestsPerSecond)
}

func set[T any](field, value *T) {
	if value != nil {
		*field = *value
	}
}

func (a *API) listTenants(w http.ResponseWriter, c *door.Call) error {
	after, limit, err := paging(c)
	if err != nil {
		return err
	}
	if err := c.Allow(authz.Cluster{}); err != nil {
		return err
	}
	page, err := a.config.Accounts.ListTenants(c.Request.Context(), after, limit)
	if err != nil {
		return problem(err)
	}
	answer(w, http.StatusOK, listed(page, viewOfTenant))
	return nil
}

func (a *API) createTenant(w http.ResponseWriter, c *door.Call) error {
	var wanted newTenant
	if err := read(w, c, &wanted); err != nil {
		return err
	}
	tenant := accounts.Tenant{ID: wanted.ID}
	wanted.apply(&tenant)
	if tenant.ID == "" {
		return door.Invalid("id: it is empty")
	}
	steps := []door.Step{{Action: c.Route.Action, Resource: authz.Cluster{}}}
	if _, quotas := wanted.changes(); quotas {
		steps = append(steps, door.Step{Action: "admin:quotas-write", Resource: authz.Tenant(tenant.ID)})
	}
	err := c.Do(http.StatusCreated, steps, func(ctx context.Context) (string, error) {
		var err error
		tenant, err = a.config.Accounts.CreateTenant(ctx, tenant)
		return tenant.ID, problem(err)
	})
	if err != nil {
		return err
	}
	w.Header().Set("Location", "/admin/tenants/"+segmentOf(tenant.ID))
	answerTenant(w, http.StatusCreated, tenant)
	return nil
}

func (a *API) getTenant(w http.ResponseWriter, c *door.Call) error {
	id, err := variable(c, "tenant")
	if err != nil {
		return err
	}
	if err := c.Allow(authz.Tenant(id)); err != nil {
		return err
	}
	tenant, err := a.config.Accounts.Tenant(c.Request.Context(), id)
	if err != nil {
		return problem(err)
	}
	answerTenant(w, http.StatusOK, tenant)
	return nil
}

func answerTenant(w http.ResponseWriter, status int, t accounts.Tenant) {
	w.Header().Set("ETag", `"`+t.Rev+`"`)
	answer(w, status, viewOfTenant(t))
}

func (a *API) updateTenant(w http.ResponseWriter, c *door.Call) error {
	id, err := variable(c, "tenant")
	if err != nil {
		return err
	}
	var wanted struct {
		tenantChange
		Rev string `json:"rev"`
	}
	if err := read(w, c, &wanted); err != nil {
		return err
	}
	rev, err := revision(c.Request.Header, wanted.Rev)
	if err != nil {
		return err
	}
	anything, quotas := wanted.changes()
	switch {
	case !anything:
		return door.Invalid("the body changes nothing: name, disabled, max_pins, max_bytes and requests_per_second may be changed")
	case id == authz.SystemTenant && wanted.Disabled != nil && *wanted.Disabled:
		return door.Invalid("disabled: nobody could run the cluster any more, nor undo it here")
	}
	steps := []door.Step{{Action: c.Route.Action, Resource: authz.Tenant(id)}}
	if quotas {
		steps = append(steps, door.Step{Action: "admin:quotas-write", Resource: authz.Tenant(id)})
	}
	var tenant accounts.Tenant
	err = c.Do(http.StatusOK, steps, func(ctx context.Context) (string, error) {
		var err error
		tenant, err = a.change(ctx, id, rev, wanted.tenantChange)
		return "", err
	})
	if err != nil {
		return err
	}
	answerTenant(w, http.StatusOK, tenant)
	return nil
}

// change changes a tenant that has a revision; "*" is any.
func (a *API) change(ctx context.Context, id, rev string, wanted tenantChange) (accounts.Tenant, error) {
	tenant, err := a.config.Accounts.Tenant(ctx, id)
	if err != nil {
		return accounts.Tenant{}, problem(err)
	}
	if rev != "*" {
		tenant.Rev = rev
	}
	wanted.apply(&tenant)
	tenant, err = a.config.Accounts.UpdateTenant(ctx, tenant)
	if errors.Is(err, accounts.ErrChanged) {
		return accounts.Tenant{}, &door.Problem{
			Status: http.StatusPreconditionFailed, Reason: door.Changed, Details: "the tenant has another revision by now: read it again, and change that one",
		}
	}
	return tenant, problem(err)
}

// revision returns the revision that a change is one of: that of the header If-Match, or of
// the body.
func revision(h http.Header, body string) (string, error) {
	values := h["If-Match"]
	switch {
	case len(values) == 0 && body == "":
		return "", &door.Problem{
			Status: http.StatusPreconditionRequired, Reason: door.RevisionRequired,
			Details: "say which revision is changed: send the ETag as If-Match, or rev in the body",
		}
	case len(values) == 0:
		return body, nil
	case len(values) > 1 || body != "":
		return "", door.Invalid("the request names more than one revision")
	case values[0] == "*":
		return "*", nil
	}
	rev, begins := strings.CutPrefix(values[0], `"`)
	rev, ends := strings.CutSuffix(rev, `"`)
	if !begins || !ends || rev == "" || strings.ContainsAny(rev, `",`) {
		return "", door.Invalid("the header If-Match is not one ETag as it was answered")
	}
	return rev, nil
}

func (a *API) usage(w http.ResponseWriter, c *door.Call) error {
	id, err := variable(c, "tenant")
	if err != nil {
		return err
	}
	if err := c.Allow(authz.Tenant(id)); err != nil {
		return err
	}
	if a.config.Usage == nil {
		return door.Missing()
	}
	tenant, err := a.config.Accounts.Tenant(c.Request.Context(), id)
	if err != nil {
		return problem(err)
	}
	used, err := a.config.Usage.Usage(c.Request.Context(), id)
	if err != nil {
		return problem(err)
	}
	answer(w, http.StatusOK, struct {
		Used
		MaxPins  int64 `json:"max_pins"`
		MaxBytes int64 `json:"max_bytes"`
	}{used, tenant.MaxPins, tenant.MaxBytes})
	return nil
}
