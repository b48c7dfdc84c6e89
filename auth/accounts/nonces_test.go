package accounts

import (
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/denylist"
)

func TestNonces(t *testing.T) {
	both := instances(t, 2)
	here, there := both[0].store, both[1].store
	until := time.Now().Add(time.Minute)
	must(t, here.DIDNonces().Put(t.Context(), "n", "client", until))
	if _, ok, err := there.WalletNonces().Take(t.Context(), "n"); ok || err != nil {
		t.Errorf("of the other kind: %t, %v", ok, err)
	}
	if _, ok, err := there.LoginStates().Take(t.Context(), "n"); ok || err != nil {
		t.Errorf("a login at an issuer took a challenge: %t %v", ok, err)
	}
	if client, ok, err := there.DIDNonces().Take(t.Context(), "n"); client != "client" || !ok || err != nil {
		t.Errorf("taken %q, %t, %v", client, ok, err)
	}
	var life, mark int
	must(t, here.db.Session.Query("SELECT TTL(client), TTL(taken) FROM nonces WHERE nonce = 'did n'").Scan(&life, &mark))
	if mark < life+3600 { // so that a try of Put which is an hour late finds it
		t.Errorf("the nonce lives for %d more seconds, the mark for %d", life, mark)
	}
	must(t, here.DIDNonces().Put(t.Context(), "n", "client", until)) // a late try of the first one
	for _, n := range []*Nonces{here.DIDNonces(), there.DIDNonces()} {
		if _, ok, err := n.Take(t.Context(), "n"); ok || err != nil {
			t.Errorf("taken twice: %t, %v", ok, err)
		}
	}
	must(t, here.DIDNonces().Put(t.Context(), "old", "client", time.Now()))
	for _, nonce := range []string{"old", "unknown", ""} {
		if _, ok, err := there.DIDNonces().Take(t.Context(), nonce); ok || err != nil {
			t.Errorf("%q: %t, %v", nonce, ok, err)
		}
	}
	var ttl *int
	must(t, here.db.Session.Query("SELECT TTL(client) FROM nonces WHERE nonce = 'did old'").Scan(&ttl))
	if ttl == nil || *ttl > 62 {
		t.Errorf("the row lives for %v more seconds", ttl)
	}
}

// Of those who take one nonce at a time, or are first with one key, one is.
func TestOneGetsIt(t *testing.T) {
	both := instances(t, 2)
	for name, take := range map[string]func(*Store) (bool, error){
		"did": func(s *Store) (bool, error) {
			_, ok, err := s.DIDNonces().Take(t.Context(), "n")
			return ok, err
		},
		"siwe": func(s *Store) (bool, error) {
			_, ok, err := s.WalletNonces().Take(t.Context(), "n")
			return ok, err
		},
		"replay": func(s *Store) (bool, error) { return s.First(t.Context(), "key", time.Now().Add(time.Minute)) },
	} {
		for _, n := range []*Nonces{both[0].store.DIDNonces(), both[0].store.WalletNonces()} {
			must(t, n.Put(t.Context(), "n", "client", time.Now().Add(time.Minute)))
		}
		var got, failed atomic.Int32
		var all sync.WaitGroup
		for i := range 32 {
			all.Go(func() {
				switch ok, err := take(both[i%2].store); {
				case err != nil:
					t.Logf("%s: %v", name, err)
					failed.Add(1)
				case ok:
					got.Add(1)
				}
			})
		}
		all.Wait()
		if got.Load() != 1 || failed.Load() != 0 {
			t.Errorf("%s: %d have got it, %d failed", name, got.Load(), failed.Load())
		}
	}
	if ok, err := both[0].store.First(t.Context(), "another key", time.Now().Add(time.Minute)); !ok || err != nil {
		t.Errorf("another key: %t, %v", ok, err)
	}
}

func TestRevocations(t *testing.T) {
	both := instances(t, 2)
	here, there := both[0], both[1]
	token := denylist.TokenKey("issuer", "jti")
	must(t, here.Revoke(t.Context(), token, time.Now().Add(time.Minute), "root"))
	if _, ok, err := there.store.Revoked(t.Context(), token); !ok || err != nil {
		t.Errorf("the token: %t, %v", ok, err)
	}
	if _, ok, err := there.store.Revoked(t.Context(), denylist.TokenKey("issuer", "other")); ok || err != nil {
		t.Errorf("another token: %t, %v", ok, err)
	}
	// Of two moments the later one counts, in whatever order they are written.
	p, now := denylist.PrincipalKey("t1", "alice"), time.Now().UTC().Truncate(time.Millisecond)
	for _, before := range []time.Time{now, now.Add(time.Minute), now.Add(-time.Minute), now} {
		must(t, here.store.revoke(t.Context(), p, before, now.Add(time.Hour), "root"))
	}
	if before, ok, err := there.store.Revoked(t.Context(), p); before != now.Add(time.Minute) || !ok || err != nil {
		t.Errorf("before %v, %t, %v", before, ok, err)
	}
	var ttl int
	must(t, here.store.db.Session.Query("SELECT TTL(before) FROM revocations WHERE key = ?", p).Scan(&ttl))
	if ttl < 3500 || ttl > 3700 {
		t.Errorf("the row lives for %d more seconds", ttl)
	}
}
