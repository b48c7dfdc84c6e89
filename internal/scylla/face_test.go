package scylla

import (
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"
	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/engine"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/scyllaface"
)

// TestFace runs what needs a node with roles and a face of ScyllaDB before it.
func TestFace(t *testing.T) {
	own := cqltest.StartFace(t, engine.Options{Auth: true}, scyllaface.Options{})
	t.Run("one port", func(t *testing.T) { testPorts(t, own, true) })
	t.Run("two ports", func(t *testing.T) { testPorts(t, own, false) })
	t.Run("warnings", func(t *testing.T) { testWarnings(t, openDB(t, configOn(own, own.Cluster().Hosts()))) })
	t.Run("clients", func(t *testing.T) { testClients(t, openDB(t, configOn(own, own.Cluster().Hosts()))) })
	t.Run("roles", func(t *testing.T) {
		t.Run("Cassandra", func(t *testing.T) {
			testRoles(t, own, own.Cluster().Hosts(), "Apache Cassandra 5", "Apache Cassandra 5")
		})
		t.Run("ScyllaDB's face", func(t *testing.T) { testRoles(t, own, own.Hosts(), "ScyllaDB 2025.4.1", "ScyllaDB 2025.4 or newer") })
	})
	t.Run("faults", func(t *testing.T) { testFaults(t, own) })
}

// configOn is the configuration of a superuser's session on own, by its face or past
// it.
func configOn(own *cqltest.Own, hosts []string) Config {
	return Config{
		Hosts: hosts, Port: own.Port(), Keyspace: "face", CreateKeyspace: true,
		RequestTimeout: 10 * time.Second, ConnectTimeout: 30 * time.Second,
		Username: engine.Superuser, Password: engine.SuperuserPassword,
	}
}

// testPorts shows that the port of the shards, which may be out of reach, is used
// unless that is disabled.
func testPorts(t *testing.T, own *cqltest.Own, disabled bool) {
	conf := configOn(own, own.Hosts())
	conf.DisableShardAwarePort = disabled
	openDB(t, conf)
	var used bool
	cqltest.WaitFor(t, "a connection to every shard", func() bool {
		shards := make(map[int]bool)
		used = false
		for _, c := range own.Face().Nodes()[0].Connections() {
			shards[c.Shard] = true
			used = used || c.ShardAware
		}
		return len(shards) == own.Face().Shards()
	})
	if used == disabled {
		t.Errorf("the port of the shards was used: %t", used)
	}
}

// What a server warns of is logged, each text once.
func testWarnings(t *testing.T, db *DB) {
	change(t, db, "CREATE TABLE warned (k int PRIMARY KEY)")
	told := cqltest.Logged(t, logging.LevelWarn, func() {
		for range 3 {
			batch := db.Session.Batch(gocql.UnloggedBatch)
			for k := range 20 { // more partitions than Cassandra likes
				batch.Query("INSERT INTO warned (k) VALUES (?)", k)
			}
			if err := batch.Exec(); err != nil {
				t.Fatal(err)
			}
		}
	})
	if n := strings.Count(told, "of the database warns: Unlogged batch covering 20 partitions"); n != 1 || !strings.Contains(told, "WARN") {
		t.Errorf("the warning was told %d times:\n%s", n, told)
	}
}

// An operator finds our processes among the clients of a server.
func testClients(t *testing.T, db *DB) {
	rows, err := db.Session.Query("SELECT client_options FROM system_views.clients").Iter().SliceMap()
	if err != nil {
		t.Fatal(err)
	}
	for _, row := range rows {
		options, ok := row["client_options"].(map[string]string)
		if ok && options["APPLICATION_NAME"] == "ipfs-cluster-scylla" && options["CLIENT_ID"] == Process() {
			return
		}
	}
	t.Errorf("this process is not among %v", rows)
}
