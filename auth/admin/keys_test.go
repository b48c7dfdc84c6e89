package admin

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
)

func grantOf(owner, tenant string) apikey.Grant {
	return apikey.Grant{Owner: owner, Tenant: tenant, Roles: []string{"user"}, Scopes: []string{"*"}, CreatedBy: owner, Expires: time.Now().Add(time.Hour)}
}

// rebuild makes the API anew, after its configuration was changed.
func (w *world) rebuild() {
	w.t.Helper()
	policies := w.config.Policies.(door.Decider)
	recorder, err := audit.NewRecorder(audit.RecorderOptions{Sinks: []audit.Sink{w}})
	must(w.t, err)
	d, err := door.New(door.Config{Authenticator: w, Decider: policies, Recorder: recorder, Tenants: w})
	must(w.t, err)
	w.handler, err = d.Handler(New(w.config))
	must(w.t, err)
}

func TestOwnKeys(t *testing.T) {
	w := newWorld(t)
	expires := time.Now().Add(24 * time.Hour).UTC().Truncate(time.Second)
	var made keyView
	answer := w.ask("user", "POST", "/keys", `{"scopes":["pins:*","keys:revoke"],"networks":["192.0.2.0/24"],"expires":"`+expires.Format(time.RFC3339)+`"}`).is(201, &made)
	if made.Owner != "ursula" || made.Tenant != "t1" || made.CreatedBy != "ursula" || fmt.Sprint(made.Roles) != "[user]" || fmt.Sprint(made.Scopes) != "[keys:revoke pins:*]" ||
		fmt.Sprint(made.Networks) != "[192.0.2.0/24]" || made.Expires == nil || !made.Expires.Equal(expires) {
		t.Errorf("%+v", made)
	}
	if token, err := apikey.Parse(made.Secret); err != nil || token.ID != made.ID || answer.Header().Get("Cache-Control") != "no-store" {
		t.Errorf("the secret is of %v, %v; %v", token, err, answer.Header())
	}
	if k := w.accounts.find("t1", made.ID); k == nil || k.Owner != "ursula" {
		t.Errorf("stored is %+v", k)
	}
	var page list[keyView]
	answer = w.ask("user", "GET", "/keys", nil).is(200, &page)
	if len(page.Items) != 1 || page.Items[0].ID != made.ID || page.Items[0].LastUsed == nil || strings.Contains(answer.Body.String(), made.Secret) {
		t.Errorf("%s", answer.Body)
	}
	var next keyView
	w.ask("user", "POST", "/keys/"+made.ID+"/rotate", `{"overlap":"90m"}`).is(201, &next)
	left := time.Until(w.accounts.find("t1", made.ID).Expires)
	if next.RotatedFrom != made.ID || next.Secret == "" || next.Secret == made.Secret || left > 90*time.Minute || left < 89*time.Minute {
		t.Errorf("%+v, and the old one ends in %v", next, left)
	}
	w.ask("user", "DELETE", "/keys/"+made.ID, nil).is(204, nil)
	if w.accounts.find("t1", made.ID).Revoked.IsZero() {
		t.Error("it was not revoked")
	}
	w.ask("user", "POST", "/keys/"+made.ID+"/rotate", `{}`).fails(400, door.BadRequest)
	for _, r := range w.records {
		if text := fmt.Sprintf("%+v %+v", r, r.Event); strings.Contains(text, made.Secret[len(made.Secret)-50:]) {
			t.Errorf("a secret is on record: %s", text)
		}
	}
}

// A key of somebody else is not there, for who has own keys; and for who has not.
func TestKeysOfOthers(t *testing.T) {
	w := newWorld(t)
	mates, _, err := w.accounts.CreateKey(t.Context(), grantOf("mate", "t1"))
	must(t, err)
	bobs, _, err := w.accounts.CreateKey(t.Context(), grantOf("ursula", "t2")) // of that name elsewhere
	must(t, err)
	before := w.accounts.writes
	for _, id := range []string{mates.ID, bobs.ID, "gone"} {
		w.ask("user", "DELETE", "/keys/"+id, nil).fails(404, door.NotFound)
		w.ask("user", "POST", "/keys/"+id+"/rotate", `{}`).fails(404, door.NotFound)
		w.ask("admin", "DELETE", "/keys/"+id, nil).fails(404, door.NotFound)
	}
	for _, path := range []string{"/admin/tenants/t2/keys/" + bobs.ID, "/admin/tenants/t1/keys/" + bobs.ID, "/admin/tenants/t2/keys/" + mates.ID} {
		w.ask("admin", "DELETE", path, nil).fails(404, door.NotFound)
		w.ask("admin", "POST", path+"/rotate", `{}`).fails(404, door.NotFound)
	}
	w.ask("user", "DELETE", "/admin/tenants/t1/keys/"+mates.ID, nil).fails(403, authn.Forbidden)
	w.ask("admin", "POST", "/admin/tenants/t2/keys", `{"owner":"adam","scopes":["*"]}`).fails(404, door.NotFound)
	w.ask("operator", "POST", "/admin/tenants/t1/keys", `{"owner":"oscar","scopes":["*"]}`).fails(403, authn.Forbidden)
	w.ask("operator", "POST", "/admin/tenants/t1/keys/"+mates.ID+"/rotate", `{}`).fails(403, authn.Forbidden)
	w.ask("viewer", "POST", "/keys", `{"scopes":["*"]}`).fails(403, authn.Forbidden)
	if w.accounts.writes != before {
		t.Error("something was done that is not allowed")
	}
	var page list[keyView]
	w.ask("user", "GET", "/keys", nil).is(200, &page)
	if len(page.Items) != 0 {
		t.Errorf("%+v", page)
	}
	w.ask("admin", "DELETE", "/admin/tenants/t1/keys/"+mates.ID, nil).is(204, nil)
	w.ask("operator", "DELETE", "/admin/tenants/t2/keys/"+bobs.ID, nil).is(204, nil)
	if w.accounts.find("t1", mates.ID).Revoked.IsZero() || w.accounts.find("t2", bobs.ID).Revoked.IsZero() {
		t.Error("they were not revoked")
	}
}

