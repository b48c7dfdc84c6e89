package admin

import (
	"errors"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/accounts"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
)

func TestTenants(t *testing.T) {
	w := newWorld(t)
	var made, got tenantView
	answer := w.ask("operator", "POST", "/admin/tenants", `{"id":"acme & söhne","name":"Acme","max_pins":7}`).is(201, &made)
	path := answer.Header().Get("Location")
	if made.ID != "acme & söhne" || made.MaxPins != 7 || made.Rev == "" || answer.Header().Get("ETag") != `"`+made.Rev+`"` || path != "/admin/tenants/~YWNtZSAmIHPDtmhuZQ" {
		t.Errorf("%+v, %v", made, answer.Header())
	}
	w.ask("operator", "GET", path, nil).is(200, &got)
	if got != made {
		t.Errorf("made %+v, got %+v", made, got)
	}
	w.ask("operator", "POST", "/admin/tenants", `{"id":"acme & söhne"}`).fails(409, door.AlreadyExists)
	w.ask("operator", "POST", "/admin/tenants", `{"id":""}`).fails(400, door.BadRequest)
	w.ask("operator", "POST", "/admin/tenants", `{"id":"x","max_pins":-1}`).fails(400, door.BadRequest)
	w.ask("operator", "POST", "/admin/tenants", `{"id":"x","rev":"1"}`).fails(400, door.BadRequest)
	w.ask("operator", "GET", "/admin/tenants/gone", nil).fails(404, door.NotFound)

	var changed tenantView
	w.ask("operator", "PATCH", path, `{"name":"Acme AG","disabled":true,"max_bytes":9}`, "If-Match", `"`+made.Rev+`"`).is(200, &changed)
	want := made
	want.Name, want.Disabled, want.MaxBytes, want.Rev = "Acme AG", true, 9, changed.Rev
	if changed != want || changed.Rev == made.Rev {
		t.Errorf("changed to %+v", changed)
	}
	w.ask("operator", "PATCH", path, `{"disabled":false,"max_pins":0,"rev":"`+changed.Rev+`"}`).is(200, &got)
	if got.Disabled || got.MaxPins != 0 || got.Name != "Acme AG" {
		t.Errorf("changed to %+v", got)
	}
	w.ask("operator", "PATCH", path, `{"requests_per_second":5}`, "If-Match", "*").is(200, &got)
	if got.RequestsPerSecond != 5 {
		t.Errorf("changed to %+v", got)
	}
}

// What a change is one of must be said, and be so still.
func TestRevisions(t *testing.T) {
	w := newWorld(t)
	patch := func(body string, headers ...string) reply {
		t.Helper()
		return w.ask("operator", "PATCH", "/admin/tenants/t1", body, headers...)
	}
	patch(`{"name":"x"}`).fails(428, door.RevisionRequired)
	patch(`{"name":"x"}`, "If-Match", `"2"`).fails(412, door.Changed)
	patch(`{"name":"x","rev":"2"}`).fails(412, door.Changed)
	patch(`{"name":"x","rev":"1"}`, "If-Match", `"1"`).fails(400, door.BadRequest)
	for _, tag := range []string{`1`, `W/"1"`, `"1","2"`, `""`, `"`, ``, `"1`} {
		patch(`{"name":"x"}`, "If-Match", tag).fails(400, door.BadRequest)
	}
	patch(`{}`, "If-Match", `"1"`).fails(400, door.BadRequest)
	patch(`{"name":null}`, "If-Match", `"1"`).fails(400, door.BadRequest)
	patch(`{"id":"t3"}`, "If-Match", `"1"`).fails(400, door.BadRequest)
	w.ask("operator", "PATCH", "/admin/tenants/system", `{"disabled":true}`, "If-Match", `"1"`).fails(400, door.BadRequest)
	if w.accounts.tenants["t1"].Name != "tenant t1" || w.accounts.tenants["system"].Disabled {
		t.Errorf("it was changed: %+v", w.accounts.tenants)
	}
	if last := w.records[len(w.records)-1]; last.Result.Verdict != audit.Failure || last.Result.Status != 412 {
		t.Errorf("on record is %+v", last.Result)
	}
}

func TestListTenants(t *testing.T) {
	w := newWorld(t)
	seen := 0
	for path := "/admin/tenants?limit=2"; path != ""; {
		var page list[tenantView]
		w.ask("sysauditor", "GET", path, nil).is(200, &page)
		seen += len(page.Items)
		path = ""
		if page.Next != "" {
			path = "/admin/tenants?limit=2&after=" + page.Next
		}
	}
	if seen != 3 {
		t.Errorf("%d tenants", seen)
	}
	for _, query := range []string{"limit=0", "limit=101", "limit=x", "limit=1&limit=2", "after=", "after=x", "name=x"} {
		w.ask("operator", "GET", "/admin/tenants?"+query, nil).fails(400, door.BadRequest)
	}
}

