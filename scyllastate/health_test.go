package scyllastate

import (
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate/schema"
)

// TestHealth: the schema is what this binary has, until somebody applies one that refuses it.
func TestHealth(t *testing.T) {
	conf := freshConfig(t)
	s := openStore(t, conf)
	if err := s.Serving(); err != nil {
		t.Error(err)
	}
	if err := s.db.Check(t.Context()); err != nil {
		t.Error(err)
	}
	if err := s.CheckSchema(t.Context()); err != nil {
		t.Error(err)
	}
	inv, err := s.Inventory(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	files, err := scylla.ReadMigrations(schema.Files)
	if err != nil {
		t.Fatal(err)
	}
	if len(inv.Schema) != len(files) || inv.Schema[0] != files[0].Name || !slices.Contains(inv.Tables, "pins") || !slices.Contains(inv.Tables, "changes") ||
		len(inv.Nodes) == 0 || inv.Keyspace != conf.Keyspace || inv.Engine == "" {
		t.Errorf("the inventory is %+v", inv)
	}
	const newer = "INSERT INTO schema_history (version, name, checksum, min_binary, applied, applied_by) VALUES (99, '0099_newer.cql', 'x', 99, toTimestamp(now()), 'test')"
	if err := s.db.Session.Query(newer).Exec(); err != nil {
		t.Fatal(err)
	}
	if err := s.CheckSchema(t.Context()); err == nil || !strings.Contains(err.Error(), "upgrade it") {
		t.Errorf("after a schema that refuses this binary: %v", err)
	}
}
