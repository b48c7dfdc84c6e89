package admin

import (
	"encoding/json"
	"math/rand/v2"
	"net/netip"
	"os"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// Nobody gives more than they have, each in one thing.
func TestNobodyGivesMore(t *testing.T) {
	w := newWorld(t)
	narrow := of("ursula", "t1", "user")
	narrow.Scopes, narrow.Groups = []string{"keys:*", "pins:read"}, []string{"/ops"}
	w.people["narrow"] = narrow
	for body, status := range map[string]int{
		`{"scopes":["keys:*"]}`:                                    201,
		`{"scopes":["keys:create","pins:read"]}`:                   201,
		`{"scopes":["pins:read"],"roles":["viewer"]}`:              201,
		`{"scopes":["pins:read"],"roles":[]}`:                      201,
		`{"scopes":["pins:read"],"groups":["/ops"]}`:               201,
		`{"scopes":["*"]}`:                                         403,
		`{"scopes":["pins:*"]}`:                                    403,
		`{"scopes":["pins:read","pins:list"]}`:                     403,
		`{"scopes":["k*"]}`:                                        403,
		`{"scopes":["pins:read"],"roles":["admin"]}`:               403,
		`{"scopes":["pins:read"],"roles":["user","auditor"]}`:      403,
		`{"scopes":["pins:read"],"groups":["/ops","/everything"]}`: 403,
	} {
		before := len(w.accounts.keys)
		answer := w.ask("narrow", "POST", "/keys", body)
		if answer.Code != status || (len(w.accounts.keys) > before) != (status == 201) {
			t.Errorf("%s: %d %s, want %d", body, answer.Code, answer.Body, status)
		}
	}
	// An admin gives to others what the admin has.
	for body, status := range map[string]int{
		`{"owner":"mate","scopes":["*"],"roles":["admin"]}`:    201,
		`{"owner":"mate","scopes":["*"],"roles":["viewer"]}`:   201,
		`{"owner":"mate","scopes":["*"],"roles":["operator"]}`: 403,
		`{"owner":"mate","scopes":["*"],"roles":["auditor"]}`:  403,
	} {
		if answer := w.ask("admin", "POST", "/admin/tenants/t1/keys", body); answer.Code != status {
			t.Errorf("%s: %d %s, want %d", body, answer.Code, answer.Body, status)
		}
	}
	// Who runs the system's tenant is no operator for that.
	w.ask("sysadmin", "POST", "/admin/tenants/system/keys", `{"owner":"oscar","scopes":["*"],"roles":["operator"]}`).fails(403, authn.Forbidden)
	w.ask("sysadmin", "POST", "/admin/tenants/system/principals/sam/credentials", `{"credential":"did:key:z","roles":["operator"]}`).fails(403, authn.Forbidden)
}

// Whoever rotates a key gets its secret: that is a key that they make.
func TestRotationGivesNoMore(t *testing.T) {
	w := newWorld(t)
	narrow := of("adam", "t1", "admin")
	narrow.Scopes = []string{"keys:*"}
	w.people["narrow"] = narrow
	wide, _, err := w.accounts.CreateKey(t.Context(), grantOf("adam", "t1"))
	must(t, err)
	grant := grantOf("mate", "t1")
	grant.Roles = []string{"auditor"}
	auditors, _, err := w.accounts.CreateKey(t.Context(), grant)
	must(t, err)
	before := w.accounts.writes
	w.ask("narrow", "POST", "/keys/"+wide.ID+"/rotate", `{}`).fails(403, authn.Forbidden)
	w.ask("narrow", "POST", "/admin/tenants/t1/keys/"+wide.ID+"/rotate", `{}`).fails(403, authn.Forbidden)
	w.ask("admin", "POST", "/admin/tenants/t1/keys/"+auditors.ID+"/rotate", `{}`).fails(403, authn.Forbidden)
	if w.accounts.writes != before {
		t.Error("it was rotated")
	}
	w.ask("admin", "POST", "/keys/"+wide.ID+"/rotate", `{}`).is(201, nil)
}

// A key that is good in some networks makes none that is good elsewhere.
func TestNetworksOfKeys(t *testing.T) {
	w := newWorld(t)
	grant := grantOf("ursula", "t1")
	grant.Networks = []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")}
	shown, _, err := w.accounts.CreateKey(t.Context(), grant)
	must(t, err)
	wide, _, err := w.accounts.CreateKey(t.Context(), grantOf("ursula", "t1"))
	must(t, err)
	p := of("ursula", "t1", "user")
	p.Method, p.Credential = principal.MethodAPIKey, shown.ID
	w.people["key"] = p
	p.Credential = wide.ID
	w.people["wide key"] = p
	p.Credential = "gone"
	w.people["gone key"] = p
	for networks, status := range map[string]int{
		`["192.0.2.0/25"]`: 201, `["192.0.2.0/24","2001:db8:1::/48"]`: 201, `["192.0.2.7/32"]`: 201,
		`[]`: 403, `["192.0.2.0/23"]`: 403, `["192.0.2.0/24","198.51.100.0/24"]`: 403, `["0.0.0.0/0"]`: 403, `["::/0"]`: 403, `["::ffff:192.0.2.0/120"]`: 403,
	} {
		if answer := w.ask("key", "POST", "/keys", `{"scopes":["*"],"networks":`+networks+`}`); answer.Code != status {
			t.Errorf("%s: %d %s, want %d", networks, answer.Code, answer.Body, status)
		}
	}
	w.ask("wide key", "POST", "/keys", `{"scopes":["*"]}`).is(201, nil)
	w.ask("gone key", "POST", "/keys", `{"scopes":["*"]}`).fails(403, authn.Forbidden)
	w.ask("key", "POST", "/keys/"+wide.ID+"/rotate", `{}`).fails(403, authn.Forbidden)
	w.ask("key", "POST", "/keys/"+shown.ID+"/rotate", `{}`).is(201, nil)
}

func TestOperatorsGiveFirstCredentials(t *testing.T) {
	w := newWorld(t)
	for _, test := range []struct {
		who, tenant, body string
		status            int
	}{
		{"operator", "t1", `{"credential":"did:key:a","roles":["admin","auditor"],"groups":["g"],"scopes":["*"]}`, 201},
		{"operator", "system", `{"credential":"did:key:b","roles":["operator"]}`, 201},
		{"operator", "system", `{"credential":"did:key:c","roles":["auditor"]}`, 403},
		{"admin", "t1", `{"credential":"did:key:d","roles":["admin"],"scopes":["*"]}`, 201},
		{"admin", "t1", `{"credential":"did:key:e","roles":["auditor"]}`, 403},
		{"admin", "t1", `{"credential":"did:key:e","groups":["g"]}`, 403},
		{"admin", "t2", `{"credential":"did:key:e"}`, 404},
		{"sysadmin", "t1", `{"credential":"did:key:e"}`, 403},
	} {
		if answer := w.ask(test.who, "POST", "/admin/tenants/"+test.tenant+"/principals/x/credentials", test.body); answer.Code != test.status {
			t.Errorf("%s: %d %s, want %d", answer.what, answer.Code, answer.Body, test.status)
		}
	}
	oscar := w.people["operator"]
	oscar.Scopes = []string{"credentials:*"}
	w.people["narrow"] = oscar
	w.ask("narrow", "POST", "/admin/tenants/t1/principals/x/credentials", `{"credential":"did:key:f","scopes":["*"]}`).fails(403, authn.Forbidden)
	w.ask("narrow", "POST", "/admin/tenants/t1/principals/x/credentials", `{"credential":"did:key:f","scopes":["credentials:list"]}`).is(201, nil)
	if err := credentialWithin(of("bob", "t2", "admin"), accounts.Credential{Tenant: "t1"}); err == nil {
		t.Error("whatever policies say, an admin gives credentials of another tenant")
	}
	w.config.Accounts = w.accounts
	if err := (&API{w.config}).keyWithin(t.Context(), of("oscar", authz.SystemTenant, "operator"), grantOf("oscar", "t1")); err == nil {
		t.Error("whatever policies say, an operator makes keys of another tenant")
	}
}

// Whatever somebody asks for, the key that they get may do nothing that they may not do
// themselves, by the real policies; and what is within their rights is given.
func TestKeysMayDoNoMore(t *testing.T) {
	w := newWorld(t)
	set, err := authz.NewSet(nil, false)
	must(t, err)
	r := rand.New(rand.NewPCG(17, 7))
	pick := func(of []string) []string {
		out := []string{}
		for _, one := range of {
			if r.IntN(len(of)) < 2 {
				out = append(out, one)
			}
		}
		return out
	}
	roles := []string{"viewer", "user", "admin", "auditor", "operator", "other"}
	scopes := []string{"*", "pins:*", "pins:read", "pins:create", "keys:*", "keys:create", "keys:list", "status:read", "admin:*", "credentials:*", "principals:revoke", "admin:quotas-read"}
	made, refused, tries := 0, 0, 600
	if os.Getenv("TEST_LONG") != "" {
		tries = 5000
	}
	for range tries {
		maker := of("ursula", []string{"t1", authz.SystemTenant}[r.IntN(2)], append(pick(roles), []string{"user", "admin", "viewer"}[r.IntN(3)])...)
		maker.Scopes = append(pick(scopes), []string{"keys:*", "*", "keys:create", "pins:*"}[r.IntN(4)])
		w.people["maker"] = maker
		wanted := map[string]any{"scopes": pick(scopes), "roles": pick(roles)}
		if r.IntN(4) == 0 {
			delete(wanted, "roles")
		}
		path := "/keys"
		if r.IntN(2) == 0 {
			path, wanted["owner"] = "/admin/tenants/"+[]string{"t1", "t2", authz.SystemTenant}[r.IntN(3)]+"/keys", []string{"ursula", "mate"}[r.IntN(2)]
		}
		answer := w.ask("maker", "POST", path, wanted)
		if answer.Code != 201 {
			refused++
			continue
		}
		made++
		var got keyView
		must(t, json.Unmarshal(answer.Body.Bytes(), &got))
		if got.Tenant != maker.Tenant {
			t.Fatalf("%s: %+v makes a key of %s", answer.what, maker, got.Tenant)
		}
		key := principal.Principal{ID: got.Owner, Tenant: got.Tenant, Roles: got.Roles, Scopes: got.Scopes}
		for _, action := range set.Actions() {
			for _, tenant := range []string{"t1", "t2", authz.SystemTenant} {
				for _, owned := range []bool{true, false} {
					if may(set, key, action, tenant, owned) && !may(set, maker, action, tenant, owned) {
						t.Fatalf("%s: the key may do %s in %s, and %+v may not", answer.what, action, tenant, maker)
					}
				}
			}
		}
	}
	if made < tries/20 || refused < tries/4 {
		t.Errorf("%d keys were made, %d were refused: that shows little", made, refused)
	}
}

// may tells whether somebody may do something in a tenant, with what is or is not their own.
func may(set *authz.Set, p principal.Principal, action, tenant string, owned bool) bool {
	owner := "somebody"
	if owned {
		owner = p.ID
	}
	return slices.ContainsFunc([]authz.Resource{
		authz.Cluster{}, authz.Tenant(tenant), authz.Key{Tenant: tenant, Owner: owner}, authz.Pin{Tenant: tenant, Owner: owner},
	}, func(resource authz.Resource) bool {
		return set.Decide(authz.Request{
			Principal: authz.Principal{ID: p.ID, Tenant: p.Tenant, Roles: p.Roles, Scopes: p.Scopes, Method: "apikey"},
			Action:    action, Resource: resource,
			Context: authz.Context{IP: netip.MustParseAddr("192.0.2.1"), Time: time.Unix(1e9, 0)},
		}).Allowed
	})
}

// An id that was made of a segment of a path shows, and is found by its segment.
func FuzzIDOf(f *testing.F) {
	for _, segment := range []string{"acme", "~YWNtZQ", "~", "~~", "~YWNtZR", "a~b", "~AA", "did:key:z6Mk", segmentOf(subject), segmentOf("~x"), segmentOf(".."), "\xff", "a\u202e"} {
		f.Add(segment)
	}
	f.Fuzz(func(t *testing.T, segment string) {
		if id := segment; id != "" && principal.CheckText(id) == nil {
			if got, err := idOf(segmentOf(id)); err != nil || got != id {
				t.Fatalf("%q is written as %q, which is %q, %v", id, segmentOf(id), got, err)
			}
		}
		id, err := idOf(segment)
		if err != nil || segment == "" {
			return
		}
		if principal.CheckText(id) != nil {
			t.Fatalf("%q is %q", segment, id)
		}
		if again, err := idOf(segmentOf(id)); err != nil || again != id {
			t.Fatalf("%q is %q, and that is %q, %v", segment, id, again, err)
		}
	})
}

// FuzzDecode: a body is taken as an object of known members only, or refused with 400.
func FuzzDecode(f *testing.F) {
	for _, body := range []string{`{}`, `{"owner":"x","scopes":["*"],"networks":["192.0.2.0/24"],"expires":"2026-01-31T00:00:00Z"}`, `null`, `[]`, `{"scopes":null}`, `{"a":1}`, "\xff", `{"owner":"x","owner":"y"}`} {
		f.Add([]byte(body))
	}
	f.Fuzz(func(t *testing.T, body []byte) {
		var wanted newKey
		err := decode(body, &wanted)
		if err == nil {
			var members map[string]any
			if json.Unmarshal(body, &members) != nil || members == nil {
				t.Fatalf("%q is taken", body)
			}
			for name := range members {
				if !slices.Contains([]string{"owner", "roles", "groups", "scopes", "networks", "expires"}, name) {
					t.Fatalf("%q is taken with %q", body, name)
				}
			}
			return
		}
		if p, ok := err.(*door.Problem); !ok || p.Status != 400 { //nolint:errorlint // it is returned as such
			t.Fatalf("%q: %v", body, err)
		}
	})
}
