package admin

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
)

const (
	subject = "https://id.example#8a6f"
	// pathOf is the path of a principal of that id.
	pathOf = "/admin/tenants/t1/principals/~aHR0cHM6Ly9pZC5leGFtcGxlIzhhNmY"
)

func TestCredentials(t *testing.T) {
	w := newWorld(t)
	var made credentialView
	w.ask("admin", "POST", pathOf+"/credentials", `{"credential":"did:key:z6Mk","roles":["user"],"scopes":["pins:*"]}`).is(201, &made)
	if made.Principal != subject || made.Tenant != "t1" || made.AddedBy != "adam" || fmt.Sprint(made.Roles, made.Scopes) != "[user] [pins:*]" || made.Added == nil {
		t.Errorf("%+v", made)
	}
	want := audit.Resource{Kind: "credential", ID: "did:key:z6Mk", Tenant: "t1", Owner: subject}
	if r := w.records[len(w.records)-2]; r.Event.Action != "credentials:add" || r.Event.Resource != want {
		t.Errorf("on record is %+v", r.Event)
	}
	var page list[credentialView]
	w.ask("auditor", "GET", pathOf+"/credentials?limit=1", nil).is(200, &page)
	if len(page.Items) != 1 || page.Items[0].Credential != made.Credential || page.Next == "" {
		t.Errorf("%+v", page)
	}
	w.ask("admin", "POST", "/admin/tenants/t1/principals/mate/credentials", `{"credential":"did:key:z6Mk"}`).fails(409, door.AlreadyExists)
	w.ask("admin", "POST", pathOf+"/credentials", `{"credential":""}`).fails(400, door.BadRequest)
	for _, path := range []string{"/admin/tenants/t1/principals/mate", "/admin/tenants/t2/principals/ursula"} {
		w.ask("operator", "DELETE", path+"/credentials/did:key:z6Mk", nil).fails(404, door.NotFound)
	}
	w.ask("user", "DELETE", pathOf+"/credentials/did:key:z6Mk", nil).fails(403, authn.Forbidden)
	w.ask("other", "DELETE", pathOf+"/credentials/did:key:z6Mk", nil).fails(404, door.NotFound)
	if len(w.accounts.credentials) != 1 {
		t.Error("it was removed")
	}
	w.ask("admin", "DELETE", pathOf+"/credentials/did:key:z6Mk", nil).is(204, nil)
	w.ask("admin", "DELETE", pathOf+"/credentials/did:key:z6Mk", nil).fails(404, door.NotFound)
}

// The subject of an issuer is of one tenant: an admin who could give it would lock out
// whoever it is of.
func TestSubjectsAreGivenByOperators(t *testing.T) {
	w := newWorld(t)
	body := `{"credential":"` + subject + `"}`
	w.ask("admin", "POST", "/admin/tenants/t1/principals/adam/credentials", body).fails(403, authn.Forbidden)
	if len(w.accounts.credentials) != 0 {
		t.Fatal("it was given")
	}
	w.ask("operator", "POST", "/admin/tenants/t1/principals/adam/credentials", body).is(201, nil)
	w.ask("admin", "DELETE", "/admin/tenants/t1/principals/adam/credentials/"+segmentOf(subject), nil).is(204, nil)
}

func TestRevokePrincipal(t *testing.T) {
	w := newWorld(t)
	var revoked struct {
		Keys int `json:"revoked_keys"`
	}
	w.ask("admin", "POST", pathOf+"/revoke", nil).is(200, &revoked)
	w.ask("operator", "POST", pathOf+"/revoke", nil).is(200, nil)
	if want := []string{"t1 " + subject + " by adam", "t1 " + subject + " by oscar"}; revoked.Keys != 3 || !slices.Equal(w.accounts.revoked, want) {
		t.Errorf("%+v, %q", revoked, w.accounts.revoked)
	}
	want := audit.Resource{Kind: "principal", ID: subject, Tenant: "t1"}
	if r := w.records[0]; r.Kind != audit.Intent || r.Event.Action != "principals:revoke" || r.Event.Resource != want {
		t.Errorf("on record is %+v", r.Event)
	}
	w.ask("user", "POST", pathOf+"/revoke", nil).fails(403, authn.Forbidden)
	w.ask("other", "POST", pathOf+"/revoke", nil).fails(404, door.NotFound)
	w.ask("operator", "POST", "/admin/tenants/gone/principals/x/revoke", nil).fails(404, door.NotFound)
	if len(w.accounts.revoked) != 2 {
		t.Errorf("revoked are %q", w.accounts.revoked)
	}
}
