package scyllaface

import (
	"bytes"
	"strings"
	"testing"

	"github.com/datastax/go-cassandra-native-protocol/message"
	"github.com/datastax/go-cassandra-native-protocol/primitive"
)

// What is translated has the clauses of ScyllaDB no more, and what has nothing
// to translate stays as it is.
func FuzzTranslate(f *testing.F) {
	for _, cql := range []string{
		"SELECT a FROM t WHERE b = ? LIMIT 3 BYPASS CACHE USING TIMEOUT 30s;",
		"INSERT INTO k.t (a) VALUES (:a) IF NOT EXISTS USING TTL ? AND TIMEOUT 5ms",
		"UPDATE \"K\".t USING TIMEOUT 1s AND TIMESTAMP 3 SET a = 1 WHERE b = 'x''y' IF c != $$z$$",
		"DELETE FROM t USING TIMEOUT 1s WHERE a = 1 -- c\n",
		"BEGIN BATCH USING TIMEOUT 1s INSERT INTO t (a) VALUES (1); DELETE FROM t WHERE a = 1 APPLY BATCH",
		"SELECT key, supported_features AS f, count(*) FROM system.local /* c */ WHERE key = 'local'",
		"SELECT * FROM system_schema.scylla_keyspaces WHERE keyspace_name = 'k'",
		"CREATE KEYSPACE IF NOT EXISTS k WITH replication = {'class': 'NetworkTopologyStrategy', 'dc1': 3} AND tablets = {'enabled': false}",
		"CREATE TABLE t (a int PRIMARY KEY) WITH CLUSTERING ORDER BY (a DESC) AND compression = {'sstable_compression': ''} AND tombstone_gc = {'mode': 'repair'}",
		"TRUNCATE t USING TIMEOUT 4s",
	} {
		f.Add(cql)
	}
	f.Fuzz(func(t *testing.T, cql string) {
		s, refused := grammar{version: "1", features: "A"}.translate(cql, "k")
		if refused != nil {
			return
		}
		tokens, err := lex(s.cassandra)
		if err != nil {
			t.Fatalf("%q became %q, which is no CQL: %v", cql, s.cassandra, err)
		}
		out := &source{text: s.cassandra, tokens: tokens}
		if out.is(0, "SELECT") && (out.find(0, len(tokens), "USING") >= 0 || out.bypassCache(0, len(tokens)) >= 0) {
			t.Errorf("%q became %q", cql, s.cassandra)
		}
		upper := strings.ToUpper(cql)
		for _, trigger := range []string{"BYPASS", "USING", "SYSTEM", "CREATE", "ALTER"} {
			if strings.Contains(upper, trigger) {
				return
			}
		}
		if s.cassandra != cql {
			t.Errorf("%q became %q", cql, s.cassandra)
		}
	})
}

// Whatever the body of an answer is, the face does not panic, and in place
// means that no byte comes or goes.
func FuzzAnswer(f *testing.F) {
	for _, sample := range []frame{
		encode(f, sampleRows([]byte{127, 0, 0, 1}), nil),
		encode(f, sampleRows([]byte{127, 0, 0, 1}), withWarning),
		encode(f, samplePrepared(), nil),
		encode(f, &message.SetKeyspaceResult{Keyspace: "k"}, nil),
		encode(f, &message.StatusChangeEvent{ChangeType: primitive.StatusChangeTypeUp, Address: &primitive.Inet{Addr: []byte{127, 0, 0, 1}, Port: 1}}, nil),
	} {
		f.Add(byte(sample.op), byte(sample.flags), sample.body)
	}
	f.Fuzz(func(t *testing.T, op, flags byte, body []byte) {
		s := &statement{conditional: true, table: "system.local"}
		in := frame{version: fromServer + version, op: primitive.OpCode(op), flags: primitive.HeaderFlag(flags), body: bytes.Clone(body)}
		out, err := testConn().answer(in, pending{statement: s})
		if err == nil && out.version != 0 && out.op != primitive.OpCodeSupported && len(out.body) != len(body) {
			t.Errorf("%d bytes became %d", len(body), len(out.body))
		}
		in.body = bytes.Clone(body)
		c := testConn()
		c.node.face.keyspaceMade("k", true)
		out, err = c.answer(in, pending{statement: s, keyspace: "k"})
		if err == nil && in.op == primitive.OpCodeResult && (len(body)-len(out.body))%4 != 0 {
			t.Errorf("%d bytes became %d", len(body), len(out.body))
		}
	})
}

// Whatever the body of a request is, the face does not panic, and only
// statements change.
func FuzzRequest(f *testing.F) {
	for _, m := range []message.Message{
		&message.Options{},
		&message.Startup{Options: map[string]string{"CQL_VERSION": "3.0.0"}},
		&message.Query{Query: "SELECT * FROM system.local USING TIMEOUT 3s", Options: &message.QueryOptions{SkipMetadata: true, PositionalValues: []*primitive.Value{primitive.NewValue([]byte("v"))}}},
		&message.Prepare{Query: "UPDATE t SET a = ? WHERE b = ? IF a = 1"},
		&message.Execute{QueryId: []byte("id"), Options: &message.QueryOptions{PositionalValues: []*primitive.Value{primitive.NewValue([]byte("k")), primitive.NewNullValue()}}},
		&message.Batch{Children: []*message.BatchChild{{Query: "DELETE FROM t WHERE a = 1"}, {Id: []byte("id"), Values: []*primitive.Value{primitive.NewValue([]byte("v"))}}}},
		&message.AuthResponse{Token: []byte("\x00user\x00password")},
		&message.Register{EventTypes: []primitive.EventType{primitive.EventTypeStatusChange}},
	} {
		sample := encode(f, m, nil)
		f.Add(byte(sample.op), byte(sample.flags), sample.body)
	}
	f.Fuzz(func(t *testing.T, op, flags byte, body []byte) {
		c := testConn()
		s, refused := c.node.face.grammar.translate("SELECT * FROM system_schema.scylla_keyspaces WHERE keyspace_name = ?", "")
		if refused != nil {
			t.Fatal(refused)
		}
		c.node.face.remember("id", s)
		in := frame{version: version, op: primitive.OpCode(op), flags: primitive.HeaderFlag(flags), body: bytes.Clone(body)}
		if c.request(&in) != nil {
			return
		}
		switch in.op {
		case primitive.OpCodeQuery, primitive.OpCodePrepare, primitive.OpCodeBatch:
		case primitive.OpCodeExecute:
			if len(in.body) != len(body) {
				t.Errorf("%d bytes became %d", len(body), len(in.body))
			}
		default:
			if !bytes.Equal(in.body, body) {
				t.Errorf("%x became %x", body, in.body)
			}
		}
	})
}
