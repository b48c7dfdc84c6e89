package accounts

import (
	"errors"
	"reflect"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

const aliceDID = "did:key:z6MkhaXgBZDvotDkL5257faiztiGiC2QtKLGpbnnEGta2doK"

func credential(tenant, owner, text string) Credential {
	return Credential{Credential: text, Principal: owner, Tenant: tenant, Roles: []string{"pin-user"}, AddedBy: "root"}
}

func TestCredentials(t *testing.T) {
	both := instances(t, 2)
	here, there := both[0], both[1]
	tenant(t, here, "t1")
	tenant(t, here, "t2")
	c := credential("t1", "alice", aliceDID)
	c.Roles, c.Scopes = []string{"b", "a", "b"}, []string{"pins:read"}
	first, err := here.AddCredential(t.Context(), c)
	must(t, err)
	owner := func() principal.Principal {
		t.Helper()
		p, ok, err := there.store.Owner(t.Context(), aliceDID)
		if err != nil || !ok {
			t.Fatal(ok, err)
		}
		return p
	}
	if p := owner(); p.ID != "alice" || p.Tenant != "t1" || !reflect.DeepEqual(p.Roles, []string{"a", "b"}) || len(p.Groups) != 0 || !reflect.DeepEqual(p.Scopes, []string{"pins:read"}) {
		t.Errorf("the owner is %+v", p)
	}
	// The same again changes roles, and is one entry.
	c.Roles, c.AddedBy = []string{"c"}, "admin"
	again, err := there.AddCredential(t.Context(), c)
	must(t, err)
	if p := owner(); !reflect.DeepEqual(p.Roles, []string{"c"}) || again.Added != first.Added || again.AddedBy != "root" {
		t.Errorf("the owner is %+v, the credential %+v", p, again)
	}
	_, err = here.AddCredential(t.Context(), credential("t1", "bob", aliceDID))
	mustBe(t, err, ErrExists)
	_, err = here.AddCredential(t.Context(), credential("t2", "alice", aliceDID))
	mustBe(t, err, ErrExists)
	_, err = here.AddCredential(t.Context(), credential("t3", "alice", "did:key:other"))
	mustBe(t, err, ErrNotFound)
	var e *InvalidError
	if _, err = here.AddCredential(t.Context(), credential("t1", "", "did:key:other")); !errors.As(err, &e) {
		t.Errorf("of nobody: %v", err)
	}
	_, err = here.AddCredential(t.Context(), credential("t1", "alice", "https://issuer#alice"))
	must(t, err)

	list := func(s *Service) []Credential {
		return all(t, 1, func(after string, limit int) (Page[Credential], error) {
			return s.ListCredentials(t.Context(), "t1", "alice", after, limit)
		})
	}
	if l := list(there); len(l) != 2 || l[0].Credential != "https://issuer#alice" || !reflect.DeepEqual(l[1].Roles, []string{"c"}) {
		t.Errorf("the list is %+v", l)
	}
	mustBe(t, here.RemoveCredential(t.Context(), "t2", aliceDID), ErrNotFound)
	must(t, here.RemoveCredential(t.Context(), "t1", aliceDID))
	mustBe(t, here.RemoveCredential(t.Context(), "t1", aliceDID), ErrNotFound)
	if _, ok, err := there.store.Owner(t.Context(), aliceDID); ok || err != nil {
		t.Errorf("a removed one: %t, %v", ok, err)
	}
	if l := list(here); len(l) != 1 {
		t.Errorf("the list is %+v", l)
	}
	// It may go to another principal then.
	_, err = there.AddCredential(t.Context(), credential("t2", "bob", aliceDID))
	must(t, err)
	if p := owner(); p.ID != "bob" || p.Tenant != "t2" {
		t.Errorf("the owner is %+v", p)
	}
}
