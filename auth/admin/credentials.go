package admin

import (
	"context"
	"net/http"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
)

// credentialView is a credential as it is answered.
type credentialView struct {
	Credential string     `json:"credential"`
	Principal  string     `json:"principal"`
	Tenant     string     `json:"tenant"`
	Roles      []string   `json:"roles"`
	Groups     []string   `json:"groups"`
	Scopes     []string   `json:"scopes"`
	Added      *time.Time `json:"added"`
	AddedBy    string     `json:"added_by"`
}

func viewOfCredential(c accounts.Credential) credentialView {
	return credentialView{
		Credential: c.Credential, Principal: c.Principal, Tenant: c.Tenant, Roles: texts(c.Roles), Groups: texts(c.Groups), Scopes: texts(c.Scopes),
		Added: momentOf(c.Added), AddedBy: c.AddedBy,
	}
}

// principalOf returns the principal that the path names, and its tenant.
func principalOf(c *door.Call) (tenant, id string, err error) {
	if tenant, err = variable(c, "tenant"); err != nil {
		return "", "", err
	}
	id, err = variable(c, "principal")
	return tenant, id, err
}

func (a *API) listCredentials(w http.ResponseWriter, c *door.Call) error {
	tenant, id, err := principalOf(c)
	if err != nil {
		return err
	}
	after, limit, err := paging(c)
	if err != nil {
		return err
	}
	if err := c.Allow(authz.Tenant(tenant)); err != nil {
		return err
	}
	if err := a.exists(c, tenant); err != nil {
		return err
	}
	page, err := a.config.Accounts.ListCredentials(c.Request.Context(), tenant, id, after, limit)
	if err != nil {
		return problem(err)
	}
	answer(w, http.StatusOK, listed(page, viewOfCredential))
	return nil
}

func (a *API) addCredential(w http.ResponseWriter, c *door.Call) error {
	tenant, id, err := principalOf(c)
	if err != nil {
		return err
	}
	var wanted struct {
		Credential string   `json:"credential"`
		Roles      []string `json:"roles"`
		Groups     []string `json:"groups"`
		Scopes     []string `json:"scopes"`
	}
	if err := read(w, c, &wanted); err != nil {
		return err
	}
	if wanted.Credential == "" {
		return door.Invalid("credential: it is empty")
	}
	credential := accounts.Credential{
		Credential: wanted.Credential, Principal: id, Tenant: tenant, Roles: wanted.Roles, Groups: wanted.Groups, Scopes: wanted.Scopes, AddedBy: c.Principal.ID,
	}
	err = c.Do(http.StatusCreated, []door.Step{credentialStep(c, tenant, id, wanted.Credential)}, func(ctx context.Context) (string, error) {
		if c.Principal.Tenant != authz.SystemTenant && !strings.HasPrefix(credential.Credential, "did:") {
			return "", tooMuch(&accounts.ExcessError{Problem: "the subject of an issuer is given by an operator, a DID by an admin, too"})
		}
		if err := credentialWithin(c.Principal, credential); err != nil {
			return "", err
		}
		var err error
		credential, err = a.config.Accounts.AddCredential(ctx, credential)
		return "", problem(err)
	})
	if err != nil {
		return err
	}
	answer(w, http.StatusCreated, viewOfCredential(credential))
	return nil
}

// credentialStep is a step that is done to a credential of a principal, which policies know
// as the tenant.
func credentialStep(c *door.Call, tenant, id, credential string) door.Step {
	return door.Step{
		Action: c.Route.Action, Resource: authz.Tenant(tenant),
		Record: audit.Resource{Kind: "credential", ID: credential, Tenant: tenant, Owner: id},
	}
}

func (a *API) removeCredential(w http.ResponseWriter, c *door.Call) error {
	tenant, id, err := principalOf(c)
	if err != nil {
		return err
	}
	name, err := variable(c, "credential")
	if err != nil {
		return err
	}
	err = c.Do(http.StatusNoContent, []door.Step{credentialStep(c, tenant, id, name)}, func(ctx context.Context) (string, error) {
		credential, err := a.config.Accounts.Credential(ctx, tenant, name)
		switch {
		case err != nil:
			return "", problem(err)
		case credential.Principal != id:
			return "", door.Missing()
		}
		return "", problem(a.config.Accounts.RemoveCredential(ctx, tenant, name))
	})
	if err != nil {
		return err
	}
	done(w)
	return nil
}

func (a *API) revokePrincipal(w http.ResponseWriter, c *door.Call) error {
	tenant, id, err := principalOf(c)
	if err != nil {
		return err
	}
	step := door.Step{Action: c.Route.Action, Resource: authz.Tenant(tenant), Record: audit.Resource{Kind: "principal", ID: id, Tenant: tenant}}
	revoked := 0
	err = c.Do(http.StatusOK, []door.Step{step}, func(ctx context.Context) (string, error) {
		if err := a.exists(c, tenant); err != nil {
			return "", err
		}
		var err error
		revoked, err = a.config.Accounts.RevokePrincipal(ctx, tenant, id, c.Principal.ID)
		return "", problem(err)
	})
	if err != nil {
		return err
	}
	answer(w, http.StatusOK, struct {
		Keys int `json:"revoked_keys"`
	}{revoked})
	return nil
}
