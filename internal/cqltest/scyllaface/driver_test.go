package scyllaface_test

import (
	"errors"
	"slices"
	"strings"
	"testing"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/scyllaface"
)

// A driver takes the face for ScyllaDB and opens a connection to every shard,
// by the shard-aware port.
func TestDriverUsesShards(t *testing.T) {
	face, server := start(t, scyllaface.Options{Shards: 4})
	session := connect(t, config(face))

	hosts := session.GetHosts()
	if len(hosts) != 1 || hosts[0].ConnectAddress().String() != face.Hosts()[0] {
		t.Fatalf("the driver sees %v, the face is at %v", hosts, face.Hosts())
	}
	if !hosts[0].ScyllaFeatures().IsPresent() || hosts[0].ScyllaShardCount() != 4 {
		t.Errorf("ScyllaDB %t, %d shards", hosts[0].ScyllaFeatures().IsPresent(), hosts[0].ScyllaShardCount())
	}
	if face.Name() != server.Name()+" behind a ScyllaDB face" {
		t.Errorf("name %q", face.Name())
	}
	node := face.Nodes()[0]
	cqltest.WaitFor(t, "a connection to every shard by the shard-aware port", func() bool {
		shards := map[int]bool{}
		aware := 0
		for _, c := range node.Connections() {
			shards[c.Shard] = true
			if c.ShardAware {
				aware++
			}
		}
		return len(shards) == 4 && aware >= 3
	})
}

// With the shards hidden the driver still knows the engine.
func TestHiddenShards(t *testing.T) {
	face, _ := start(t, scyllaface.Options{HideShards: true})
	session := connect(t, config(face))
	host := session.GetHosts()[0]
	if !host.ScyllaFeatures().IsPresent() || host.ScyllaShardCount() != 0 {
		t.Errorf("ScyllaDB %t, %d shards", host.ScyllaFeatures().IsPresent(), host.ScyllaShardCount())
	}
	for _, c := range face.Nodes()[0].Connections() {
		if c.ShardAware {
			t.Error("a connection came in by the shard-aware port, which was not named")
		}
	}
}

// The driver learns from the answer to PREPARE which statements are
// conditional, and sends all requests for one key to one shard.
func TestConditionalStatements(t *testing.T) {
	face, server := start(t, scyllaface.Options{})
	session := connect(t, config(face))
	name := table(t, session, server)
	node := face.Nodes()[0]
	cqltest.WaitFor(t, "a connection to every shard", func() bool { return len(node.Connections()) > face.Shards() })

	update := "UPDATE " + name + " SET v = ? WHERE k = ? IF v = ?"
	shards := map[int]bool{}
	for key := range 20 {
		before := make([]int, face.Shards())
		count := func(shard int) int {
			return node.Count(func(r scyllaface.Request) bool {
				return r.Op == scyllaface.Execute && r.Statement == update && r.Conditional && r.Shard == shard
			})
		}
		for shard := range before {
			before[shard] = count(shard)
		}
		for range 3 {
			query := session.Query(update, 1, key, nil)
			if _, err := query.MapScanCAS(map[string]any{}); err != nil {
				t.Fatal(err)
			}
			if !query.IsLWT() {
				t.Fatal("the driver does not know that the update is conditional")
			}
		}
		for shard := range before {
			switch n := count(shard) - before[shard]; n {
			case 0:
			case 3:
				shards[shard] = true
			default:
				t.Errorf("shard %d got %d of 3 updates of key %d", shard, n, key)
			}
		}
	}
	if len(shards) != face.Shards() {
		t.Errorf("only the shards %v got updates of 20 keys", shards)
	}
	for _, plain := range []string{"UPDATE " + name + " SET v = 1 WHERE k = ?", "SELECT v FROM " + name + " WHERE k = ?"} {
		query := session.Query(plain, 1)
		if err := query.Exec(); err != nil || query.IsLWT() {
			t.Errorf("%s: %v, conditional %t", plain, err, query.IsLWT())
		}
	}
}

