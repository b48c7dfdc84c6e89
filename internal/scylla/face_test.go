package scylla

import (
	"context"
	"io"
	"net"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gocql/gocql"

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
	t.Run("durability", func(t *testing.T) {
		t.Run("Cassandra", func(t *testing.T) { testDurability(t, own, own.Cluster().Hosts()) })
		t.Run("ScyllaDB's face", func(t *testing.T) { testDurability(t, own, own.Hosts()) })
		t.Run("silent nodes", func(t *testing.T) { testNodesSilent(t, openDB(t, configOn(own, own.Cluster().Hosts()))) })
	})
	t.Run("repairs", func(t *testing.T) { testRepairs(t, own) })
	t.Run("faults", func(t *testing.T) { testFaults(t, own) })
	t.Run("nodes that are down", func(t *testing.T) { testNodesDown(t, openDB(t, configOn(own, own.Cluster().Hosts()))) })
	t.Run("clocks of another data centre", func(t *testing.T) { testRemoteClocks(t, openDB(t, configOn(own, own.Cluster().Hosts()))) })
	t.Run("connections are counted", func(t *testing.T) { testConnectionsCounted(t, own) })
	t.Run("a frozen node is counted", func(t *testing.T) { testFrozenCounted(t, own) })
	t.Run("a node that refuses is counted", func(t *testing.T) { testRefusedCounted(t, own) })
	t.Run("a role that is traced", func(t *testing.T) {
		t.Run("Cassandra", func(t *testing.T) { testTracedRole(t, own, own.Cluster().Hosts()) })
		t.Run("ScyllaDB's face", func(t *testing.T) { testTracedRole(t, own, own.Hosts()) })
	})
	t.Run("no node", func(t *testing.T) { testNoNode(t, own) })
}

// configOn is the configuration of a superuser's session on own, by its face or past
// it.
func configOn(own *cqltest.Own, hosts []string) Config {
	return Config{
		Section: "state.scylla",
		Hosts:   hosts, Port: own.Port(), Keyspace: "face", CreateKeyspace: true,
		RequestTimeout: 10 * time.Second, ConnectTimeout: 30 * time.Second,
		Username: engine.Superuser, Password: engine.SuperuserPassword,
	}
}

// testPorts shows that the port of the shards, which may be out of reach, is used
// unless that is disabled.
func testPorts(t *testing.T, own *cqltest.Own, disabled bool) {
	conf := configOn(own, own.Hosts())
	conf.DisableShardAwarePort = disabled
	db := openDB(t, conf)
	var used bool
	cqltest.WaitFor(t, "a connection to every shard, and one by the port of the shards if that is not disabled", func() bool {
		shards := make(map[int]bool)
		used = false
		for _, c := range own.Face().Nodes()[0].Connections() {
			shards[c.Shard] = true
			used = used || c.ShardAware
		}
		return len(shards) == own.Face().Shards() && (used || disabled)
	})
	if used && disabled {
		t.Error("the port of the shards was used")
	}
	if got, want := db.Shards(), own.Face().Shards(); got != want {
		t.Errorf("%d shards, want %d", got, want)
	}
}

