package accounts

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/denylist"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Of a principal that is revoked, all tokens and its own keys of the tenant go.
func TestRevokePrincipal(t *testing.T) {
	both := instances(t, 2)
	here, there := both[0], both[1]
	tenant(t, here, "t1")
	tenant(t, here, "t2")
	_, first := key(t, here, "t1", "alice")
	_, second := key(t, here, "t1", "alice")
	_, bobs := key(t, here, "t1", "bob")
	_, others := key(t, here, "t2", "alice")
	gone, _ := key(t, here, "t1", "alice")
	must(t, here.RevokeKey(t.Context(), "t1", gone.ID))
	if n, err := there.RevokePrincipal(t.Context(), "t1", "alice", "root"); n != 2 || err != nil {
		t.Errorf("%d keys, %v", n, err)
	}
	mustBeRefused(t, verify(t, here, first), "revoked")
	mustBeRefused(t, verify(t, here, second), "revoked")
	must(t, verify(t, here, bobs))
	must(t, verify(t, here, others))
	before, ok, err := here.store.Revoked(t.Context(), denylist.PrincipalKey("t1", "alice"))
	if left := time.Until(before); err != nil || !ok || left > Ahead || left < Ahead/2 {
		t.Errorf("tokens are revoked from before %v, %t, %v", before, ok, err)
	}
	if n, err := here.RevokePrincipal(t.Context(), "t1", "alice", "root"); n != 0 || err != nil {
		t.Errorf("again: %d keys, %v", n, err)
	}
	if _, ok, err := here.store.Revoked(t.Context(), denylist.PrincipalKey("t2", "alice")); ok || err != nil {
		t.Errorf("tokens of another tenant are revoked: %t, %v", ok, err)
	}
	var bad *InvalidError
	for _, nobody := range [][]string{{"", "alice"}, {"t1", ""}} {
		if _, err := here.RevokePrincipal(t.Context(), nobody[0], nobody[1], "root"); !errors.As(err, &bad) {
			t.Errorf("nobody was revoked: %v", err)
		}
	}
}

// The tokens of an issuer name a principal as the issuer does: they go, too.
func TestRevokePrincipalOfIssuer(t *testing.T) {
	both := instances(t, 2)
	here, there := both[0], both[1]
	tenant(t, here, "t1")
	subjects := []string{"https://id.example#8a6f", "https://other.example#7"}
	for _, subject := range subjects {
		_, err := here.AddCredential(t.Context(), credential("t1", "alice", subject))
		must(t, err)
	}
	_, err := there.RevokePrincipal(t.Context(), "t1", "alice", "root")
	must(t, err)
	for _, name := range append(subjects, "alice") {
		if _, ok, err := here.store.Revoked(t.Context(), denylist.PrincipalKey("t1", name)); !ok || err != nil {
			t.Errorf("%s: %t, %v", name, ok, err)
		}
	}
	// What somebody of the tenant "system" makes meanwhile does not stay either.
	_, err = there.RevokePrincipal(t.Context(), "system", "oscar", "root")
	must(t, err)
	c := credential("t1", "bob", aliceDID)
	c.AddedBy = "oscar"
	_, err = here.AddCredential(t.Context(), c)
	mustBe(t, err, ErrRevoked)
}

// One key and one credential are found in their tenant only.
func TestOfTenant(t *testing.T) {
	s := instances(t, 1)[0]
	tenant(t, s, "t1")
	tenant(t, s, "t2")
	made, _ := key(t, s, "t1", "alice")
	got, err := s.Key(t.Context(), "t1", made.ID)
	must(t, err)
	if got.ID != made.ID || got.Owner != "alice" || !got.Created.Equal(made.Created) {
		t.Errorf("the key is %+v", got)
	}
	_, err = s.AddCredential(t.Context(), credential("t1", "alice", aliceDID))
	must(t, err)
	c, err := s.Credential(t.Context(), "t1", aliceDID)
	must(t, err)
	if c.Principal != "alice" || c.Credential != aliceDID {
		t.Errorf("the credential is %+v", c)
	}
	for _, of := range [][]string{{"t2", made.ID, aliceDID}, {"t1", "gone", "gone"}, {"t1", "", ""}} {
		_, err = s.Key(t.Context(), of[0], of[1])
		mustBe(t, err, ErrNotFound)
		_, err = s.Credential(t.Context(), of[0], of[2])
		mustBe(t, err, ErrNotFound)
	}
}

