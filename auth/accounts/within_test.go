package accounts

import (
	"errors"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/apikey"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
)

func TestKeyWithin(t *testing.T) {
	maker := principal.Principal{ID: "alice", Tenant: "t1", Roles: []string{"admin"}, Groups: []string{"g"}, Scopes: []string{"pins:*", "keys:create"}}
	grant := func(tenant string, roles, groups, scopes []string) apikey.Grant {
		return apikey.Grant{Tenant: tenant, Owner: "alice", Roles: roles, Groups: groups, Scopes: scopes}
	}
	for _, within := range []apikey.Grant{
		grant("t1", []string{"admin", "user", "viewer"}, []string{"g"}, []string{"pins:*", "pins:read", "keys:create"}), grant("t1", nil, nil, nil),
	} {
		if err := KeyWithin(maker, within); err != nil {
			t.Errorf("%+v: %v", within, err)
		}
	}
	for _, beyond := range []apikey.Grant{
		grant("t2", nil, nil, nil), grant("t1", []string{"user", "auditor"}, nil, nil), grant("t1", nil, []string{"g", "h"}, nil),
		grant("t1", nil, nil, []string{"*"}), grant("t1", nil, nil, []string{"pins:read", "keys:revoke"}), grant("t1", nil, nil, []string{"keys:*"}),
	} {
		var excess *ExcessError
		if err := KeyWithin(maker, beyond); !errors.As(err, &excess) {
			t.Errorf("%+v: %v", beyond, err)
		}
	}
}
