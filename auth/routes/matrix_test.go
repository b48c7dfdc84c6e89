package routes

import (
	"encoding/csv"
	"net/netip"
	"os"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
)

// cells are the columns of the matrix: who asks.
func matrixPrincipals() map[string]authz.Principal {
	of := func(id, tenant string, roles ...string) authz.Principal {
		return authz.Principal{ID: id, Tenant: tenant, Roles: roles, Method: "jwt", Scopes: []string{authz.AllScopes}}
	}
	return map[string]authz.Principal{
		"nobody": of("nobody", "t1"), "viewer": of("vera", "t1", "viewer"), "user": of("ursula", "t1", "user"),
		"admin": of("adam", "t1", "admin"), "auditor": of("audrey", "t1", "auditor"), "toperator": of("tom", "t1", "operator"),
		"operator": of("oscar", authz.SystemTenant, "operator"), "sysauditor": of("aida", authz.SystemTenant, "auditor"),
	}
}

// matrixObject is what a principal asks about, nil if there is no such thing.
func matrixObject(kind Object, object string, p authz.Principal, creating bool) authz.Resource {
	tenant, owner := p.Tenant, p.ID
	switch {
	case object == "mate":
		owner = "mate"
	case object == "other" && creating:
		tenant = "t2"
	case object == "other":
		tenant, owner = "t2", "bob"
	}
	id := "1"
	if creating {
		id = ""
	}
	switch {
	case kind == ClusterObject && object == "cluster":
		return authz.Cluster{}
	case kind == TenantObject && slices.Contains([]string{"own", "other"}, object):
		return authz.Tenant(tenant)
	case kind == PinObject && slices.Contains([]string{"own", "mate", "other"}, object):
		return authz.Pin{ID: id, Tenant: tenant, Owner: owner}
	case kind == KeyObject && slices.Contains([]string{"own", "mate", "other"}, object):
		return authz.Key{ID: id, Tenant: tenant, Owner: owner}
	}
	return nil
}

// actionRoute is an action without a route, for the matrix.
func actionRoute(set *authz.Set, action string) (Route, bool) {
	r := Route{Name: action, Class: Read, Action: action, Does: Serve}
	switch {
	case !slices.Contains(set.Actions(), action):
		return r, false
	case strings.HasPrefix(action, "keys:") && !strings.HasPrefix(action, "keys:list"):
		r.Object = KeyObject
	case strings.HasPrefix(action, "admin:cluster") || slices.Contains([]string{"admin:policies-read", "admin:tenants-list", "admin:tenants-create"}, action):
		r.Object = ClusterObject
	default:
		r.Object = TenantObject
	}
	return r, true
}

func matrixRoute(set *authz.Set, name string) (Route, bool) {
	api, route, _ := strings.Cut(name, "/")
	tables := map[string]*Table{"native": Native(), "pinning": Pinning(), "login": Login(), "admin": Admin(), "web": Web()}
	if api == "action" {
		return actionRoute(set, route)
	}
	if tables[api] == nil {
		return Route{}, false
	}
	for _, r := range tables[api].Routes() {
		if r.Name == route {
			return r, true
		}
	}
	return Route{}, false
}

// TestMatrix compares the embedded policies, by way of the route table, with expectations
// that were written by hand. No route, no action and no cell may be missing.
func TestMatrix(t *testing.T) {
	set, err := authz.NewSet(nil, false)
	if err != nil {
		t.Fatal(err)
	}
	f, err := os.Open("testdata/matrix.csv")
	if err != nil {
		t.Fatal(err)
	}
	defer f.Close()
	reader := csv.NewReader(f)
	reader.Comment = '#'
	rows, err := reader.ReadAll()
	if err != nil {
		t.Fatal(err)
	}
	header := rows[0]
	principals := matrixPrincipals()
	if len(header) != len(principals)+2 {
		t.Fatalf("the columns are %q", header)
	}
	seen := make(map[string][]string)
	actions := make(map[string]bool)
	cells := 0
	for _, row := range rows[1:] {
		route, known := matrixRoute(set, row[0])
		if !known {
			t.Errorf("there is no route %s", row[0])
			continue
		}
		seen[row[0]] = append(seen[row[0]], row[1])
		actions[route.Action] = true
		for i, want := range row[2:] {
			cells++
			if got := answer(t, set, route, row[1], principals[header[i+2]]); got != want {
				t.Errorf("%s, %s, %s: %s, want %s", row[0], row[1], header[i+2], got, want)
			}
		}
	}
	for api, table := range map[string]*Table{"native": Native(), "pinning": Pinning(), "login": Login(), "admin": Admin(), "web": Web()} {
		for _, r := range table.Routes() {
			want := map[Object][]string{
				NoObject: {"none"}, PinObject: {"own", "mate", "other"}, KeyObject: {"own", "mate", "other"}, TenantObject: {"own", "other"}, ClusterObject: {"cluster"},
			}[r.Object]
			if got := seen[api+"/"+r.Name]; !slices.Equal(got, want) {
				t.Errorf("%s/%s has the rows %q, want %q", api, r.Name, got, want)
			}
		}
	}
	for _, action := range set.Actions() {
		if !actions[action] {
			t.Errorf("the action %s has no row", action)
		}
	}
	if cells < 500 {
		t.Errorf("only %d cells", cells)
	}
}

// answer is the cell of a route, an object and a principal.
func answer(t *testing.T, set *authz.Set, route Route, object string, p authz.Principal) string {
	t.Helper()
	switch {
	case p.ID == "":
		t.Fatal("a column has no principal")
	case route.Does == Refuse:
		return "refused"
	case route.Class == Open:
		return "open"
	}
	resource := matrixObject(route.Object, object, p, strings.HasSuffix(route.Action, ":create"))
	if resource == nil {
		return "there is no such object"
	}
	d := set.Decide(authz.Request{Principal: p, Action: route.Action, Resource: resource, Context: authz.Context{
		IP: netip.MustParseAddr("192.0.2.1"), Time: time.Date(2026, 6, 1, 12, 0, 0, 0, time.UTC), TLS: true,
	}})
	switch {
	case d.Refused != "":
		return d.Reason()
	case d.Allowed:
		return "200"
	case d.Hidden:
		return "404"
	}
	return "403"
}
