package scylla

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

// testRepairs shows that a role which may not read the history of repairs is told so, and
// that nothing fails for that, neither where the tables of the history are not there;
// and what is read by a role that may.
func testRepairs(t *testing.T, own *cqltest.Own) {
	conf := configOn(own, own.Cluster().Hosts())
	conf.Keyspace = own.Keyspace(t)
	files := migrations(t, map[string]string{"0001_first.cql": firstFile})
	admin, err := Open(t.Context(), conf, func(ctx context.Context, db *DB) error { return db.ApplySchema(ctx, files) })
	if err != nil {
		t.Fatal(err)
	}
	defer admin.Close()
	run := func(text string, values ...any) {
		t.Helper()
		// The history has three replicas, of which one node has one.
		if err := admin.Session.Query(text, values...).Consistency(gocql.One).Exec(); err != nil {
			t.Fatal(err)
		}
	}
	role := "repairs_" + conf.Keyspace
	run("CREATE ROLE " + role + " WITH PASSWORD = 'p' AND LOGIN = true")
	for _, grant := range Grants(conf.Keyspace, role, false) {
		run(grant)
	}
	run("ALTER TABLE one WITH gc_grace_seconds = 7200")
	look := func(hosts []string) Repairs {
		t.Helper()
		c := configOn(own, hosts)
		c.Keyspace, c.CreateKeyspace, c.Username, c.Password = conf.Keyspace, false, role, "p"
		db := openDB(t, c)
		found, err := db.Repairs(t.Context(), "one", "two")
		if err != nil {
			t.Fatal(err)
		}
		if n, err := db.Replicas(t.Context()); err != nil || n != 1 {
			t.Errorf("there are %d replicas, %v", n, err)
		}
		one := found.Tables[0]
		if time.Since(found.Made) > time.Hour || one.Table != "one" || one.GC != GCTimeout || one.Grace != 2*time.Hour {
			t.Errorf("the database tells %+v", found)
		}
		if db.outage.on.Load() {
			t.Error("the log says that the database does not serve")
		}
		return found
	}
	want := "GRANT SELECT ON system_distributed.parent_repair_history TO \"" + role + "\""
	if found := look(conf.Hosts); found.Unknown == nil || !strings.Contains(found.Unknown.Error(), want) {
		t.Errorf("a role without the right is told %v, want %s", found.Unknown, want)
	}
	if found := look(own.Hosts()); found.Unknown == nil || !strings.Contains(found.Unknown.Error(), "system.tablets") {
		t.Errorf("without tablets of which anything is known: %v", found.Unknown)
	}

	run("GRANT SELECT ON system_distributed.parent_repair_history TO " + role)
	now := time.Now().Truncate(time.Millisecond)
	repair := func(ago time.Duration, tables, ranges []string, options map[string]string) {
		t.Helper()
		run("INSERT INTO system_distributed.parent_repair_history (parent_id, keyspace_name, columnfamily_names, started_at, successful_ranges, options) VALUES (?, ?, ?, ?, ?, ?)",
			gocql.TimeUUID(), conf.Keyspace, tables, now.Add(-ago), ranges, options)
	}
	repair(3*time.Hour, []string{"one", "two"}, []string{"(-5,5]", "(5,-5]"}, nil)
	repair(time.Hour, []string{"one"}, []string{"(0,-9]"}, nil)
	repair(time.Minute, []string{"one", "two"}, []string{"(0,0]"}, map[string]string{"forceRepair": "true"})
	repair(time.Minute, []string{"one", "two"}, []string{"(0,0]"}, map[string]string{"dataCenters": "dc1"})
	repair(2*time.Hour, []string{"one"}, []string{"(-9,0]"}, map[string]string{"forceRepair": "false", "dataCenters": ""})
	repair(time.Minute, []string{"one", "two"}, nil, nil) // it failed
	found := look(conf.Hosts)
	if found.Unknown != nil || !found.Tables[0].Repaired.Equal(now.Add(-2*time.Hour)) || !found.Tables[1].Repaired.Equal(now.Add(-3*time.Hour)) {
		t.Errorf("with the history of %s the database tells %+v", engine.Superuser, found)
	}
}
