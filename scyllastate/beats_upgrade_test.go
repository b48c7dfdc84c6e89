package scyllastate

import (
	"context"
	"errors"
	"io/fs"
	"strings"
	"testing"
	"testing/fstest"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate/schema"
)

// beforeBeats are the schema files of the builds whose heartbeats are in peers.
func beforeBeats(t *testing.T) fs.FS {
	t.Helper()
	files := fstest.MapFS{}
	for _, name := range []string{"0001_pins.cql", "0002_cluster.cql", "0003_peers.cql", "0004_migrations.cql"} {
		text, err := fs.ReadFile(schema.Files, name)
		must(t, err)
		files[name] = &fstest.MapFile{Data: text}
	}
	return files
}

// TestUpgradeToBeats brings a keyspace of an earlier build up to date, whose
// peers still run. They can neither read nor send heartbeats any more, so that
// they take nobody for dead, and do not start again. Who they are is kept.
func TestUpgradeToBeats(t *testing.T) {
	conf := freshConfig(t)
	// Only the tables of that build: this one's Store reads what they do not have.
	earlier, err := scylla.Open(t.Context(), conf.session(true), func(ctx context.Context, db *scylla.DB) error {
		return prepareSchema(ctx, db, SchemaApply, beforeBeats(t))
	})
	must(t, err)
	t.Cleanup(earlier.Close)
	m := member("a", incarnation(1))
	read := func() error {
		return earlier.Session.Query("SELECT peer, name, role, addresses, incarnation, instance, leaving, removed, beat, beat_of, ttl, metrics FROM peers WHERE cluster = ?",
			peersPartition).Exec()
	}
	send := func() error {
		return earlier.Session.Query("UPDATE peers USING TTL ? AND TIMESTAMP ? SET beat = ?, beat_of = ?, ttl = ?, metrics = ? WHERE cluster = ? AND peer = ?",
			3600, time.Now().UnixMicro(), 1, gocql.UUID(m.Incarnation), 30_000, []byte("m"), peersPartition, m.ID.String()).Exec()
	}
	must(t, earlier.Session.Query("UPDATE peers SET name = ?, role = ?, addresses = ?, incarnation = ?, instance = ? WHERE cluster = ? AND peer = ?",
		m.Name, m.Role, m.Addresses, gocql.UUID(m.Incarnation), m.Instance, peersPartition, m.ID.String()).Exec())
	must(t, errors.Join(read(), send()))

	s := openStore(t, conf)
	wantMember(t, s, "of an earlier build", m)
	must(t, s.db.Session.Query("UPDATE peers SET name = 'renamed' WHERE cluster = ? AND peer = ?", peersPartition, m.ID.String()).Exec())
	was := m
	m.Name = "renamed"
	wantMember(t, s, "without a version it is read each time", m)
	again := m
	again.Incarnation = incarnation(2)
	must(t, s.PutMember(t.Context(), again, was))
	again = beat(t, s, again, incarnation(2), 1, "metrics")
	wantMember(t, s, "of this build", again)

	for what, f := range map[string]func() error{"read": read, "send": send} {
		if err := f(); err == nil {
			t.Errorf("a peer of an earlier build can %s heartbeats", what)
		}
	}
	_, err = openVersion(t, conf, beforeBeats(t))
	if err == nil || !scylla.Permanent(err) || !strings.Contains(err.Error(), "needs a binary with schema version 5") {
		t.Errorf("an earlier build starts again: %v", err)
	}
	for table, want := range map[string]int{"expiries": 86400, "beats": 86400, "peers": 864000} {
		var grace int
		must(t, s.db.Session.Query("SELECT gc_grace_seconds FROM system_schema.tables WHERE keyspace_name = ? AND table_name = ?", conf.Keyspace, table).Scan(&grace))
		if grace != want {
			t.Errorf("tombstones of %s stay for %s, want %s", table, time.Duration(grace)*time.Second, time.Duration(want)*time.Second)
		}
	}
}
