package accounts

import (
	"bytes"
	"context"
	"errors"
	"os"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/did"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/keyspace"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/siwe"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

var (
	_ authn.Directory = (*Store)(nil)
	_ did.Replays     = (*Store)(nil)
	_ did.Nonces      = (*Nonces)(nil)
	_ siwe.Nonces     = (*Nonces)(nil)
)

func TestMain(m *testing.M) { os.Exit(cqltest.Main(m)) }

// instances returns services of n instances of one gateway.
func instances(t *testing.T, n int) []*Service {
	t.Helper()
	server := cqltest.Start(t)
	conf := keyspace.Default()
	conf.Hosts, conf.Port, conf.Keyspace = server.Hosts(), server.Port(), server.Emptied(t)
	all := make([]*Service, n)
	for i := range all {
		db, err := keyspace.Open(t.Context(), conf, nil)
		must(t, err)
		t.Cleanup(db.Close)
		all[i], err = NewService(Config{Store: NewStore(t.Context(), db), Env: "live", Peppers: peppers(t)})
		must(t, err)
	}
	return all
}

func peppers(t *testing.T) apikey.Peppers {
	t.Helper()
	p, err := apikey.NewPeppers(1, map[int][]byte{1: bytes.Repeat([]byte{7}, 32)})
	must(t, err)
	return p
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func mustBe(t *testing.T, err, want error) {
	t.Helper()
	if !errors.Is(err, want) {
		t.Fatalf("the error is %v, want %v", err, want)
	}
}

// tenant makes a tenant.
func tenant(t *testing.T, s *Service, id string) Tenant {
	t.Helper()
	made, err := s.CreateTenant(t.Context(), Tenant{ID: id, Name: "the tenant " + id})
	must(t, err)
	return made
}

func grant(tenant, owner string) apikey.Grant {
	return apikey.Grant{Owner: owner, Tenant: tenant, Scopes: []string{"pins:read"}, Expires: time.Now().Add(time.Hour), CreatedBy: owner}
}

// key makes a key.
func key(t *testing.T, s *Service, tenant, owner string) (apikey.Key, apikey.Token) {
	t.Helper()
	k, token, err := s.CreateKey(t.Context(), grant(tenant, owner))
	must(t, err)
	return k, token
}

// exec changes rows behind the back of the store.
func exec(t *testing.T, s *Service, text string, values ...any) {
	t.Helper()
	must(t, s.store.db.Session.Query(text, values...).Exec())
}

// all reads all pages of a list, of which each has limit entries.
func all[T any](t *testing.T, limit int, list func(after string, limit int) (Page[T], error)) []T {
	t.Helper()
	var out []T
	for after, more, pages := "", true, 0; more; more = after != "" {
		if pages++; pages > 1000 {
			t.Fatal("the list has no end")
		}
		p, err := list(after, limit)
		must(t, err)
		if len(p.All) > limit {
			t.Fatalf("a page has %d, more than %d", len(p.All), limit)
		}
		out, after = append(out, p.All...), p.Next
	}
	return out
}

var errLost = errors.New("the answer was lost")

// losing makes the store lose the answers of the next n conditional updates and of the next
// n plain writes, which work; these are then sent again, as package scylla does.
func losing(s *Store, n int) {
	cas, write := s.db.CAS, s.db.Write
	var mu sync.Mutex
	left := n
	s.cas = func(ctx context.Context, statement scylla.Statement) (bool, map[string]any, error) {
		applied, now, err := cas(ctx, statement)
		mu.Lock()
		defer mu.Unlock()
		if left > 0 && err == nil {
			left--
			return false, nil, errLost
		}
		return applied, now, err
	}
	s.write = func(ctx context.Context, statement scylla.Statement) error {
		return errors.Join(write(ctx, statement), write(ctx, statement))
	}
}
