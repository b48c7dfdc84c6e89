package admin

import (
	"context"
	"errors"
	"net/http"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/routes"
)

// Accounts are tenants, keys and credentials. accounts.Service is. All errors but those of
// package accounts are failures of the store.
type Accounts interface {
	CreateTenant(ctx context.Context, t accounts.Tenant) (accounts.Tenant, error)
	Tenant(ctx context.Context, id string) (accounts.Tenant, error)
	UpdateTenant(ctx context.Context, t accounts.Tenant) (accounts.Tenant, error)
	ListTenants(ctx context.Context, after string, limit int) (accounts.Page[accounts.Tenant], error)

	CreateKey(ctx context.Context, grant apikey.Grant) (apikey.Key, apikey.Token, error)
	Key(ctx context.Context, tenant, id string) (apikey.Key, error)
	ListKeys(ctx context.Context, tenant, after string, limit int) (accounts.Page[accounts.ListedKey], error)
	RevokeKey(ctx context.Context, tenant, id string) error
	RotateKey(ctx context.Context, tenant, id string, overlap time.Duration, by string) (apikey.Key, apikey.Token, error)

	AddCredential(ctx context.Context, c accounts.Credential) (accounts.Credential, error)
	Credential(ctx context.Context, tenant, credential string) (accounts.Credential, error)
	ListCredentials(ctx context.Context, tenant, principal, after string, limit int) (accounts.Page[accounts.Credential], error)
	RemoveCredential(ctx context.Context, tenant, credential string) error
	RevokePrincipal(ctx context.Context, tenant, id, by string) (int, error)
}

// Usage tells how much a tenant has.
type Usage interface {
	Usage(ctx context.Context, tenant string) (Used, error)
}

// Used is how much a tenant has. Bytes are those of pins whose size is known.
type Used struct {
	Pins  int64 `json:"pins"`
	Bytes int64 `json:"bytes"`
}

// Policies have the set that decides now. authz.Authorizer has.
type Policies interface {
	Set() *authz.Set
}

// Config is what the API needs.
type Config struct {
	Accounts Accounts
	Policies Policies
	// Usage may be nil: then nobody knows it, which is answered with 404.
	Usage Usage
	// Claims may be nil: then nobody knows them, which is answered with 404.
	Claims Claims
	// RequireExpiry refuses to make keys that do not end, as apikey.Config.RequireExpiry
	// refuses to take them.
	RequireExpiry bool
}

// API answers the routes of routes.Admin.
type API struct {
	config Config
}

// New returns the API as a door serves it.
func New(config Config) door.API {
	a := &API{config: config}
	return door.API{
		Name:  "admin",
		Table: routes.Admin(),
		Form:  door.ProblemJSON,
		Serve: map[string]door.Serve{
			"OpenAPI": document, "GetPolicies": a.policies,
			"ListTenants": a.listTenants, "CreateTenant": a.createTenant, "GetTenant": a.getTenant, "UpdateTenant": a.updateTenant, "GetUsage": a.usage, "ListClaims": a.listClaims,
			"ListKeys": a.listKeys, "CreateKey": a.createKey, "RevokeKey": a.revokeKey, "RotateKey": a.rotateKey,
			"ListCredentials": a.listCredentials, "AddCredential": a.addCredential, "RemoveCredential": a.removeCredential, "RevokePrincipal": a.revokePrincipal,
			"ListOwnKeys": a.listOwnKeys, "CreateOwnKey": a.createOwnKey, "RevokeOwnKey": a.revokeOwnKey, "RotateOwnKey": a.rotateOwnKey,
		},
	}
}

func (a *API) policies(w http.ResponseWriter, c *door.Call) error {
	if err := c.Allow(authz.Cluster{}); err != nil {
		return err
	}
	set := a.config.Policies.Set()
	answer(w, http.StatusOK, struct {
		Version  string   `json:"version"`
		Policies []string `json:"policies"`
	}{set.Version(), set.Policies()})
	return nil
}

// exists returns door.Missing for a tenant that does not exist. That of who asks does.
func (a *API) exists(c *door.Call, tenant string) error {
	if tenant == c.Principal.Tenant {
		return nil
	}
	_, err := a.config.Accounts.Tenant(c.Request.Context(), tenant)
	return problem(err)
}

// problem turns an error of package accounts into what a client is told. Nil stays nil.
func problem(err error) error {
	var told *door.Problem
	var invalid *accounts.InvalidError
	switch {
	case err == nil:
		return nil
	case errors.As(err, &told):
		return told
	case errors.Is(err, accounts.ErrNotFound):
		return door.Missing()
	case errors.Is(err, accounts.ErrExists):
		return &door.Problem{Status: http.StatusConflict, Reason: door.AlreadyExists, Details: "it is taken already, here or elsewhere: choose another one"}
	case errors.Is(err, accounts.ErrChanged):
		return &door.Problem{Status: http.StatusConflict, Reason: door.Changed, Details: "it was changed meanwhile: read it again"}
	case errors.Is(err, accounts.ErrRevoked):
		return &door.Problem{Status: http.StatusUnauthorized, Reason: authn.InvalidToken, Details: "the credential was revoked"}
	case errors.As(err, &invalid):
		return door.Invalid("%s", invalid)
	}
	return door.Unavailable(err)
}
