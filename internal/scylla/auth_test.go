package scylla

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

// TestRoles shows what a server with roles says to a wrong password, to none,
// and to a role that may not do what it must: an error at once, with what to
// change.
func TestRoles(t *testing.T) {
	own := cqltest.StartOwn(t, engine.Options{Auth: true})
	conf := Config{
		Hosts: own.Hosts(), Port: own.Port(), Keyspace: own.Keyspace(t), CreateKeyspace: true,
		RequestTimeout: 10 * time.Second, // and a connect_timeout of 0: for ever
		Username:       engine.Superuser, Password: engine.SuperuserPassword,
	}
	files := migrations(t, map[string]string{"0001_first.cql": firstFile})
	admin := openDB(t, conf)
	for _, table := range []string{leasesTable, historyTable} { // whoever creates one may write to it
		change(t, admin, table)
	}
	for _, role := range []string{"nobody", "reader"} {
		if err := admin.Session.Query("CREATE ROLE " + role + " WITH PASSWORD = 'p' AND LOGIN = true").Exec(); err != nil {
			t.Fatal(err)
		}
	}
	for _, right := range []string{"CREATE", "SELECT"} {
		if err := admin.Session.Query("GRANT " + right + " ON KEYSPACE " + conf.Keyspace + " TO reader").Exec(); err != nil {
			t.Fatal(err)
		}
	}
	for _, tt := range []struct {
		name, user, password, text string
	}{
		{"wrong password", engine.Superuser, "wrong", "refused the user name or the password: correct state.scylla.username and password"},
		{"no password", "", "", "wants a user name and a password: set state.scylla.username and password"},
		{"no rights", "nobody", "p", "code 0x2100"},
		{"may not write", "reader", "p", "taking the lease schema"},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := conf
			c.Username, c.Password = tt.user, tt.password
			db, err := Open(t.Context(), c, func(ctx context.Context, db *DB) error { return db.ApplySchema(ctx, files) })
			if err == nil {
				db.Close()
				t.Fatal("no error")
			}
			if !Permanent(err) || !strings.Contains(err.Error(), tt.text) {
				t.Errorf("permanent %t, %q", Permanent(err), err)
			}
		})
	}
}
