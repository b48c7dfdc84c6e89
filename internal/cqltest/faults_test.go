package cqltest_test

import (
	"strings"
	"testing"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

// A server that is reserved answers only once it runs, at the address that was
// given before. With authentication it refuses a wrong password. A node that is
// killed and started again, or moved, is the same node with the same data. After
// a move it is at the address that was given before, and not at the old one.
func TestServerOfItsOwn(t *testing.T) {
	own := cqltest.Reserve(t, engine.Options{Auth: true})
	first, second := own.Hosts()[0], own.Cluster().Spare()[0]
	if answers(first) {
		t.Fatalf("a server answers at %s before it was started", first)
	}
	own.Run(t)

	wrong := engine.AdminConfig(own.Hosts(), own.Port(), false)
	wrong.Authenticator = gocql.PasswordAuthenticator{Username: engine.Superuser, Password: "wrong"}
	if session, err := wrong.CreateSession(); err == nil {
		session.Close()
		t.Error("a wrong password was let in")
	} else if !strings.Contains(err.Error(), "incorrect") {
		t.Errorf("refused for another reason than the password: %v", err)
	}

	if first == second {
		t.Fatalf("a move would take the node from %s to %s", first, second)
	}
	id := hostID(t, own)
	keyspace := own.Keyspace(t) // dropped at the new address
	run := func(statement string) {
		t.Helper()
		if err := own.Session(t).Query(statement).Exec(); err != nil {
			t.Fatalf("%s: %v", statement, err)
		}
	}
	run("CREATE ROLE somebody") // as the superuser
	run("CREATE KEYSPACE " + keyspace + " WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}")
	run("CREATE TABLE " + keyspace + ".kept (k int PRIMARY KEY)")

	own.Cluster().Kill(0)
	if answers(first) {
		t.Errorf("a killed node answers at %s", first)
	}
	if err := own.Cluster().Restart(t.Context(), 0); err != nil {
		t.Fatal(err)
	}
	run("INSERT INTO " + keyspace + ".kept (k) VALUES (1)")

	own.Move(t)
	if got := own.Hosts(); len(got) != 1 || got[0] != second {
		t.Errorf("after a move the hosts are %v, want %s", got, second)
	}
	if answers(first) {
		t.Errorf("a node that was moved to %s answers at %s", second, first)
	}
	if got := hostID(t, own); got != id {
		t.Errorf("after a restart and a move the host id is %s, it was %s", got, id)
	}
	var k int
	if err := own.Session(t).Query("SELECT k FROM " + keyspace + ".kept").Scan(&k); err != nil {
		t.Errorf("what was written before a move is gone: %v", err)
	}
}

func hostID(t *testing.T, own *cqltest.Own) string {
	t.Helper()
	var id gocql.UUID
	if err := own.Session(t).Query("SELECT host_id FROM system.local").Scan(&id); err != nil {
		t.Fatal(err)
	}
	return id.String()
}