// The addresses in the system tables are the face's, the columns ScyllaDB's.
func TestSystemTables(t *testing.T) {
	face, server := start(t, scyllaface.Options{Version: "2026.1.7", Features: []string{"A", "LWT_WITH_TABLETS"}})
	session := connect(t, config(face))

	row := map[string]any{}
	if err := session.Query("SELECT * FROM system.local USING TIMEOUT 5s").MapScan(row); err != nil {
		t.Fatal(err)
	}
	for column, want := range map[string]any{
		"rpc_address": face.Hosts()[0], "broadcast_address": face.Hosts()[0], "listen_address": face.Hosts()[0],
		"supported_features": "A,LWT_WITH_TABLETS", "release_version": "3.0.8", "data_center": "dc1",
	} {
		if row[column] != want {
			t.Errorf("%s is %v, want %v", column, row[column], want)
		}
	}
	for column, value := range row {
		if value == server.Hosts()[0] || strings.HasSuffix(column, "_port") {
			t.Errorf("%s is %v", column, value)
		}
	}
	for statement, want := range map[string]string{
		"SELECT supported_features FROM system.local WHERE key = 'local'":                           "A,LWT_WITH_TABLETS",
		"SELECT key, supported_features AS f FROM system.local":                                     "local A,LWT_WITH_TABLETS",
		"SELECT version FROM system.versions WHERE key = 'local'":                                   "2026.1.7",
		"SELECT name, value FROM system.config WHERE name = 'commitlog_disk_access_mode'":           `commitlog_disk_access_mode "legacy"`,
		"SELECT rpc_address AS a FROM system.local":                                                 face.Hosts()[0],
		"SELECT count(*) FROM system.peers":                                                         "0",
		"SELECT initial_tablets FROM system_schema.scylla_keyspaces WHERE keyspace_name = 'system'": "0",
	} {
		if got := strings.Join(cells(t, session, statement), " "); got != want {
			t.Errorf("%s: got %q, want %q", statement, got, want)
		}
	}
	for _, statement := range []string{
		"SELECT * FROM system.peers_v2", "SELECT * FROM system_views.clients", "SELECT rpc_port FROM system.local",
		"SELECT * FROM system.peers WHERE peer = '127.0.0.1'", "SELECT initial_tablets FROM system_schema.scylla_keyspaces",
	} {
		if err := session.Query(statement).Exec(); code(err) != "0x2200" {
			t.Errorf("%s: %v, want code 0x2200", statement, err)
		}
	}
}

// Whether a keyspace has tablets is what was said when it was made.
func TestTablets(t *testing.T) {
	face, server := start(t, scyllaface.Options{})
	session := connect(t, config(face))
	for _, tt := range []struct{ clause, want string }{
		{"", "0"}, {" AND tablets = {'enabled': true}", "0"}, {" AND tablets = {'enabled': false}", "null"},
	} {
		keyspace := server.Keyspace(t)
		run(t, session, "CREATE KEYSPACE "+keyspace+" WITH replication = {'class': 'NetworkTopologyStrategy', 'replication_factor': 1}"+tt.clause)
		var tablets *int
		err := session.Query("SELECT initial_tablets FROM system_schema.scylla_keyspaces WHERE keyspace_name = ?", keyspace).Scan(&tablets)
		if err != nil {
			t.Fatal(err)
		}
		if (tablets == nil) != (tt.want == "null") {
			t.Errorf("%q: tablets %v, want %s", tt.clause, tablets, tt.want)
		}
		run(t, session, "CREATE TABLE "+keyspace+".t (k int PRIMARY KEY)")
		metadata, err := session.KeyspaceMetadata(keyspace) // reads scylla_tables
		if err != nil || metadata.Tables["t"] == nil {
			t.Errorf("metadata of the keyspace: %v, %v", metadata, err)
		}
	}
}

