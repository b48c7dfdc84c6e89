package scyllastate

import (
	"encoding/hex"
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// readColumns returns the columns that docs/schema.md names, by "table.column",
// as "type key".
func readColumns(t *testing.T) map[string]string {
	t.Helper()
	text, err := os.ReadFile("../docs/schema.md")
	if err != nil {
		t.Fatal(err)
	}
	columns := make(map[string]string)
	table := ""
	for _, line := range strings.Split(string(text), "\n") {
		if heading := regexp.MustCompile("^## `(\\w+)`$").FindStringSubmatch(line); heading != nil {
			table = heading[1]
		}
		if row := regexp.MustCompile("^\\| `(\\w+)` \\| `([^`]+)` \\| (\\w*) ?\\|").FindStringSubmatch(line); row != nil {
			columns[table+"."+row[1]] = row[2] + " " + row[3]
		}
	}
	if len(columns) == 0 {
		t.Fatal("docs/schema.md was not understood: it has no columns")
	}
	return columns
}

// readQueries returns the queries in the documentation: what the blocks of CQL
// select.
func readQueries(t *testing.T) []string {
	t.Helper()
	pages, err := filepath.Glob("../docs/*.md")
	if err != nil {
		t.Fatal(err)
	}
	var queries []string
	for _, page := range pages {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, block := range regexp.MustCompile("(?s)\n```cql\n(.*?)\n```").FindAllStringSubmatch(string(text), -1) {
			for _, query := range strings.Split(block[1], ";") {
				if query = strings.Join(strings.Fields(query), " "); strings.HasPrefix(query, "SELECT") {
					queries = append(queries, query)
				}
			}
		}
	}
	if len(queries) < 9 {
		t.Fatalf("%d queries were found in the documentation, it had 9: %q", len(queries), queries)
	}
	return queries
}

// TestSchemaPageColumns compares docs/schema.md with the tables that the server
// has, in both directions.
func TestSchemaPageColumns(t *testing.T) {
	columns := readColumns(t)
	s := newTestStore(t)
	real := make(map[string]string)
	iter := s.db.Session.Query("SELECT table_name, column_name, type, kind FROM system_schema.columns WHERE keyspace_name = ?", s.db.Keyspace).Iter()
	var table, column, cqlType, kind string
	for iter.Scan(&table, &column, &cqlType, &kind) {
		if cqltest.IsPaxos(table) {
			continue
		}
		key := map[string]string{"partition_key": "partition", "clustering": "clustering"}[kind]
		real[table+"."+column] = cqlType + " " + key
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	for _, name := range slices.Sorted(maps.Keys(real)) {
		switch got, ok := columns[name]; {
		case !ok:
			t.Errorf("docs/schema.md does not have the column %s (%s)", name, real[name])
		case got != real[name]:
			t.Errorf("docs/schema.md says that %s is %q, it is %q", name, got, real[name])
		}
	}
	for _, name := range slices.Sorted(maps.Keys(columns)) {
		if _, ok := real[name]; !ok {
			t.Errorf("docs/schema.md has the column %s, which does not exist", name)
		}
	}
}

// The examples of the page are about this pin. The slot is a number that no
// test can choose.
const (
	examplePin  = "0x01701220c3c4733ec8affd06cf9e9ff50ffc6bcd2ec85a6170004bb709669c31de94391a"
	examplePeer = testPeer
	exampleSlot = "slot = 29843520"
)

// TestSchemaPageQueries runs every query of the documentation. Each finds
// something: one that finds nothing shows an operator nothing.
func TestSchemaPageQueries(t *testing.T) {
	queries := readQueries(t)
	s := openStore(t, freshConfig(t)) // whoever makes tables leaves a lease
	key, err := hex.DecodeString(strings.TrimPrefix(examplePin, "0x"))
	if err != nil {
		t.Fatal(err)
	}
	c, err := api.CastCid(key)
	if err != nil {
		t.Fatal(err)
	}
	id, err := peer.Decode(examplePeer)
	if err != nil {
		t.Fatal(err)
	}
	pin := statetest.Samples(t)[0].Pin
	pin.Cid = c

	if _, err := s.OpenFeed(t.Context(), id); err != nil { // leaves a cursor
		t.Fatal(err)
	}
	// Both changes are in the feeds of one minute.
	var slot int64
	for done := false; !done; done = slotOf(time.Now()) == slot {
		slot = slotOf(time.Now())
		pin.ReplicationFactorMin, pin.ReplicationFactorMax, pin.Allocations = -1, -1, nil
		must(t, s.Add(t.Context(), pin))
		pin.ReplicationFactorMin, pin.ReplicationFactorMax, pin.Allocations = 1, 1, []peer.ID{id}
		must(t, s.Add(t.Context(), pin))
	}
	putExampleRows(t, s, id, c, slot)
	for _, text := range queries {
		query := strings.ReplaceAll(text, "ipfs_cluster.", s.db.Keyspace+".")
		query = strings.ReplaceAll(query, exampleSlot, fmt.Sprintf("slot = %d", slot))
		rows, err := s.db.Session.Query(query).Iter().SliceMap()
		if err != nil {
			t.Errorf("%s\n%v", text, err)
		} else if len(rows) == 0 {
			t.Errorf("%s\nfinds nothing", text)
		}
	}

	// What the page says of a pin that was removed.
	must(t, s.Rm(t.Context(), c))
	found := 0
	for _, text := range queries {
		if !strings.Contains(text, "seconds_left") {
			continue
		}
		found++
		var rfMin, left *int
		var changed time.Time
		if err := s.db.Session.Query(strings.ReplaceAll(text, "ipfs_cluster.", s.db.Keyspace+".")).Scan(&changed, &rfMin, &left); err != nil {
			t.Fatal(err)
		}
		if rfMin != nil || left == nil || *left < 1 || changed.IsZero() {
			t.Errorf("the marker has rf_min %v, seconds_left %v, changed %v", rfMin, left, changed)
		}
	}
	if found != 1 {
		t.Errorf("the documentation has %d queries with seconds_left, want the one for a marker", found)
	}
}
