package accounts

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/denylist"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

// A row that cannot be read as what it is to be is an error: not "there is none", not less
// of a restriction, and nothing that a client is told to mend.
func TestRowsThatCannotBeRead(t *testing.T) {
	s := instances(t, 1)[0]
	tenant(t, s, "t1")
	tenant(t, s, "t2")
	k, token := key(t, s, "t1", "alice")
	key(t, s, "t1", "alice")
	_, err := s.AddCredential(t.Context(), credential("t1", "alice", aliceDID))
	must(t, err)
	revoked := denylist.PrincipalKey("t1", "alice")
	must(t, s.store.revoke(t.Context(), revoked, time.Now(), time.Now().Add(time.Hour), "root"))
	must(t, s.store.DIDNonces().Put(t.Context(), "n", "client", time.Now().Add(time.Hour)))

	reads := map[string]func(context.Context) (bool, error){
		"tenants": func(ctx context.Context) (bool, error) {
			_, ok, err := s.store.Tenant(ctx, "t1")
			return ok, err
		},
		"api_keys": func(ctx context.Context) (bool, error) {
			_, ok, err := s.store.Key(ctx, k.ID)
			return ok, err
		},
		"credentials": func(ctx context.Context) (bool, error) {
			_, ok, err := s.store.Owner(ctx, aliceDID)
			return ok, err
		},
		"revocations": func(ctx context.Context) (bool, error) {
			_, ok, err := s.store.Revoked(ctx, revoked)
			return ok, err
		},
		"nonces": func(ctx context.Context) (bool, error) {
			_, ok, err := s.store.DIDNonces().Take(ctx, "n")
			return ok, err
		},
	}
	lists := map[string]func() error{
		"tenants":     func() error { _, err := s.ListTenants(t.Context(), "", 0); return err },
		"api_keys":    func() error { _, err := s.ListKeys(t.Context(), "t1", "", 0); return err },
		"credentials": func() error { _, err := s.ListCredentials(t.Context(), "t1", "alice", "", 0); return err },
	}
	stamp := time.Now().Add(time.Hour).UnixMicro() // after whatever was written
	for _, test := range []struct {
		table, key, id string
		columns        map[string]any // nil: null
	}{
		{"tenants", "id", "t1", map[string]any{"made": nil, "disabled": nil, "max_pins": nil, "max_bytes": int64(-1), "requests_per_second": nil, "rev": nil}},
		{"api_keys", "id", k.ID, map[string]any{
			"made": nil, "env": nil, "tenant": nil, "owner": nil, "roles": nil, "groups": nil, "scopes": nil, "networks": []string{"10.0.0.0"},
			"created_by": nil, "digest": []byte{1}, "pepper": nil, "rev": nil,
		}},
		{"api_keys", "id", k.ID, map[string]any{"networks": nil, "digest": nil, "scopes": []string{}}},
		{"credentials", "credential", aliceDID, map[string]any{"made": nil, "principal": nil, "tenant": "", "roles": nil, "groups": nil, "scopes": nil, "rev": nil}},
		{"revocations", "key", revoked, map[string]any{"before": nil}},
		{"nonces", "nonce", "did n", map[string]any{"client": nil, "until": nil}},
	} {
		for column, value := range test.columns {
			row := make(map[string]any)
			must(t, s.store.db.Session.Query("SELECT "+column+" FROM "+test.table+" WHERE "+test.key+" = ?", test.id).MapScan(row))
			exec(t, s, "UPDATE "+test.table+" USING TIMESTAMP ? SET "+column+" = ? WHERE "+test.key+" = ?", stamp, value, test.id)
			ok, err := reads[test.table](t.Context())
			mustBeStored(t, test.table+"."+column, ok, err)
			if list := lists[test.table]; list != nil {
				mustBeStored(t, "the list of "+test.table+"."+column, false, list())
			}
			if test.table == "api_keys" {
				var unavailable *principal.Unavailable
				if err := verify(t, s, token); !errors.As(err, &unavailable) {
					t.Errorf("%s: the verifier says %v", column, err)
				}
			}
			exec(t, s, "UPDATE "+test.table+" USING TIMESTAMP ? SET "+column+" = ? WHERE "+test.key+" = ?", stamp+1, row[column], test.id)
			stamp += 2
		}
	}
}

func mustBeStored(t *testing.T, what string, ok bool, err error) {
	t.Helper()
	var bad *InvalidError
	if ok || err == nil || errors.As(err, &bad) || errors.Is(err, ErrNotFound) {
		t.Errorf("%s: %t, %v", what, ok, err)
	}
}
