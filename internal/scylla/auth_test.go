package scylla

import (
	"context"
	"fmt"
	"strings"
	"testing"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

// testRoles shows what a server with roles says to a wrong password, to none,
// and to a role that may not do what it must: an error at once, with what to
// change. A role that has what the documentation lists can work, also on
// ScyllaDB, where it may not read the version of the server.
func testRoles(t *testing.T, own *cqltest.Own, hosts []string, toSuperusers, toRoles string) {
	conf := configOn(own, hosts)
	conf.Keyspace, conf.ConnectTimeout = own.Keyspace(t), 0 // for ever
	files := migrations(t, map[string]string{"0001_first.cql": firstFile})
	admin := openDB(t, conf)
	if got := admin.Dialect.String(); !strings.HasPrefix(got, toSuperusers) {
		t.Errorf("to a superuser the server is %s", got)
	}
	for _, table := range []string{leasesTable, historyTable} { // whoever creates one may write to it
		change(t, admin, table)
	}
	run := func(statement string) {
		t.Helper()
		if err := admin.Session.Query(statement).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	// Roles are those of all keyspaces, and this runs twice.
	role := func(name string, rights ...string) string {
		name += "_" + conf.Keyspace
		run("CREATE ROLE " + name + " WITH PASSWORD = 'p' AND LOGIN = true")
		for _, right := range rights {
			run(fmt.Sprintf("GRANT %s ON KEYSPACE %s TO %s", right, conf.Keyspace, name))
		}
		return name
	}
	least, complete := role("least"), role("complete")
	nobody, reader := role("nobody"), role("reader", "CREATE", "SELECT")
	for _, grant := range Grants(conf.Keyspace, least, false) {
		run(grant)
	}
	for _, grant := range Grants(conf.Keyspace, complete, true) {
		run(grant)
	}
	for _, tt := range []struct {
		name, user, password, keyspace string
		texts                          []string
	}{
		{"wrong password", engine.Superuser, "wrong", conf.Keyspace,
			[]string{"refused the user name or the password: correct state.scylla.username and password"}},
		{"no password", "", "", conf.Keyspace,
			[]string{"wants a user name and a password: set state.scylla.username and password"}},
		{"no rights", nobody, "p", conf.Keyspace,
			[]string{"code 0x2100", "the role " + nobody + " lacks the right SELECT", `GRANT SELECT ON KEYSPACE ` + conf.Keyspace + ` TO "` + nobody + `";`}},
		{"may not write", reader, "p", conf.Keyspace,
			[]string{"taking the lease schema", "the role " + reader + " lacks the right MODIFY", `GRANT MODIFY ON KEYSPACE ` + conf.Keyspace + ` TO "` + reader + `";`}},
		{"may not make tables", least, "p", conf.Keyspace,
			[]string{"the role " + least + " lacks the right", `GRANT CREATE ON KEYSPACE ` + conf.Keyspace + ` TO "` + least + `";`}},
		{"may not make a keyspace", least, "p", "t_missing",
			[]string{"creating the keyspace t_missing with 1 replica in dc1 (dc1 has 1 rack: rack1)", "lacks the right CREATE", `GRANT CREATE ON ALL KEYSPACES TO "` + least + `";`}},
	} {
		t.Run(tt.name, func(t *testing.T) {
			c := conf
			c.Username, c.Password, c.Keyspace = tt.user, tt.password, tt.keyspace
			db, err := Open(t.Context(), c, func(ctx context.Context, db *DB) error { return db.ApplySchema(ctx, files) })
			if err == nil {
				db.Close()
				t.Fatal("no error")
			}
			if !Permanent(err) {
				t.Errorf("it would be tried again: %v", err)
			}
			for _, part := range tt.texts {
				if !strings.Contains(err.Error(), part) {
					t.Errorf("%q does not contain %q", err, part)
				}
			}
		})
	}
	t.Run("what is documented is enough", func(t *testing.T) {
		c := conf
		c.Username, c.Password = complete, "p"
		maker, err := Open(t.Context(), c, func(ctx context.Context, db *DB) error { return db.ApplySchema(ctx, files) })
		if err != nil {
			t.Fatal("schema: apply: ", err)
		}
		defer maker.Close()
		c.Username, c.CreateKeyspace = least, false
		db := openDB(t, c)
		if got := db.Dialect.String(); !strings.HasPrefix(got, toRoles) {
			t.Errorf("to a role the server is %s", got)
		}
		if missing, err := db.CheckSchema(t.Context(), files); err != nil || len(missing) > 0 {
			t.Errorf("schema: verify: %d files are missing, %v", len(missing), err)
		}
		if err := db.Write(t.Context(), Bind("INSERT INTO one (k) VALUES (1)")); err != nil {
			t.Error(err)
		}
		if found, err := db.Read(t.Context(), gocql.Quorum, Bind("SELECT k FROM one WHERE k = 1"), new(int)); err != nil || !found {
			t.Error(found, err)
		}
		if _, err := db.Skew(t.Context()); err != nil {
			t.Error(err)
		}
	})
}