// The tenant of a path is one that policies decide about: operators see all, an admin its
// own, and what somebody may not see is not there.
func TestTenantOfPath(t *testing.T) {
	w := newWorld(t)
	w.used = Used{Pins: 5, Bytes: 6}
	for _, path := range []string{"/admin/tenants/t1", "/admin/tenants/t1/usage", "/admin/tenants/t1/keys", "/admin/tenants/t1/principals/x/credentials"} {
		for who, status := range map[string]int{"operator": 200, "sysauditor": 200, "admin": 200, "auditor": 200, "user": 403, "viewer": 403, "other": 404, "": 401} {
			answer := w.ask(who, "GET", path, nil)
			if answer.Code != status {
				t.Errorf("%s: %d %s, want %d", answer.what, answer.Code, answer.Body, status)
			}
		}
		gone := "/admin/tenants/gone" + path[len("/admin/tenants/t1"):]
		w.ask("operator", "GET", gone, nil).fails(404, door.NotFound)
		w.ask("admin", "GET", gone, nil).fails(404, door.NotFound)
	}
	w.ask("admin", "POST", "/admin/tenants", `{"id":"t3"}`).fails(403, authn.Forbidden)
	w.ask("admin", "PATCH", "/admin/tenants/t1", `{"max_pins":0}`, "If-Match", "*").fails(403, authn.Forbidden)
	w.ask("admin", "PATCH", "/admin/tenants/t2", `{"max_pins":0}`, "If-Match", "*").fails(404, door.NotFound)
	w.ask("admin", "GET", "/admin/tenants", nil).fails(403, authn.Forbidden)
	w.ask("admin", "GET", "/admin/policies", nil).fails(403, authn.Forbidden)
	if w.accounts.writes != 3 {
		t.Errorf("%d writes: something was done that is not allowed", w.accounts.writes)
	}
}

// A quota is another action than a name.
func TestQuotaIsAnotherAction(t *testing.T) {
	w := newWorld(t)
	oscar := w.people["operator"]
	oscar.Scopes = []string{"admin:tenants-create", "admin:tenants-write"}
	w.people["narrow"] = oscar
	w.ask("narrow", "PATCH", "/admin/tenants/t1", `{"name":"x"}`, "If-Match", "*").is(200, nil)
	w.ask("narrow", "PATCH", "/admin/tenants/t1", `{"requests_per_second":1}`, "If-Match", "*").fails(403, door.InsufficientScope)
	w.ask("narrow", "POST", "/admin/tenants", `{"id":"t3","max_bytes":1}`).fails(403, door.InsufficientScope)
	w.ask("narrow", "POST", "/admin/tenants", `{"id":"t3"}`).is(201, nil)
}

func TestUsageAndPolicies(t *testing.T) {
	w := newWorld(t)
	w.used = Used{Pins: 5, Bytes: 6}
	w.accounts.tenants["t1"] = accounts.Tenant{ID: "t1", MaxPins: 10, Rev: "1"}
	var used struct {
		Used
		MaxPins int64 `json:"max_pins"`
	}
	w.ask("admin", "GET", "/admin/tenants/t1/usage", nil).is(200, &used)
	if used.Pins != 5 || used.Bytes != 6 || used.MaxPins != 10 {
		t.Errorf("%+v", used)
	}
	var policies struct {
		Version  string
		Policies []string
	}
	w.ask("operator", "GET", "/admin/policies", nil).is(200, &policies)
	set, err := authz.NewSet(nil, false)
	must(t, err)
	if policies.Version != set.Version() || len(policies.Policies) != len(set.Policies()) {
		t.Errorf("%+v", policies)
	}
	w.config.Usage = nil
	w.rebuild()
	w.ask("admin", "GET", "/admin/tenants/t1/usage", nil).fails(404, door.NotFound)
}

// What something behind fails with is 503, and never an empty list.
func TestStoreIsDown(t *testing.T) {
	w := newWorld(t)
	key, _, err := w.accounts.CreateKey(t.Context(), grantOf("ursula", "t1"))
	must(t, err)
	w.accounts.err = errors.New("down")
	for _, try := range [][3]string{
		{"GET", "/admin/tenants"}, {"GET", "/admin/tenants/t1"}, {"GET", "/admin/tenants/t1/usage"}, {"GET", "/admin/tenants/t1/keys"}, {"GET", "/keys"},
		{"POST", "/admin/tenants", `{"id":"x"}`}, {"DELETE", "/keys/" + key.ID}, {"POST", "/keys", `{"scopes":["*"]}`}, {"POST", "/keys/" + key.ID + "/rotate", `{}`},
		{"DELETE", "/admin/tenants/t1/principals/x/credentials/y"}, {"POST", "/admin/tenants/t1/principals/x/revoke"},
	} {
		w.people["all"] = of("ursula", "t1", "admin")
		who := "all"
		if try[1] == "/admin/tenants" {
			who = "operator"
		}
		var body any
		if try[2] != "" {
			body = try[2]
		}
		w.ask(who, try[0], try[1], body).fails(503, authn.DependencyUnavailable)
	}
	w.accounts.err, w.broken = nil, errors.New("the disk is full")
	before := w.accounts.writes
	w.ask("operator", "POST", "/admin/tenants", `{"id":"x"}`).fails(503, door.AuditUnavailable)
	w.ask("user", "DELETE", "/keys/"+key.ID, nil).fails(503, door.AuditUnavailable)
	if w.accounts.writes != before {
		t.Error("it was done without a record")
	}
	w.broken, w.accounts.err = nil, accounts.ErrRevoked
	w.ask("user", "POST", "/keys", `{"scopes":["*"]}`).fails(401, authn.InvalidToken)
	w.accounts.err = accounts.ErrChanged
	w.ask("operator", "POST", "/admin/tenants", `{"id":"x"}`).fails(409, door.Changed)
}
