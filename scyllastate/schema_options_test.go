package scyllastate

import (
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate/schema"
)

// withoutRepair are the tables in which a row that comes back does no harm, so that
// their tombstones need not wait for a repair. In any other table one could be an
// acknowledged unpin that is undone.
var withoutRepair = []string{"beats", "changes", "expiries"}

// TestTombstones shows which tables drop their tombstones without a repair, with
// all schema files applied.
func TestTombstones(t *testing.T) {
	statement := regexp.MustCompile(`(?s)^(?:CREATE TABLE IF NOT EXISTS|ALTER TABLE) (\w+).* WITH (.*)$`)
	migrations, err := scylla.ReadMigrations(schema.Files)
	must(t, err)
	for _, d := range []scylla.Dialect{{Engine: scylla.Cassandra}, {Engine: scylla.ScyllaDB, Tablets: true, LWTOnTablets: true}} {
		options := make(map[string]string)
		for _, m := range migrations {
			for _, text := range m.Statements {
				if m := statement.FindStringSubmatch(d.Options(text)); m != nil {
					options[m[1]] += " AND " + m[2]
				}
			}
		}
		if len(options) < 10 {
			t.Errorf("the options of %d tables were found", len(options))
		}
		for table, got := range options {
			want := slices.Contains(withoutRepair, table)
			immediate := strings.Contains(got, "tombstone_gc = {'mode': 'immediate'}")
			if grace := strings.Contains(got, "gc_grace_seconds = 86400"); grace != want || immediate != (want && d.Engine == scylla.ScyllaDB) {
				t.Errorf("%s, %s: tombstones may go without a repair should be %t: %s", d.Engine, table, want, got)
			}
			if windows := strings.Contains(got, "TimeWindowCompactionStrategy"); windows != (table == "changes") || strings.Contains(got, "${") {
				t.Errorf("%s, %s: files that are dropped whole should be %t: %s", d.Engine, table, table == "changes", got)
			}
		}
	}
}
