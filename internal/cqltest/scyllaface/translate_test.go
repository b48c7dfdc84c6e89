package scyllaface

import (
	"fmt"
	"strings"
	"testing"
)

func TestTranslate(t *testing.T) {
	g := grammar{version: "2025.4.1", features: "A,B"}
	for _, tt := range []struct {
		cql  string
		want string // or the beginning of the error, after the code
	}{
		{"", ""},
		{"SELECT 1", "SELECT 1"},
		{"SELECT a FROM t -- BYPASS CACHE", "SELECT a FROM t -- BYPASS CACHE"},
		{"SELECT 'BYPASS CACHE' AS \"USING\" FROM t", "SELECT 'BYPASS CACHE' AS \"USING\" FROM t"},
		{"SELECT bypass FROM t", "SELECT bypass FROM t"},

		{"SELECT a FROM t BYPASS CACHE", "SELECT a FROM t /*BYPASS CACHE*/"},
		{"SELECT a FROM t ALLOW FILTERING bypass /* x */ cache USING TIMEOUT 1h30m;", "SELECT a FROM t ALLOW FILTERING /*bypass cache*/ /*USING TIMEOUT 1h30m*/;"},
		{"SELECT a FROM t WHERE b = '''' USING TIMEOUT 5ms", "SELECT a FROM t WHERE b = '''' /*USING TIMEOUT 5ms*/"},
		{"SELECT a FROM t USING TIMEOUT 5s BYPASS CACHE", "0x2000 line 1:33 no viable alternative at input 'BYPASS'"},
		{"SELECT a FROM t\n BYPASS CACHE\n LIMIT 1", "0x2000 line 3:1 no viable alternative at input 'LIMIT'"},
		{"SELECT a FROM t USING TTL 5", "0x2000 line 1:22"},
		{"SELECT a FROM t USING TIMEOUT 'x'", "0x2000 line 1:30"},
		{"SELECT a FROM t USING TIMEOUT", "0x2000 line 1:29 no viable alternative at input '<EOF>'"},
		{"SELECT a FROM t USING TIMEOUT 1d", "0x2200 timeout 1d"},
		{"SELECT a FROM t USING TIMEOUT 10us", "0x2200 timeout 10us"},
		{"SELECT a FROM t USING TIMEOUT ?", "0x0000 the face takes timeouts"},

		{"INSERT INTO t (a) VALUES (?) IF NOT EXISTS USING TIMEOUT 3s AND TTL ?", "INSERT INTO t (a) VALUES (?) IF NOT EXISTS USING /*TIMEOUT 3s AND*/ TTL ?"},
		{"INSERT INTO t (a) VALUES (1) USING TTL :t AND TIMEOUT 3s AND TIMESTAMP -5", "INSERT INTO t (a) VALUES (1) USING TTL :t /*AND TIMEOUT 3s*/ AND TIMESTAMP -5"},
		{"INSERT INTO t (a) VALUES (1) USING TIMEOUT 3s IF NOT EXISTS", "0x2000 line 1:46"},
		{"INSERT INTO t (a) VALUES (1) USING TIMEOUT 3s AND", "0x2000 line 1:49"},
		{"INSERT INTO t (a) VALUES (1) USING TTL", "0x2000 line 1:38"},
		{"INSERT INTO t (a) VALUES (1) BYPASS CACHE", "0x2000 line 1:29"},
		{"UPDATE k.t USING TIMEOUT 3s SET a = 1 WHERE b = 2", "UPDATE k.t /*USING TIMEOUT 3s*/ SET a = 1 WHERE b = 2"},
		{"UPDATE t SET a = 1 WHERE b = 2 USING TIMEOUT 3s", "0x2000 line 1:31"},
		{"UPDATE t USING TTL 5 SET a = 1 WHERE b = 2", "UPDATE t USING TTL 5 SET a = 1 WHERE b = 2"},
		{"DELETE a FROM t USING TIMESTAMP 3 AND TIMEOUT 3s WHERE b = 2", "DELETE a FROM t USING TIMESTAMP 3 /*AND TIMEOUT 3s*/ WHERE b = 2"},
		{"DELETE FROM t USING TTL 3 WHERE b = 2", "0x2000 line 1:20"},
		{"DELETE FROM t WHERE b = 2 USING TIMEOUT 3s", "0x2000 line 1:26"},
		{"BEGIN UNLOGGED BATCH USING TIMEOUT 3s UPDATE t USING TIMEOUT 4s SET a = 1 WHERE b = 2; DELETE FROM t WHERE b = 3; APPLY BATCH",
			"BEGIN UNLOGGED BATCH /*USING TIMEOUT 3s*/ UPDATE t /*USING TIMEOUT 4s*/ SET a = 1 WHERE b = 2; DELETE FROM t WHERE b = 3; APPLY BATCH"},
		{"TRUNCATE t USING TIMEOUT 3s", "TRUNCATE t /*USING TIMEOUT 3s*/"},
		{"TRUNCATE t USING TIMEOUT 3s x", "0x2000 line 1:28"},

		{"SELECT now() FROM system.local WHERE key = 'local'", "SELECT now() FROM system.local /*system.local*/ WHERE key = 'local'"},
		{"SELECT key, supported_features FROM system.local", "SELECT key, (text)'A,B' AS supported_features FROM system.local /*system.local*/"},
		{"SELECT supported_features AS f, rpc_address AS r FROM \"system\".\"local\"", "SELECT (text)'A,B' AS f, rpc_address AS r FROM system.local /*system.local*/"},
		{"SELECT * FROM system.versions USING TIMEOUT 9s", "SELECT key, (text)'none' AS build_id, (text)'face' AS build_mode, (text)'2025.4.1' AS version FROM system.local /*system.versions*/ /*USING TIMEOUT 9s*/"},
		{"SELECT value FROM system.config WHERE name = 'commitlog_sync'", "SELECT to_json(value) AS value FROM system_views.settings /*system.config*/ WHERE name = 'commitlog_sync'"},
		{"SELECT name FROM system.config WHERE value = 'x'", "0x2200 the face cannot select the rows"},
		{"SELECT * FROM system_schema.scylla_tables WHERE keyspace_name = ?", "SELECT keyspace_name, table_name, (map<text, text>)null AS cdc, (boolean)null AS in_memory, (text)null AS partitioner, id AS version FROM system_schema.tables /*system_schema.scylla_tables*/ WHERE keyspace_name = ?"},
		{"SELECT initial_tablets FROM system_schema.scylla_keyspaces WHERE keyspace_name = 'k'", "SELECT (int)0 AS initial_tablets FROM system_schema.keyspaces /*system_schema.scylla_keyspaces*/ WHERE keyspace_name = 'k'"},
		{"SELECT * FROM system.peers_v2", "0x2200 unconfigured table peers_v2"},
		{"SELECT native_port FROM system.peers", "0x2200 Unrecognized name native_port"},
		{"SELECT max(rpc_address) FROM system.peers", "0x2200 the face cannot call a function"},
		{"SELECT rack FROM system.peers WHERE peer = '127.0.0.2'", "0x2200 the face cannot select the rows"},
		{"SELECT JSON * FROM system.peers", "0x2200 the face cannot"},
		{"SELECT DISTINCT peer FROM system.peers", "0x2200"},
		{"SELECT json, rack FROM system.peers", "0x2200 Unrecognized name json"},

		{"CREATE KEYSPACE k WITH replication = {'class': 'X', 'dc1': 3} AND tablets = {'enabled': false}", "CREATE KEYSPACE k WITH replication = {'class': 'X', 'dc1': 3}"},
		{"CREATE KEYSPACE k WITH tablets = {'enabled': 'maybe'}", "0x2300 option enabled of tablets"},
		{"CREATE KEYSPACE k WITH durable_rites = true", "0x2000 Unknown property 'durable_rites'"},
		{"CREATE TABLE IF NOT EXISTS t (a int PRIMARY KEY);", "CREATE TABLE IF NOT EXISTS t (a int PRIMARY KEY) WITH id = bc05188a-8c6f-587f-abc3-f0a0d5fc5b6e;"},
		{"CREATE TABLE k.t (a int PRIMARY KEY) WITH tombstone_gc = {'mode': 'immediate'} AND CLUSTERING ORDER BY (c DESC)", "CREATE TABLE k.t (a int PRIMARY KEY) WITH CLUSTERING ORDER BY (c DESC) AND id = bc05188a-8c6f-587f-abc3-f0a0d5fc5b6e"},
		{"CREATE TABLE k.t (a int PRIMARY KEY) WITH", "0x2000 line 1:41"},
		{"CREATE TABLE k.t (a int PRIMARY KEY) WITH comment = 'x' AND", "0x2000 line 1:59"},
		{"CREATE TABLE k.t (a int PRIMARY KEY) WITH caching = {'keys': 'ALL'", "0x2000"},
		{"CREATE TABLE k.t (a int PRIMARY KEY) WITH gc_grace = 3", "0x2000 Unknown property 'gc_grace'"},
		{"ALTER TABLE k.t WITH compaction = {'class': 'UnifiedCompactionStrategy'}", "0x2300 Unable to find compaction strategy class"},
		{"ALTER TABLE k.t WITH compression = {'class': 'LZ4Compressor'}", "0x2300 Missing sub-option 'sstable_compression'"},
		{"ALTER TABLE k.t WITH tombstone_gc = {'mode': 'never'}", "0x2300 tombstone_gc needs a mode"},
		{"CREATE TABLE k.t (a int PRIMARY KEY) WITH id = 5a1c395e-b41f-11e5-9f22-ba0be0483c18", "0x2200 a table gets its identifier"},
		{"ALTER TABLE k.t ADD b int", "ALTER TABLE k.t ADD b int"},
		{"ALTER TABLE k.t WITH compression = {'sstable_compression': ''}", "ALTER TABLE k.t WITH compression = {'enabled': 'false'}"},
		{"ALTER TABLE k.t WITH compression = {'sstable_compression': 'ZstdWithDictsCompressor', 'chunk_length_in_kb': 16}", "ALTER TABLE k.t WITH compression = {'class': 'ZstdCompressor', 'chunk_length_in_kb': 16}"},
		{"ALTER TABLE k.t WITH compaction = {'class': 'IncrementalCompactionStrategy', 'x': 1}", "0x2300 option x of compaction"},
		{"CREATE INDEX ON k.t (b)", "CREATE INDEX ON k.t (b)"},
		{"SELECT 'x", "0x2000 the quote at byte 7 does not end"},
		{"SELECT /* x", "0x2000 the comment at byte 7 does not end"},
	} {
		s, refused := g.translate(tt.cql, "k")
		got := ""
		if refused != nil {
			got = fmt.Sprintf("%#04x %s", int(refused.GetErrorCode()), refused.GetErrorMessage())
			if !strings.HasPrefix(got, tt.want) {
				t.Errorf("%s\ngot  %s\nwant %s", tt.cql, got, tt.want)
			}
			continue
		}
		if s.cassandra != tt.want {
			t.Errorf("%s\ngot  %s\nwant %s", tt.cql, s.cassandra, tt.want)
		}
	}
}

func TestConditional(t *testing.T) {
	for cql, want := range map[string]bool{
		"UPDATE t SET a = 1 WHERE b = 2 IF a = 3":                         true,
		"update t set a = 1 where b = 2 if exists":                        true,
		"INSERT INTO t (a) VALUES (1) IF NOT EXISTS USING TTL 3":          true,
		"DELETE FROM t WHERE a = 1 IF EXISTS":                             true,
		"BEGIN BATCH UPDATE t SET a = 1 WHERE b = 2 IF a = 3 APPLY BATCH": true,
		"UPDATE t SET a = 'IF' WHERE b = 2":                               false,
		"UPDATE t SET \"IF\" = 1 WHERE b = 2 -- IF a = 3":                 false,
		"CREATE TABLE IF NOT EXISTS t (a int PRIMARY KEY)":                false,
		"SELECT a FROM t": false,
	} {
		s, refused := grammar{}.translate(cql, "")
		if refused != nil || s.conditional != want {
			t.Errorf("%s: conditional should be %t: %+v, %v", cql, want, s, refused)
		}
	}
}