// Whenever a principal is revoked that makes something that lasts, nothing of it stays: each
// pause is between two requests to the database.
func TestRevokedMeanwhile(t *testing.T) {
	for name, make := range map[string]func(*Service) error{
		"key": func(s *Service) error {
			_, _, err := s.CreateKey(t.Context(), grant("t1", "mallory"))
			return err
		},
		"rotated": func(s *Service) error {
			k, _, err := s.CreateKey(t.Context(), grant("t1", "mallory"))
			if err == nil {
				_, _, err = s.RotateKey(t.Context(), "t1", k.ID, time.Hour, "mallory")
			}
			return err
		},
		"credential": func(s *Service) error {
			c := credential("t1", "mallory", aliceDID)
			c.AddedBy = "mallory"
			_, err := s.AddCredential(t.Context(), c)
			return err
		},
	} {
		both := instances(t, 2)
		s, other := both[0], both[1]
		tenant(t, s, "t1")
		for pause, paused := 0, true; paused; pause++ {
			requests := 0
			paused = false
			stop := func() {
				if requests++; requests == pause+1 {
					paused = true
					_, err := other.RevokePrincipal(t.Context(), "t1", "mallory", "root")
					must(t, err)
				}
			}
			cas, write := s.store.db.CAS, s.store.db.Write
			s.store.cas = func(ctx context.Context, statement scylla.Statement) (bool, map[string]any, error) {
				stop()
				applied, now, err := cas(ctx, statement)
				stop()
				return applied, now, err
			}
			s.store.write = func(ctx context.Context, statement scylla.Statement) error {
				stop()
				err := write(ctx, statement)
				stop()
				return err
			}
			err := make(s)
			if !paused {
				must(t, err)
				if pause < 4 {
					t.Errorf("%s has %d pauses", name, pause)
				}
				break
			}
			var bad *InvalidError // a key that was revoked is not rotated
			if name != "credential" && err != nil && !errors.Is(err, ErrRevoked) && !errors.Is(err, ErrChanged) && !errors.As(err, &bad) {
				t.Errorf("%s, pause %d: %v", name, pause, err)
			}
			keys := all(t, MaxPage, func(after string, limit int) (Page[ListedKey], error) {
				return other.ListKeys(t.Context(), "t1", after, limit)
			})
			for _, k := range keys {
				if k.Revoked.IsZero() {
					t.Errorf("%s, pause %d: the key %s stays", name, pause, k.ID)
				}
			}
			if _, ok, err := other.store.Owner(t.Context(), aliceDID); ok || err != nil {
				t.Errorf("%s, pause %d: the credential stays, %v", name, pause, err)
			}
			exec(t, s, "TRUNCATE revocations")
		}
	}
}

// A key that is revoked while it is rotated has no successor.
func TestRevokedWhileRotated(t *testing.T) {
	both := instances(t, 2)
	s, other := both[0], both[1]
	tenant(t, s, "t1")
	k, token := key(t, s, "t1", "alice")
	cas, sent := s.store.db.CAS, 0
	s.store.cas = func(ctx context.Context, statement scylla.Statement) (bool, map[string]any, error) {
		if sent++; sent == 2 { // the new key is stored
			must(t, other.RevokeKey(t.Context(), "t1", k.ID))
		}
		return cas(ctx, statement)
	}
	_, _, err := s.RotateKey(t.Context(), "t1", k.ID, time.Hour, "root")
	mustBe(t, err, ErrChanged)
	p, err := other.ListKeys(t.Context(), "t1", "", 0)
	must(t, err)
	if len(p.All) != 2 || p.All[0].Revoked.IsZero() || p.All[1].Revoked.IsZero() {
		t.Errorf("the keys are %+v", p.All)
	}
	mustBeRefused(t, verify(t, s, token), "revoked")
}

// A list does not depend on how names are put together.
func TestListNames(t *testing.T) {
	seen := make(map[string]bool)
	for _, name := range []string{
		listOfTenants, listOfKeys("a"), listOfKeys("a b"), listOfCredentials("a", "b"), listOfCredentials("a b", "c"),
		listOfCredentials("a", "b c"), listOfCredentials(`a" "b`, "c"), listOfCredentials("a", `b" "c`),
	} {
		if seen[name] || strings.TrimSpace(name) == "" {
			t.Errorf("%s is of two", name)
		}
		seen[name] = true
	}
}
