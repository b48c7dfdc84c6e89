package cqltest_test

import (
	"fmt"
	"os"
	"testing"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
)

func TestKeyspaceIsDroppedAfterItsTest(t *testing.T) {
	server := cqltest.Start(t)
	session := server.Session(t)
	var names []string
	for range 2 {
		t.Run("user", func(t *testing.T) {
			name := server.Keyspace(t)
			names = append(names, name)
			err := session.Query("CREATE KEYSPACE " + name +
				" WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}").Exec()
			if err != nil {
				t.Fatal(err)
			}
			if !keyspaceExists(t, session, name) {
				t.Fatalf("keyspace %s is not there", name)
			}
		})
	}
	if names[0] == names[1] {
		t.Errorf("two tests got the keyspace %s", names[0])
	}
	for _, name := range names {
		if keyspaceExists(t, session, name) {
			t.Errorf("keyspace %s is still there after its test", name)
		}
	}
}

func keyspaceExists(t *testing.T, session *gocql.Session, name string) bool {
	t.Helper()
	var n int
	err := session.Query("SELECT count(*) FROM system_schema.keyspaces WHERE keyspace_name = ?", name).Scan(&n)
	if err != nil {
		t.Fatal(err)
	}
	return n == 1
}

// With several nodes people can log in while any one of them is down, in every
// data centre, once the others know of it. Before, a node may read the roles at the
// dead one, for as long as it waits for a replica: 8 s until a login worked and a
// login that failed ("received only 0 responses") were seen, 0.3 s from then on.
func TestLoginWhileNodeIsDown(t *testing.T) {
	if os.Getenv("TEST_LONG") != "1" {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-cluster): it starts three nodes and kills each")
	}
	own := cqltest.StartOwn(t, engine.Options{Nodes: 3, Auth: true})
	nodes := own.Cluster().Hosts()
	for down := range nodes {
		own.Cluster().Kill(down)
		for i, node := range nodes {
			if i == down {
				continue
			}
			cqltest.WaitFor(t, fmt.Sprintf("a login at %s while %s is down", node, nodes[down]), func() bool {
				session, err := engine.AdminConfig([]string{node}, own.Cluster().Port(), true).CreateSession()
				if err != nil {
					t.Logf("login at %s while %s is down: %v", node, nodes[down], err)
					return false
				}
				session.Close()
				return true
			})
		}
		if err := own.Cluster().Restart(t.Context(), down); err != nil {
			t.Fatal(err)
		}
	}
}
