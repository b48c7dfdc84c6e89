package accounts

import (
	"errors"
	"fmt"
	"net/netip"
	"reflect"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

func verifier(t *testing.T, s *Service) *apikey.Verifier {
	t.Helper()
	v, err := apikey.NewVerifier(apikey.Config{Env: "live", Peppers: peppers(t), Store: s.store})
	must(t, err)
	return v
}

// verify returns what a verifier says that remembers nothing.
func verify(t *testing.T, s *Service, token apikey.Token) error {
	t.Helper()
	_, err := verifier(t, s).Verify(t.Context(), token.Text(), netip.Addr{})
	return err
}

func mustBeRefused(t *testing.T, err error, details string) {
	t.Helper()
	var refusal *principal.Refusal
	if !errors.As(err, &refusal) || !strings.Contains(refusal.Details, details) {
		t.Errorf("the error is %v, want the refusal %q", err, details)
	}
}

func TestKeys(t *testing.T) {
	both := instances(t, 2)
	here, there := both[0], both[1]
	tenant(t, here, "t1")
	tenant(t, here, "t2")
	full := apikey.Grant{
		Owner: "alice", Tenant: "t1", Roles: []string{"a", "b"}, Groups: []string{"g"}, Scopes: []string{"pins:create", "pins:read"},
		Networks: []netip.Prefix{netip.MustParsePrefix("192.0.2.0/24"), netip.MustParsePrefix("2001:db8::/32")},
		Expires:  time.Now().Add(time.Hour), CreatedBy: "root",
	}
	made, token, err := here.CreateKey(t.Context(), full)
	must(t, err)
	got, ok, err := there.store.Key(t.Context(), made.ID)
	if err != nil || !ok || !reflect.DeepEqual(got, made) {
		t.Fatalf("stored %+v, %t, %v, made %+v", got, ok, err, made)
	}
	full.Expires = full.Expires.UTC().Truncate(time.Millisecond)
	if !reflect.DeepEqual(got.Grant, full) || got.ID != token.ID || got.Env != "live" || got.Pepper != 1 {
		t.Errorf("stored %+v, wanted %+v", got, full)
	}
	p, err := verifier(t, there).Verify(t.Context(), token.Text(), netip.MustParseAddr("192.0.2.1"))
	if err != nil || p.ID != "alice" || p.Tenant != "t1" || p.Credential != made.ID {
		t.Errorf("it verifies as %+v, %v", p, err)
	}
	mustBeRefused(t, verify(t, there, token), "may not be used from this address")
	if _, ok, err := here.store.Key(t.Context(), "000000000000"); ok || err != nil {
		t.Errorf("a key that nobody made: %t, %v", ok, err)
	}

	mustBe(t, here.RevokeKey(t.Context(), "t2", made.ID), ErrNotFound) // it is another tenant's
	mustBe(t, here.RevokeKey(t.Context(), "t1", "000000000000"), ErrNotFound)
	must(t, here.RevokeKey(t.Context(), "t1", made.ID))
	first, _, err := there.store.Key(t.Context(), made.ID)
	if err != nil || first.Revoked.IsZero() {
		t.Errorf("revoked at %v, %v", first.Revoked, err)
	}
	must(t, there.RevokeKey(t.Context(), "t1", made.ID))
	if again, _, err := here.store.Key(t.Context(), made.ID); err != nil || again.Revoked != first.Revoked {
		t.Errorf("revoked again at %v, before at %v, %v", again.Revoked, first.Revoked, err)
	}
	mustBeRefused(t, verify(t, there, token), "revoked")
}

func TestKeysAreChecked(t *testing.T) {
	s := instances(t, 1)[0]
	off := tenant(t, s, "off")
	off.Disabled = true
	_, err := s.UpdateTenant(t.Context(), off)
	must(t, err)
	tenant(t, s, "t1")
	_, _, err = s.CreateKey(t.Context(), grant("nobody", "alice"))
	mustBe(t, err, ErrNotFound)
	var e *InvalidError
	if _, _, err = s.CreateKey(t.Context(), grant("off", "alice")); !errors.As(err, &e) {
		t.Errorf("of a disabled tenant: %v", err)
	}
	bad := grant("t1", "alice")
	bad.Scopes = nil
	if _, _, err = s.CreateKey(t.Context(), bad); !errors.As(err, &e) {
		t.Errorf("without scopes: %v", err)
	}
	k, _ := key(t, s, "t1", "alice")
	if _, _, err = s.RotateKey(t.Context(), "t1", k.ID, -1, "alice"); !errors.As(err, &e) {
		t.Errorf("with a negative overlap: %v", err)
	}
	if _, _, err = s.RotateKey(t.Context(), "t1", k.ID, 0, ""); !errors.As(err, &e) {
		t.Errorf("by nobody: %v", err)
	}
	_, _, err = s.RotateKey(t.Context(), "off", k.ID, 0, "alice")
	mustBe(t, err, ErrNotFound)
}

// Both keys are good during the overlap and listed for ever, with when they were used.
func TestRotate(t *testing.T) {
	both := instances(t, 2)
	here, there := both[0], both[1]
	tenant(t, here, "t1")
	old, oldToken := key(t, here, "t1", "alice")
	next, token, err := there.RotateKey(t.Context(), "t1", old.ID, 10*time.Minute, "root")
	must(t, err)
	if next.RotatedFrom != old.ID || next.Owner != "alice" || next.CreatedBy != "root" || next.ID == old.ID {
		t.Errorf("the new key is %+v", next)
	}
	must(t, verify(t, here, oldToken))
	must(t, verify(t, here, token))
	used := time.Now().UTC().Truncate(time.Millisecond)
	must(t, here.store.Used(t.Context(), old.ID, used))
	must(t, there.store.Used(t.Context(), old.ID, used.Add(-time.Hour))) // of a slower instance
	p, err := here.ListKeys(t.Context(), "t1", "", 0)
	must(t, err)
	if len(p.All) != 2 || p.All[0].ID != next.ID || p.All[1].ID != old.ID {
		t.Fatalf("the list is %+v", p.All)
	}
	if left := time.Until(p.All[1].Expires); left > 10*time.Minute || left < 5*time.Minute {
		t.Errorf("the old one has %v left", left)
	}
	if p.All[1].Used != used || !p.All[0].Used.IsZero() || !reflect.DeepEqual(p.All[0].Key, next) {
		t.Errorf("the list is %+v", p.All)
	}
	// Without an overlap the old one is over.
	last, lastToken, err := here.RotateKey(t.Context(), "t1", next.ID, 0, "root")
	must(t, err)
	mustBeRefused(t, verify(t, there, token), "expired")
	must(t, verify(t, there, lastToken))
	var e *InvalidError
	if _, _, err := here.RotateKey(t.Context(), "t1", next.ID, 0, "root"); !errors.As(err, &e) {
		t.Errorf("a key that has ended: %v", err)
	}
	if keys := all(t, 2, func(after string, limit int) (Page[ListedKey], error) {
		return here.ListKeys(t.Context(), "t1", after, limit)
	}); len(keys) != 3 || keys[0].ID != last.ID {
		t.Errorf("the list is %+v", keys)
	}
}

// What is stored and what can be printed has no secret.
func TestNoSecretIsStored(t *testing.T) {
	s := instances(t, 1)[0]
	tenant(t, s, "t1")
	k, token, err := s.CreateKey(t.Context(), grant("t1", "alice"))
	must(t, err)
	secret := strings.Split(token.Text(), "_")[3]
	row := make(map[string]any)
	must(t, s.store.db.Session.Query("SELECT * FROM api_keys WHERE id = ?", k.ID).MapScan(row))
	digest, _ := row["digest"].([]byte)
	delete(row, "digest")
	for what, text := range map[string]string{"the row": fmt.Sprint(row), "the digest": string(digest), "the token": fmt.Sprintf("%v %+v %#v", token, token, token), "the key": fmt.Sprintf("%+v", k)} {
		if strings.Contains(text, secret) {
			t.Errorf("%s has the secret", what)
		}
	}
}
