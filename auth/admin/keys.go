package admin

import (
	"context"
	"net/http"
	"net/netip"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
)

// defaultOverlap is how long a key stays good that another one takes the place of, unless
// told otherwise.
const defaultOverlap = 24 * time.Hour

// keyView is a key as it is answered.
type keyView struct {
	ID          string     `json:"id"`
	Tenant      string     `json:"tenant"`
	Owner       string     `json:"owner"`
	Roles       []string   `json:"roles"`
	Groups      []string   `json:"groups"`
	Scopes      []string   `json:"scopes"`
	Networks    []string   `json:"networks"`
	Created     *time.Time `json:"created"`
	CreatedBy   string     `json:"created_by"`
	Expires     *time.Time `json:"expires,omitempty"`
	Revoked     *time.Time `json:"revoked,omitempty"`
	RotatedFrom string     `json:"rotated_from,omitempty"`
	// LastUsed is to some minutes, and in lists only.
	LastUsed *time.Time `json:"last_used,omitempty"`
	// Secret is the text of the key, and only where it was just made.
	Secret string `json:"secret,omitempty"`
}

func viewOfKey(k accounts.ListedKey) keyView {
	networks := make([]string, len(k.Networks))
	for i, network := range k.Networks {
		networks[i] = network.String()
	}
	return keyView{
		ID: k.ID, Tenant: k.Tenant, Owner: k.Owner, Roles: texts(k.Roles), Groups: texts(k.Groups), Scopes: texts(k.Scopes), Networks: networks,
		Created: momentOf(k.Created), CreatedBy: k.CreatedBy, Expires: momentOf(k.Expires), Revoked: momentOf(k.Revoked),
		RotatedFrom: k.RotatedFrom, LastUsed: momentOf(k.Used),
	}
}

// answerSecret answers with a key that was just made.
func answerSecret(w http.ResponseWriter, k apikey.Key, token apikey.Token) {
	view := viewOfKey(accounts.ListedKey{Key: k})
	view.Secret = token.Text()
	answer(w, http.StatusCreated, view)
}

// newOwnKey is a key that is to be made for who asks.
type newOwnKey struct {
	// Roles are those of who asks if they are nil.
	Roles    []string       `json:"roles"`
	Groups   []string       `json:"groups"`
	Scopes   []string       `json:"scopes"`
	Networks []netip.Prefix `json:"networks"`
	Expires  time.Time      `json:"expires"`
}

// newKey is a key that is to be made.
type newKey struct {
	Owner string `json:"owner"`
	newOwnKey
}

func (a *API) listKeys(w http.ResponseWriter, c *door.Call) error {
	tenant, err := variable(c, "tenant")
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
	page, err := a.config.Accounts.ListKeys(c.Request.Context(), tenant, after, limit)
	if err != nil {
		return problem(err)
	}
	answer(w, http.StatusOK, listed(page, viewOfKey))
	return nil
}

// maxReads bounds how many pages of a tenant's keys are read for one of a principal's.
const maxReads = 20

// listOwnKeys answers with a page that may have fewer keys than were asked for, also none,
// and not be the last one: a tenant has one list of keys.
func (a *API) listOwnKeys(w http.ResponseWriter, c *door.Call) error {
	after, limit, err := paging(c)
	if err != nil {
		return err
	}
	if err := c.Allow(authz.Tenant(c.Principal.Tenant)); err != nil {
		return err
	}
	own := list[keyView]{Items: []keyView{}, Next: after}
	for range maxReads {
		page, err := a.config.Accounts.ListKeys(c.Request.Context(), c.Principal.Tenant, own.Next, limit-len(own.Items))
		if err != nil {
			return problem(err)
		}
		for _, k := range page.All {
			if k.Owner == c.Principal.ID {
				own.Items = append(own.Items, viewOfKey(k))
			}
		}
		if own.Next = page.Next; own.Next == "" || len(own.Items) >= limit {
			break
		}
	}
	answer(w, http.StatusOK, own)
	return nil
}

func (a *API) createKey(w http.ResponseWriter, c *door.Call) error {
	tenant, err := variable(c, "tenant")
	if err != nil {
		return err
	}
	var wanted newKey
	if err := read(w, c, &wanted); err != nil {
		return err
	}
	if wanted.Owner == "" {
		return door.Invalid("owner: it is empty")
	}
	return a.create(w, c, tenant, wanted)
}

func (a *API) createOwnKey(w http.ResponseWriter, c *door.Call) error {
	var wanted newOwnKey
	if err := read(w, c, &wanted); err != nil {
		return err
	}
	if wanted.Roles == nil {
		wanted.Roles = c.Principal.Roles
	}
	return a.create(w, c, c.Principal.Tenant, newKey{Owner: c.Principal.ID, newOwnKey: wanted})
}

