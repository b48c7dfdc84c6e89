package accounts

import (
	"fmt"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// ExcessError says what somebody wants to give who does not have it.
type ExcessError struct{ Problem string }

func (e *ExcessError) Error() string { return "nobody gives more than they have: " + e.Problem }

// KeyWithin returns an *ExcessError unless a key is good for no more than its maker has, by
// the credential that was shown. Where a key may be used from is not looked at: a principal
// does not know it of the key that it has shown.
func KeyWithin(maker principal.Principal, grant apikey.Grant) error {
	excess := func(format, text string) error { return &ExcessError{fmt.Sprintf(format, text)} }
	if grant.Tenant != maker.Tenant {
		return excess("the tenant %.100q is another one", grant.Tenant)
	}
	for _, role := range grant.Roles {
		if !authz.HasRole(maker.Roles, role) {
			return excess("the role %.100q is not yours", role)
		}
	}
	for _, group := range grant.Groups {
		if !slices.Contains(maker.Groups, group) {
			return excess("you are not in the group %.100q", group)
		}
	}
	for _, scope := range grant.Scopes {
		if !authz.HasScope(maker.Scopes, scope) {
			return excess("the scope %.100q is not one of the credential that was shown", scope)
		}
	}
	return nil
}
