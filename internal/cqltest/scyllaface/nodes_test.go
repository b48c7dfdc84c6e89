package scyllaface_test

import (
	"os"
	"slices"
	"strings"
	"testing"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/scyllaface"
)

func skipUnlessLong(t *testing.T) {
	t.Helper()
	if os.Getenv("TEST_LONG") != "1" {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-cluster): it starts a Cassandra of its own")
	}
}

// Three nodes in two data centres: what one node cannot show.
func TestNodes(t *testing.T) {
	skipUnlessLong(t)
	own := cqltest.StartFace(t, engine.Options{Nodes: 3, DCs: 2}, scyllaface.Options{})
	face := own.Face()
	nodes := face.Nodes() // 0 and 2 are in dc1, 1 is in dc2
	cfg := config(face)
	cfg.Hosts = []string{nodes[0].Address(), nodes[2].Address()}
	cfg.HostFilter = gocql.DataCenterHostFilter("dc1")
	cfg.PoolConfig.HostSelectionPolicy = gocql.TokenAwareHostPolicy(gocql.DCAwareRoundRobinPolicy("dc1"), gocql.ShuffleReplicas())
	session := connect(t, cfg)
	keyspace := own.Keyspace(t)
	run(t, session, "CREATE KEYSPACE "+keyspace+" WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 2, 'dc2': 1}")
	run(t, session, "CREATE TABLE "+keyspace+".t (k int PRIMARY KEY, v int)")

	t.Run("other data centre", func(t *testing.T) {
		if n := nodes[1].Accepted(); n != 0 {
			t.Errorf("%d connections to the data centre that is filtered out", n)
		}
	})
	t.Run("addresses", func(t *testing.T) {
		want := face.Hosts()
		slices.Sort(want)
		for _, node := range nodes {
			one := connect(t, engine.AdminConfig([]string{node.Address()}, face.Port(), false))
			local := column(t, one, "SELECT rpc_address FROM system.local")
			got := append(column(t, one, "SELECT peer FROM system.peers"), local...)
			slices.Sort(got)
			if local[0] != node.Address() || !slices.Equal(got, want) {
				t.Errorf("the node at %s calls itself %v and knows %v, the face is at %v", node.Address(), local, got, want)
			}
		}
	})
	t.Run("conditional updates of a key go to one node", func(t *testing.T) {
		update := "UPDATE " + keyspace + ".t SET v = 1 WHERE k = ? IF v = null"
		read := "SELECT v FROM " + keyspace + ".t WHERE k = ?"
		both, used := false, map[int]bool{}
		for key := range 20 { // one in 500,000 that all have one first replica
			for _, statement := range []string{update, read} {
				before := counts(nodes, statement)
				for range 12 {
					if err := session.Query(statement, key).Exec(); err != nil {
						t.Fatal(err)
					}
				}
				var got []int
				for i, n := range counts(nodes, statement) {
					if n > before[i] {
						got = append(got, i)
					}
				}
				switch {
				case statement == update && len(got) != 1:
					t.Errorf("key %d: the nodes %v got conditional updates", key, got)
				case statement == update:
					used[got[0]] = true
				default:
					both = both || len(got) == 2
				}
			}
		}
		if !both {
			t.Error("reads were not spread either: the test shows nothing")
		}
		if len(used) != 2 {
			t.Errorf("the updates of all keys went to the nodes %v", used)
		}
	})
	t.Run("move", func(t *testing.T) {
		read := "SELECT v FROM " + keyspace + ".t WHERE k = ?"
		if err := nodes[2].Move(true); err != nil {
			t.Fatal(err)
		}
		before := counts(nodes, read)[2]
		cqltest.WaitFor(t, "requests to the node at its new address", func() bool {
			for key := range 20 {
				if err := session.Query(read, key).Exec(); err != nil {
					return false
				}
			}
			return counts(nodes, read)[2] > before
		})
		known := slices.ContainsFunc(session.GetHosts(), func(h *gocql.HostInfo) bool {
			return h.ConnectAddress().String() == nodes[2].Address()
		})
		if !known {
			t.Errorf("the driver knows %v, the node is at %s", session.GetHosts(), nodes[2].Address())
		}
	})
}

// A role that is no superuser can use the driver, and cannot read the version.
func TestPlainRole(t *testing.T) {
	skipUnlessLong(t)
	own := cqltest.StartFace(t, engine.Options{Auth: true}, scyllaface.Options{})
	as := func(role, password string) *gocql.Session {
		cfg := config(own.Face())
		cfg.Authenticator = gocql.PasswordAuthenticator{Username: role, Password: password}
		return connect(t, cfg)
	}
	super := as(engine.Superuser, engine.SuperuserPassword)
	run(t, super, "CREATE ROLE plain WITH PASSWORD = 'p' AND LOGIN = true")
	plain := as("plain", "p")
	version := "SELECT version FROM system.versions WHERE key = 'local'"
	if err := plain.Query(version).Exec(); code(err) != "0x2100" {
		t.Errorf("system.versions: %v, want code 0x2100", err)
	}
	if got := cells(t, super, version)[0]; got != "2025.4.1" {
		t.Errorf("the superuser reads version %s", got)
	}
	if got := cells(t, plain, "SELECT supported_features FROM system.local")[0]; !strings.Contains(got, "LWT_WITH_TABLETS") {
		t.Errorf("features %q", got)
	}
}

// counts returns how often each node executed a statement.
func counts(nodes []*scyllaface.Node, statement string) []int {
	var out []int
	for _, n := range nodes {
		out = append(out, n.Count(executed(statement)))
	}
	return out
}

// column returns the only column of a query, as text.
func column(t *testing.T, session *gocql.Session, statement string) []string {
	t.Helper()
	iter := session.Query(statement).Iter()
	data, err := iter.RowData()
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	var out []string
	for iter.Scan(data.Values...) {
		out = append(out, show(data.Values[0]))
	}
	if err := iter.Close(); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	return out
}
