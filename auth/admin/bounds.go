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
func tooMuch(details string) error {
	return &door.Problem{Status: http.StatusForbidden, Reason: authn.Forbidden, Details: "nobody gives more than they have: " + details}
}

// keyWithin returns a Problem unless a key is good for no more than its maker has, by the
// credential that was shown.
func (a *API) keyWithin(ctx context.Context, maker principal.Principal, grant apikey.Grant) error {
	if grant.Tenant != maker.Tenant {
		return tooMuch("a key is of the tenant of who makes it")
	}
	if err := rolesWithin(maker, grant.Roles, grant.Groups); err != nil {
		return err
	}
	if err := scopesWithin(maker, grant.Scopes); err != nil {
		return err
	}
	if maker.Method != principal.MethodAPIKey {
		return nil
	}
	shown, err := a.config.Accounts.Key(ctx, maker.Tenant, maker.Credential)
	switch {
	case errors.Is(err, accounts.ErrNotFound):
		return tooMuch("the key that was shown is not there any more")
	case err != nil:
		return problem(err)
	case !networksWithin(shown.Networks, grant.Networks):
		return tooMuch("the key that was shown is good in some networks only: name networks in these")
	}
	return nil
}

// credentialWithin is keyWithin of a credential.
func credentialWithin(giver principal.Principal, c accounts.Credential) error {
	if giver.Tenant == c.Tenant {
		if err := rolesWithin(giver, c.Roles, c.Groups); err != nil {
			return err
		}
	} else if giver.Tenant != authz.SystemTenant {
		return tooMuch("a credential is of the tenant of who gives it")
	}
	return scopesWithin(giver, c.Scopes)
}

func rolesWithin(p principal.Principal, roles, groups []string) error {
	for _, role := range roles {
		if !authz.HasRole(p.Roles, role) {
			return tooMuch("the role " + short(role) + " is not yours")
		}
	}
	for _, group := range groups {
		if !slices.Contains(p.Groups, group) {
			return tooMuch("you are not in the group " + short(group))
		}
	}
	return nil
}

func scopesWithin(p principal.Principal, scopes []string) error {
	for _, scope := range scopes {
		if !authz.HasScope(p.Scopes, scope) {
			return tooMuch("the scope " + short(scope) + " is not one of the credential that was shown")
		}
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

// short is a text of a client's as it is told back.
func short(text string) string {
	if len(text) > 100 {
		return text[:100] + "…"
	}
	return text
}
