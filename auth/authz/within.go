package authz

import (
	"slices"
	"strings"
)

// HasRole tells whether who has some roles has another one: it is among them, or one of them
// holds it, as an admin holds what a user may.
func HasRole(roles []string, role string) bool {
	all := slices.Clone(roles)
	for _, pair := range held() {
		if slices.Contains(all, pair[0]) {
			all = append(all, pair[1])
		}
	}
	return slices.Contains(all, role)
}

// HasScope tells whether a credential with some scopes is good for all that one with another
// scope would be good for.
func HasScope(scopes []string, scope string) bool {
	return slices.ContainsFunc(scopes, func(has string) bool { return has == AllScopes || covers(has, scope) })
}

// covers tells whether a scope is good for an action, which is the same text, or
// ends in ":*" and begins like it.
func covers(scope, action string) bool {
	before, all := strings.CutSuffix(scope, "*")
	return scope == action || all && strings.HasSuffix(before, ":") && strings.HasPrefix(action, before)
}
