package authz

import (
	"slices"
	"testing"
)

// Whoever has a role or a scope, as HasRole and HasScope tell, may do all that one may do who
// has only that: the policies say the same.
func TestWithin(t *testing.T) {
	s := newSet(t)
	allowed := func(roles, scopes []string, tenant, action string, resource Resource) bool {
		return s.Decide(Request{Principal{ID: "ursula", Tenant: tenant, Roles: roles, Scopes: scopes, Method: "jwt"}, action, resource, calmContext()}).Allowed
	}
	roles := []string{"viewer", "user", "admin", "auditor", "operator", "other"}
	scopes := []string{"*", "pins:*", "pins:read", "pins:re*", "pins:", "pins*", "keys:*", "keys:create", "admin:*", "admin:tenants-read", ":*", "", "**"}
	resources := []Resource{
		Tenant("t1"), Tenant("t2"), Cluster{}, Pin{ID: "1", Tenant: "t1", Owner: "ursula"}, Pin{ID: "1", Tenant: "t1", Owner: "mate"}, Key{Tenant: "t1", Owner: "ursula"},
		Key{Tenant: "t1", Owner: "mate"}, Key{Tenant: "t2", Owner: "bob"},
	}
	within, without := 0, 0
	check := func(has, wanted []string, tell bool, ask func(list []string, tenant, action string, resource Resource) bool) {
		more := false
		for _, tenant := range []string{"t1", SystemTenant} {
			for _, action := range s.Actions() {
				for _, resource := range resources {
					more = more || ask(wanted, tenant, action, resource) && !ask(has, tenant, action, resource)
				}
			}
		}
		switch {
		case tell && more:
			t.Errorf("%q may do more than %q", wanted, has)
		case tell:
			within++
		default:
			without++
		}
	}
	for _, has := range roles {
		for _, wanted := range roles {
			check([]string{has}, []string{wanted}, HasRole([]string{has}, wanted), func(list []string, tenant, action string, resource Resource) bool {
				return allowed(list, []string{AllScopes}, tenant, action, resource)
			})
		}
	}
	for _, has := range scopes {
		for _, wanted := range scopes {
			check([]string{has}, []string{wanted}, HasScope([]string{has}, wanted), func(list []string, tenant, action string, resource Resource) bool {
				return allowed([]string{"admin", "operator", "auditor"}, list, tenant, action, resource)
			})
		}
	}
	if within < 35 || without < 100 {
		t.Errorf("%d pairs are within, %d are not: that shows little", within, without)
	}
	for _, has := range []struct{ roles, all []string }{
		{[]string{"admin"}, []string{"admin", "user", "viewer"}}, {[]string{"user"}, []string{"user", "viewer"}},
		{[]string{"viewer", "auditor"}, []string{"viewer", "auditor"}}, {nil, nil},
	} {
		for _, role := range roles {
			if HasRole(has.roles, role) != slices.Contains(has.all, role) {
				t.Errorf("%q has %s: %t", has.roles, role, HasRole(has.roles, role))
			}
		}
	}
	for _, pair := range [][2]string{{"pins:*", "pins:*"}, {"pins:*", "pins:read"}, {"*", "keys:*"}, {"*", "*"}, {"pins:read", "pins:read"}} {
		if !HasScope([]string{"x", pair[0]}, pair[1]) {
			t.Errorf("%s has not %s", pair[0], pair[1])
		}
	}
}