// Statements of ScyllaDB's grammar run, and only those.
func TestGrammar(t *testing.T) {
	face, server := start(t, scyllaface.Options{})
	session := connect(t, config(face))
	name := table(t, session, server)
	for _, statement := range []string{
		"INSERT INTO " + name + " (k, v) VALUES (1, 7) USING TTL 1000 AND TIMEOUT 5s",
		"INSERT INTO " + name + " (k, v) VALUES (2, 7) IF NOT EXISTS USING TIMEOUT 500ms",
		"UPDATE " + name + " USING TIMEOUT 1m30s AND TIMESTAMP 12 SET v = 1 WHERE k = 3",
		"DELETE FROM " + name + " USING TIMEOUT 2s WHERE k = 3",
		"BEGIN BATCH USING TIMEOUT 2s INSERT INTO " + name + " (k, v) VALUES (4, 1); UPDATE " + name + " USING TIMEOUT 3s SET v = 2 WHERE k = 4 APPLY BATCH",
	} {
		run(t, session, statement)
	}
	for statement, want := range map[string]string{
		"SELECT v FROM " + name + " WHERE k = 1 BYPASS CACHE":                                           "7",
		"SELECT v FROM " + name + " WHERE v = 7 LIMIT 1 ALLOW FILTERING BYPASS CACHE USING TIMEOUT 30s": "7",
		"select v from " + name + " where k = 4 using timeout 30s;":                                     "2",
	} {
		if got := strings.Join(cells(t, session, statement), " "); got != want {
			t.Errorf("%s: got %q, want %q", statement, got, want)
		}
	}
	for _, statement := range []string{
		"SELECT v FROM " + name + " USING TIMEOUT 30s BYPASS CACHE",
		"SELECT v FROM " + name + " BYPASS CACHE LIMIT 3",
		"SELECT v FROM " + name + " USING TIMEOUT 30",
		"UPDATE " + name + " SET v = 1 USING TIMEOUT 3s WHERE k = 1",
		"CREATE TABLE x.y (k int PRIMARY KEY) WITH tombstone_cg = {'mode': 'immediate'}",
	} {
		err := session.Query(statement).Exec()
		want := "0x2000"
		if strings.HasSuffix(statement, "TIMEOUT 30") {
			want = "0x2200" // a number is no duration: ScyllaDB finds that out after parsing
		}
		if code(err) != want {
			t.Errorf("%s: %v, want code %s", statement, err, want)
		}
	}
	batch := session.Batch(gocql.UnloggedBatch)
	batch.Query("INSERT INTO "+name+" (k, v) VALUES (?, ?) USING TIMEOUT 5s", 9, 9)
	batch.Query("UPDATE " + name + " USING TIMEOUT 5s SET v = 9 WHERE k = 9")
	if err := session.ExecuteBatch(batch); err != nil {
		t.Error(err)
	}
	asked := func(op scyllaface.Op) int {
		return face.Nodes()[0].Count(func(r scyllaface.Request) bool {
			return r.Op == op && strings.HasPrefix(r.Statement, "INSERT INTO "+name+" (k, v) VALUES (?, ?) USING")
		})
	}
	if asked(scyllaface.Prepare) == 0 || asked(scyllaface.Batch) != 1 {
		t.Errorf("%d prepared, %d in a batch", asked(scyllaface.Prepare), asked(scyllaface.Batch))
	}
}

// The options of tables for ScyllaDB become Cassandra's. A table that two
// clients make at once is one.
func TestDefinitions(t *testing.T) {
	face, server := start(t, scyllaface.Options{})
	session := connect(t, config(face))
	keyspace := strings.TrimSuffix(table(t, session, server), ".t")
	statement := `CREATE TABLE IF NOT EXISTS ` + keyspace + `.u (k int, c int, PRIMARY KEY (k, c))
		WITH CLUSTERING ORDER BY (c DESC) AND compaction = {'class': 'IncrementalCompactionStrategy'}
		AND compression = {'sstable_compression': 'LZ4WithDictsCompressor'} AND tombstone_gc = {'mode': 'immediate'}
		AND default_time_to_live = 86400 AND gc_grace_seconds = 3600`
	failed := make(chan error, 2)
	for range 2 {
		go func() { failed <- session.Query(statement).Exec() }()
	}
	if err := errors.Join(<-failed, <-failed); err != nil {
		t.Fatal(err)
	}
	got := cells(t, session, "SELECT default_time_to_live, gc_grace_seconds, compaction, compression FROM system_schema.tables WHERE keyspace_name = '"+keyspace+"' AND table_name = 'u'")
	if !slices.Equal(got[:2], []string{"86400", "3600"}) || !strings.Contains(got[2], "UnifiedCompactionStrategy") || !strings.Contains(got[3], "LZ4Compressor") {
		t.Errorf("the table has the options %q", got)
	}
	for option, want := range map[string]string{
		"compaction = {'class': 'UnifiedCompactionStrategy'}": "0x2300",
		"compression = {'class': 'LZ4Compressor'}":            "0x2300",
		"tombstone_gc = {'mode': 'never'}":                    "0x2300",
		"id = 5a1c395e-b41f-11e5-9f22-ba0be0483c18":           "0x2200",
		"gc_grace = 3": "0x2000",
	} {
		err := session.Query("CREATE TABLE " + keyspace + ".w (k int PRIMARY KEY) WITH " + option).Exec()
		if code(err) != want {
			t.Errorf("%s: %v, want code %s", option, err, want)
		}
	}
}

// cells returns the values of the first row of a query, as text.
func cells(t *testing.T, session *gocql.Session, statement string) []string {
	t.Helper()
	iter := session.Query(statement).Iter()
	data, err := iter.RowData()
	if err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	if !iter.Scan(data.Values...) {
		t.Fatalf("%s: no row: %v", statement, iter.Close())
	}
	if err := iter.Close(); err != nil {
		t.Fatalf("%s: %v", statement, err)
	}
	var out []string
	for _, v := range data.Values {
		out = append(out, show(v))
	}
	return out
}
