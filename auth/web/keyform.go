package web

import (
	"net/url"
	"slices"
	"strconv"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

const day = 24 * time.Hour

// right is something that a key can be good for.
type right struct {
	Name, Label string
	scopes      []string
	Checked     bool
}

// rights are those that one can choose who has some scopes.
func rights(scopes []string) []right {
	all := []right{
		{Name: "see", Label: "See pins and their status", scopes: []string{"pins:list", "pins:read", "status:read"}, Checked: true},
		{Name: "add", Label: "Add pins", scopes: []string{"pins:create"}, Checked: true},
		{Name: "replace", Label: "Replace pins", scopes: []string{"pins:replace"}},
		{Name: "remove", Label: "Remove pins", scopes: []string{"pins:delete"}},
	}
	return slices.DeleteFunc(all, func(r right) bool {
		return slices.ContainsFunc(r.scopes, func(scope string) bool { return !authz.HasScope(scopes, scope) })
	})
}

// choice is one of a list, of days or of hours.
type choice struct {
	Value    int
	Label    string
	Selected bool
}

func lifetimes() []choice {
	return []choice{{30, "30 days", false}, {90, "90 days", true}, {180, "180 days", false}, {365, "1 year", false}}
}

func overlaps() []choice {
	return []choice{{0, "at once", false}, {1, "in 1 hour", false}, {24, "in 1 day", true}, {168, "in 7 days", false}}
}

// choose returns the value that was chosen of a list.
func choose(values url.Values, name string, all []choice) (int, error) {
	text, err := one(values, name)
	if err != nil {
		return 0, err
	}
	value, err := strconv.Atoi(text)
	if err != nil || !slices.ContainsFunc(all, func(c choice) bool { return c.Value == value }) {
		return 0, door.Invalid("%s is not one of those that can be chosen", name)
	}
	return value, nil
}

// createView is the form that makes a key.
type createView struct {
	Rights    []right
	Lifetimes []choice
	Problem   string
}

func newCreateView(p principal.Principal) createView {
	return createView{Rights: rights(p.Scopes), Lifetimes: lifetimes()}
}

// read reads the form. What cannot be chosen is not there.
func (v *createView) read(values url.Values, maker principal.Principal, now time.Time) (apikey.Grant, error) {
	grant := apikey.Grant{Owner: maker.ID, Tenant: maker.Tenant, Roles: maker.Roles, Groups: maker.Groups, CreatedBy: maker.ID}
	chosen := values["right"]
	for i := range v.Rights {
		r := &v.Rights[i]
		if r.Checked = slices.Contains(chosen, r.Name); r.Checked {
			grant.Scopes = append(grant.Scopes, r.scopes...)
		}
	}
	days, err := choose(values, "days", v.Lifetimes)
	switch {
	case err != nil:
		return grant, err
	case len(grant.Scopes) == 0:
		return grant, door.Invalid("choose at least one thing that the key may do")
	}
	for i := range v.Lifetimes {
		v.Lifetimes[i].Selected = v.Lifetimes[i].Value == days
	}
	grant.Expires = now.Add(time.Duration(days) * day)
	return grant, nil
}

// mayGive returns an error unless a principal may get a key. A key may be for some networks
// only, of which a principal knows nothing: so it makes no other.
func mayGive(p principal.Principal, grant apikey.Grant) error {
	if p.Method == principal.MethodAPIKey {
		return &accounts.ExcessError{Problem: "a key makes no other here, log in"}
	}
	return accounts.KeyWithin(p, grant)
}