// A tenant has one list of keys: that of a principal is complete, whatever the pages.
func TestListOwnKeys(t *testing.T) {
	w := newWorld(t)
	want := make(map[string]bool)
	for i := range 120 {
		owner := "mate"
		if i%40 == 7 || i >= 100 {
			owner = "ursula"
		}
		k, _, err := w.accounts.CreateKey(t.Context(), grantOf(owner, "t1"))
		must(t, err)
		want[k.ID] = owner == "ursula"
	}
	for _, limit := range []int{1, 2, 3, 7, 100} {
		got := make(map[string]bool)
		reads := 0
		for after, more := "", true; more; more = after != "" {
			path := fmt.Sprintf("/keys?limit=%d", limit)
			if after != "" {
				path += "&after=" + after
			}
			var page list[keyView]
			w.ask("user", "GET", path, nil).is(200, &page)
			if len(page.Items) > limit || reads > 121 {
				t.Fatalf("limit %d: a page has %d", limit, len(page.Items))
			}
			for _, k := range page.Items {
				if !want[k.ID] || got[k.ID] {
					t.Errorf("limit %d: %+v is not hers, or comes again", limit, k)
				}
				got[k.ID] = true
			}
			after = page.Next
			reads++
		}
		if len(got) != 23 {
			t.Errorf("limit %d: %d of 23 keys", limit, len(got))
		}
	}
}

func TestAdminMakesKeys(t *testing.T) {
	w := newWorld(t)
	var made keyView
	w.ask("admin", "POST", "/admin/tenants/t1/keys", `{"owner":"https://id.example#8a6f","roles":["user"],"scopes":["pins:*"]}`).is(201, &made)
	if made.Owner != "https://id.example#8a6f" || made.CreatedBy != "adam" || made.Expires != nil {
		t.Errorf("%+v", made)
	}
	intent, outcome := w.records[len(w.records)-2], w.records[len(w.records)-1]
	if intent.Kind != audit.Intent || intent.Event.Action != "keys:create" || intent.Event.Resource != (audit.Resource{Kind: "key", Tenant: "t1", Owner: made.Owner}) ||
		outcome.Result.ResourceID != made.ID || outcome.Result.Status != 201 {
		t.Errorf("on record is %+v, %+v", intent.Event, outcome.Result)
	}
	for _, body := range []string{
		`{"scopes":["*"]}`, `{"owner":"","scopes":["*"]}`, `{"owner":"x","scopes":[]}`, `{"owner":"x"}`, `{"owner":"x","scopes":["*"],"tenant":"t2"}`,
		`{"owner":"x","scopes":["*"],"networks":["192.0.2.1"]}`, `{"owner":"x","scopes":["*"],"expires":"tomorrow"}`, `{"owner":"x","scopes":["*"],"expires":"2001-01-01T00:00:00Z"}`,
		`{"owner":"x","scopes":["*"],"scopes":["*"]}`, `[]`, `null`, ``, `{`, `{"owner":"x","scopes":["*"]} {}`,
	} {
		w.ask("admin", "POST", "/admin/tenants/t1/keys", body).fails(400, door.BadRequest)
	}
	w.ask("user", "POST", "/keys", `{"scopes":["*"],"owner":"mate"}`).fails(400, door.BadRequest)
	w.ask("admin", "POST", "/admin/tenants/t1/keys", `{}`, "Content-Type", "text/plain").fails(415, door.UnsupportedType)
	w.ask("admin", "POST", "/admin/tenants/t1/keys", `{"owner":"`+strings.Repeat("a", maxBody)+`"}`).fails(413, door.TooLarge)
	for _, overlap := range []string{"-1s", "721h", "24", "", "x"} {
		w.ask("admin", "POST", "/admin/tenants/t1/keys/"+made.ID+"/rotate", `{"overlap":"`+overlap+`"}`).fails(400, door.BadRequest)
	}
	w.config.RequireExpiry = true
	w.rebuild()
	w.ask("admin", "POST", "/admin/tenants/t1/keys", `{"owner":"x","scopes":["*"]}`).fails(400, door.BadRequest)
	w.ask("user", "POST", "/keys", `{"scopes":["*"]}`).fails(400, door.BadRequest)
}
