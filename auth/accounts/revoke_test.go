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
	before, ok, err := here.store.Revoked(t.Context(), denylist.PrincipalKey("alice"))
	if left := time.Until(before); err != nil || !ok || left > Ahead || left < Ahead/2 {
		t.Errorf("tokens are revoked from before %v, %t, %v", before, ok, err)
	}
	if n, err := here.RevokePrincipal(t.Context(), "t1", "alice", "root"); n != 0 || err != nil {
		t.Errorf("again: %d keys, %v", n, err)
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
