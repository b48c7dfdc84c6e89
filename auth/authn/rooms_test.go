package authn

import (
	"bytes"
	"context"
	"crypto/ed25519"
	"errors"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/session"
)

// oneKey is a store of API keys.
type oneKey struct{ key apikey.Key }

func (s oneKey) Key(_ context.Context, id string) (apikey.Key, bool, error) {
	return s.key, id == s.key.ID, nil
}
func (s oneKey) Used(context.Context, string, time.Time) error { return nil }

// With the rooms as they are: a key opens a session, a session none, and each token goes to
// the room for its kind.
func TestWithRooms(t *testing.T) {
	peppers, err := apikey.NewPeppers(1, map[int][]byte{1: make([]byte, 32)})
	if err != nil {
		t.Fatal(err)
	}
	now := time.Now()
	key, token, err := apikey.New("live", apikey.Grant{Owner: "alice", Tenant: "t1", Scopes: []string{"pins:read"}, Expires: now.Add(time.Hour), CreatedBy: "alice"}, peppers, now)
	if err != nil {
		t.Fatal(err)
	}
	keys, err := apikey.NewVerifier(apikey.Config{Env: "live", Peppers: peppers, Store: oneKey{key}})
	if err != nil {
		t.Fatal(err)
	}
	sessions, err := session.New(session.Config{Gateway: "https://pins.example.com", Keys: []session.Key{
		{ID: "k1", Private: ed25519.NewKeyFromSeed(bytes.Repeat([]byte{1}, ed25519.SeedSize))},
	}})
	if err != nil {
		t.Fatal(err)
	}
	a, err := New(Config{Realm: "ipfs-pinning", Keys: keys, Sessions: sessions, Cookie: "__Host-pin"})
	if err != nil {
		t.Fatal(err)
	}
	p, err := a.Authenticate(request("Authorization", "Bearer "+token.Text()))
	if err != nil || p.ID != "alice" || p.Method != principal.MethodAPIKey {
		t.Fatalf("by the key: %+v, %v", p, err)
	}
	text, _, err := sessions.Issue(p)
	if err != nil {
		t.Fatal(err)
	}
	for _, headers := range [][]string{{"Authorization", "Bearer " + text}, {"Cookie", "__Host-pin=" + text}} {
		p, err = a.Authenticate(request(headers...))
		if err != nil || p.ID != "alice" || p.Method != principal.MethodSession || p.Via != principal.MethodAPIKey || p.Credential != key.ID {
			t.Errorf("by the session: %+v, %v", p, err)
		}
	}
	var e *Error
	for _, bad := range []string{token.Text()[:len(token.Text())-1], text[:len(text)-4], "a.b.c", "opaque"} {
		if _, err := a.Authenticate(request("Authorization", "Bearer "+bad)); !errors.As(err, &e) || e.Status != 401 || e.Reason != InvalidToken {
			t.Errorf("%.20q: %v", bad, err)
		}
	}
}