// What a server warns of is logged, each text once.
func testWarnings(t *testing.T, db *DB) {
	change(t, db, "CREATE TABLE IF NOT EXISTS warned (k int PRIMARY KEY) WITH ${point}")
	told := strings.Join(logged(t, func() {
		for range 3 {
			batch := db.Session.Batch(gocql.UnloggedBatch)
			for k := range 20 { // more partitions than Cassandra likes
				batch.Query("INSERT INTO warned (k) VALUES (?)", k)
			}
			if err := batch.Exec(); err != nil {
				t.Fatal(err)
			}
		}
	}), "\n")
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

// testNodesDown changes the schema while one node refuses connections and another is
// silent: both are gone on without, and asked once.
func testNodesDown(t *testing.T, db *DB) {
	const refuses, silent = "127.99.99.98", "127.99.99.97"
	listener, err := net.Listen("tcp", net.JoinHostPort(silent, strconv.Itoa(db.conf.Port)))
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	c, err := db.conf.survey(t.Context(), ddlTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	for _, addr := range []string{refuses, silent} {
		c.disagreesWith(t, addr, addr)
		defer c.forgets(t, addr)
	}
	ctx, cancel := context.WithTimeout(t.Context(), agreeTimeout/2)
	defer cancel()
	told := strings.Join(logged(t, func() {
		for _, statement := range []string{"CREATE TABLE " + db.Keyspace + ".down (k int PRIMARY KEY)", "ALTER TABLE " + db.Keyspace + ".down ADD v int"} {
			if err := c.change(ctx, statement); err != nil {
				t.Errorf("%s: %v", statement, err)
			}
		}
	}), "\n")
	for _, addr := range []string{refuses, silent} {
		if n := strings.Count(told, "node "+addr+" of data centre elsewhere does not answer: going on without it"); n != 1 {
			t.Errorf("%s was told of %d times:\n%s", addr, n, told)
		}
	}
}

// testRemoteClocks measures again and again: the node of another data centre, which each
// time takes a connection, is asked at a start and right after it.
func testRemoteClocks(t *testing.T, db *DB) {
	const far = "127.99.99.96"
	port := strconv.Itoa(db.conf.Port)
	listener, err := net.Listen("tcp", net.JoinHostPort(far, port))
	if err != nil {
		t.Fatal(err)
	}
	var connections atomic.Int64
	var passing sync.WaitGroup
	defer passing.Wait()
	defer listener.Close()
	passing.Go(func() {
		for {
			from, err := listener.Accept()
			if err != nil {
				return
			}
			connections.Add(1)
			to, err := net.Dial("tcp", net.JoinHostPort(db.conf.Hosts[0], port))
			if err != nil {
				t.Error(err)
				_ = from.Close()
				continue
			}
			for _, way := range [][2]net.Conn{{from, to}, {to, from}} {
				passing.Go(func() {
					_, _ = io.Copy(way[0], way[1]) // it ends with either of them
					_, _ = from.Close(), to.Close()
				})
			}
		}
	})
	c, err := db.conf.survey(t.Context(), ddlTimeout)
	if err != nil {
		t.Fatal(err)
	}
	defer c.close()
	c.disagreesWith(t, far, far)
	defer c.forgets(t, far)
	measure := func(times int) int64 {
		for range times {
			if _, err := db.Skew(t.Context()); err != nil {
				t.Fatal(err)
			}
		}
		return connections.Load()
	}
	if first := measure(1); first == 0 || measure(1) == first {
		t.Errorf("%d connections at first, %d in all", first, connections.Load())
	}
	if before := connections.Load(); measure(3) != before {
		t.Errorf("%d connections, and %d more for three measurements", before, connections.Load()-before)
	}
}

// testNoNode shows what is said while the only node refuses connections.
func testNoNode(t *testing.T, own *cqltest.Own) {
	db := openDB(t, configOn(own, own.Hosts()))
	node := own.Face().Nodes()[0]
	node.Refuse()
	defer func() {
		if err := node.Accept(); err != nil {
			t.Error(err)
		}
	}()
	cqltest.WaitFor(t, "the driver to give up the node", func() bool { return len(db.localHosts()) == 0 })
	skew := func() error {
		_, err := db.Skew(t.Context())
		return err
	}
	read := func() error {
		_, err := db.Read(t.Context(), gocql.Quorum, Bind("SELECT key FROM system.local"), new(string))
		return err
	}
	for _, ask := range []func() error{skew, read} {
		// The reason is that of the last connection. One that was being made when the
		// ports closed was reset, and may tell of it late; the next one is refused.
		cqltest.WaitFor(t, "the reason", func() bool {
			err := ask()
			if err == nil || strings.Contains(err.Error(), "%!") || !strings.Contains(err.Error(), "connection re") {
				t.Fatalf("%v, want the reason", err)
			}
			return strings.Contains(err.Error(), "connection refused")
		})
	}
}