func (a *API) create(w http.ResponseWriter, c *door.Call, tenant string, wanted newKey) error {
	if wanted.Expires.IsZero() && a.config.RequireExpiry {
		return door.Invalid("expires: a key ends here: say when, as 2026-01-31T23:59:59Z, at most %d days from now", apikey.MaxLifetime/(24*time.Hour))
	}
	grant := apikey.Grant{
		Owner: wanted.Owner, Tenant: tenant, Roles: wanted.Roles, Groups: wanted.Groups, Scopes: wanted.Scopes,
		Networks: wanted.Networks, Expires: wanted.Expires, CreatedBy: c.Principal.ID,
	}
	var made apikey.Key
	var token apikey.Token
	step := door.Step{Action: c.Route.Action, Resource: authz.Key{Tenant: tenant, Owner: wanted.Owner}}
	err := c.Do(http.StatusCreated, []door.Step{step}, func(ctx context.Context) (string, error) {
		if err := a.keyWithin(ctx, c.Principal, grant); err != nil {
			return "", err
		}
		var err error
		made, token, err = a.config.Accounts.CreateKey(ctx, grant)
		return made.ID, problem(err)
	})
	if err != nil {
		return err
	}
	answerSecret(w, made, token)
	return nil
}

// find returns the key of a tenant that the path names.
func (a *API) find(c *door.Call, tenant string) (apikey.Key, error) {
	id, err := variable(c, "key")
	if err != nil {
		return apikey.Key{}, err
	}
	key, err := a.config.Accounts.Key(c.Request.Context(), tenant, id)
	return key, problem(err)
}

// tenantsKey returns the key that the path names with its tenant.
func (a *API) tenantsKey(c *door.Call) (apikey.Key, error) {
	tenant, err := variable(c, "tenant")
	if err != nil {
		return apikey.Key{}, err
	}
	return a.find(c, tenant)
}

// ownKey returns the key of who asks that the path names. That of somebody else is not
// there.
func (a *API) ownKey(c *door.Call) (apikey.Key, error) {
	key, err := a.find(c, c.Principal.Tenant)
	if err == nil && key.Owner != c.Principal.ID {
		err = door.Missing()
	}
	return key, err
}

func (a *API) revokeKey(w http.ResponseWriter, c *door.Call) error {
	key, err := a.tenantsKey(c)
	if err != nil {
		return err
	}
	return a.revoke(w, c, key)
}

func (a *API) revokeOwnKey(w http.ResponseWriter, c *door.Call) error {
	key, err := a.ownKey(c)
	if err != nil {
		return err
	}
	return a.revoke(w, c, key)
}

func resourceOf(k apikey.Key) authz.Key { return authz.Key{ID: k.ID, Tenant: k.Tenant, Owner: k.Owner} }

func (a *API) revoke(w http.ResponseWriter, c *door.Call, key apikey.Key) error {
	err := c.Do(http.StatusNoContent, []door.Step{{Action: c.Route.Action, Resource: resourceOf(key)}}, func(ctx context.Context) (string, error) {
		return "", problem(a.config.Accounts.RevokeKey(ctx, key.Tenant, key.ID))
	})
	if err != nil {
		return err
	}
	done(w)
	return nil
}

func (a *API) rotateKey(w http.ResponseWriter, c *door.Call) error {
	return a.rotate(w, c, a.tenantsKey)
}

func (a *API) rotateOwnKey(w http.ResponseWriter, c *door.Call) error {
	return a.rotate(w, c, a.ownKey)
}

// rotate makes a key that takes the place of another one. Whoever asks gets its secret, so
// that it is bounded as one that they make.
func (a *API) rotate(w http.ResponseWriter, c *door.Call, find func(*door.Call) (apikey.Key, error)) error {
	var wanted struct {
		Overlap *string `json:"overlap"`
	}
	if err := read(w, c, &wanted); err != nil {
		return err
	}
	overlap := defaultOverlap
	if wanted.Overlap != nil {
		var err error
		if overlap, err = time.ParseDuration(*wanted.Overlap); err != nil || overlap < 0 || overlap > apikey.MaxOverlap {
			return door.Invalid("overlap is %.50q, and not a time from 0s to %dh, as 24h", *wanted.Overlap, int(apikey.MaxOverlap.Hours()))
		}
	}
	old, err := find(c)
	if err != nil {
		return err
	}
	var made apikey.Key
	var token apikey.Token
	err = c.Do(http.StatusCreated, []door.Step{{Action: c.Route.Action, Resource: resourceOf(old)}}, func(ctx context.Context) (string, error) {
		if err := a.keyWithin(ctx, c.Principal, old.Grant); err != nil {
			return "", err
		}
		var err error
		made, token, err = a.config.Accounts.RotateKey(ctx, old.Tenant, old.ID, overlap, c.Principal.ID)
		return made.ID, problem(err)
	})
	if err != nil {
		return err
	}
	answerSecret(w, made, token)
	return nil
}
