package admin

import (
	"context"
	"errors"
	"net/http"
	"net/netip"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// tooMuch is the Problem of who wants to give what they do not have.
func tooMuch(err error) *door.Problem {
	return &door.Problem{Status: http.StatusForbidden, Reason: authn.Forbidden, Details: err.Error()}
}

// keyWithin returns a Problem unless a key is good for no more than its maker has, by the
// credential that was shown.
func (a *API) keyWithin(ctx context.Context, maker principal.Principal, grant apikey.Grant) error {
	if err := accounts.KeyWithin(maker, grant); err != nil {
		return tooMuch(err)
	}
	if maker.Method != principal.MethodAPIKey {
		return nil
	}
	shown, err := a.config.Accounts.Key(ctx, maker.Tenant, maker.Credential)
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		return tooMuch(&accounts.ExcessError{Problem: "the key that was shown is not there any more"})
	case err != nil:
		return problem(err)
	case !networksWithin(shown.Networks, grant.Networks):
		return tooMuch(&accounts.ExcessError{Problem: "the key that was shown is good in some networks only: name networks in these"})
	}
	return nil
}

// credentialWithin is keyWithin of a credential. An operator gives any role and group in a
// tenant that is another one.
func credentialWithin(giver principal.Principal, c accounts.Credential) error {
	given := apikey.Grant{Tenant: c.Tenant, Roles: c.Roles, Groups: c.Groups, Scopes: c.Scopes}
	if giver.Tenant == authz.SystemTenant && c.Tenant != authz.SystemTenant {
		given.Tenant, given.Roles, given.Groups = giver.Tenant, nil, nil
	}
	if err := accounts.KeyWithin(giver, given); err != nil {
		return tooMuch(err)
	}
	return nil
}

// networksWithin tells whether each of some networks is in one of others. None means
// anywhere, of both.
func networksWithin(all, some []netip.Prefix) bool {
	if len(all) == 0 {
		return true
	}
	return len(some) > 0 && !slices.ContainsFunc(some, func(one netip.Prefix) bool {
		return !slices.ContainsFunc(all, func(of netip.Prefix) bool { return of.Bits() <= one.Bits() && of.Contains(one.Addr()) })
	})
}
