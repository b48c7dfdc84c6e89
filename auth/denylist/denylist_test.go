package denylist

import (
	"context"
	"errors"
	"slices"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

var _ principal.Denylist = (*Denylist)(nil)

type store struct {
	rows  map[string]time.Time
	err   error
	asked []string
}

func (s *store) Revoked(_ context.Context, key string) (time.Time, bool, error) {
	s.asked = append(s.asked, key)
	before, ok := s.rows[key]
	return before, ok, s.err
}

func inBubble(t *testing.T, test func(*testing.T, *store, *Denylist)) {
	synctest.Test(t, func(t *testing.T) {
		s := &store{rows: make(map[string]time.Time)}
		d, err := New(s, 0)
		if err != nil {
			t.Fatal(err)
		}
		test(t, s, d)
	})
}

func token() principal.Token {
	return principal.Token{Issuer: "https://id.example", ID: "j1", SessionID: "s1", Principal: "p1", Tenant: "t1", Issued: time.Now().Truncate(time.Second)}
}

func expect(t *testing.T, d *Denylist, what string, token principal.Token, want bool) {
	t.Helper()
	if got, err := d.Denied(t.Context(), token); got != want || err != nil {
		t.Errorf("%s: %v, %v", what, got, err)
	}
}

func TestDenied(t *testing.T) {
	for name, key := range map[string]string{
		"token": TokenKey("https://id.example", "j1"), "session": SessionKey("https://id.example", "s1"), "principal": PrincipalKey("t1", "p1"),
	} {
		inBubble(t, func(t *testing.T, s *store, d *Denylist) {
			expect(t, d, name+" before", token(), false)
			s.rows[key] = time.Now()
			time.Sleep(Age - time.Nanosecond)
			asked := len(s.asked)
			old := token()
			old.Issued = time.Now().Add(-Age)
			expect(t, d, name+" remembered", old, false)
			if len(s.asked) != asked {
				t.Errorf("%s: the store was asked for %q", name, s.asked[asked:])
			}
			time.Sleep(time.Nanosecond)
			expect(t, d, name+" revoked", old, true)
			old.Issued = time.Time{}
			expect(t, d, name+" that does not say when", old, true)
			// An issuer's clock may be ahead: one token and one session are revoked as such.
			expect(t, d, name+" issued later", token(), name != "principal")
			other := principal.Token{Issuer: "https://other.example", ID: "j1", SessionID: "s1", Principal: "p2", Tenant: "t1"}
			expect(t, d, name+" of another issuer", other, false)
			if elsewhere := token(); name == "principal" {
				elsewhere.Tenant, elsewhere.Issued = "t2", old.Issued
				expect(t, d, "a principal of that id of another tenant", elsewhere, false)
			}
		})
	}
}

// A token of the second in which its principal's were revoked is revoked.
func TestSameSecond(t *testing.T) {
	inBubble(t, func(t *testing.T, s *store, d *Denylist) {
		time.Sleep(300 * time.Millisecond)
		s.rows[PrincipalKey("t1", "p1")] = time.Now().Truncate(time.Second)
		expect(t, d, "the same second", token(), true)
		time.Sleep(time.Second)
		expect(t, d, "the next second", token(), false)
	})
}

func TestStoreIsDown(t *testing.T) {
	inBubble(t, func(t *testing.T, s *store, d *Denylist) {
		expect(t, d, "before", token(), false)
		s.err = errors.New("down")
		time.Sleep(Age)
		if denied, err := d.Denied(t.Context(), token()); denied || !errors.Is(err, s.err) {
			t.Errorf("%v, %v", denied, err)
		}
	})
}

// Claims that are missing are not looked for, and keys cannot be made to meet.
func TestKeys(t *testing.T) {
	inBubble(t, func(t *testing.T, s *store, d *Denylist) {
		expect(t, d, "bare", principal.Token{Issuer: "i", Principal: "p", Tenant: "t1"}, false)
		if !slices.Equal(s.asked, []string{PrincipalKey("t1", "p")}) {
			t.Errorf("asked for %q", s.asked)
		}
		s.rows[PrincipalKey("t1", "p9")] = time.Now()
		d.Forget(PrincipalKey("t1", "p9"))
		expect(t, d, "after Forget", principal.Token{Principal: "p9", Tenant: "t1"}, true)
	})
	keys := []string{TokenKey("a", "b"), TokenKey("a b", "c"), TokenKey("a", "b c"), TokenKey(`a" "b`, ""), TokenKey("", "ab"), SessionKey("a", "b"), PrincipalKey("a", "b"), PrincipalKey("", "b"), TokenKey("", "b")}
	slices.Sort(keys)
	if unique := slices.Compact(slices.Clone(keys)); len(unique) != len(keys) {
		t.Errorf("keys meet: %q", keys)
	}
	if n := len(TokenKey(strings.Repeat("x", 10_000), "")); n > 80 {
		t.Errorf("a key has %d bytes", n)
	}
}
