package scylla

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestDialect compares what each engine is told with the files in testdata. The
// ScyllaDB files were not executed where this was written: see the README.
// Run with UPDATE_GOLDEN=1 to write them.
func TestDialect(t *testing.T) {
	for name, d := range map[string]Dialect{
		"cassandra-5.0":   {Cassandra, "5.0.9"},
		"scylla-2024.2":   {ScyllaDB, "2024.2.5"},
		"scylla-2025.1":   {ScyllaDB, "2025.1.4"},
		"scylla-2025.4":   {ScyllaDB, "2025.4.1-0.20251201.abcdef"},
		"scylla-nonsense": {ScyllaDB, "x"},
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join([]string{
				d.CreateKeyspace("k", map[string]int{"dc2": 2, "dc1": 3}),
				d.Options(leasesTable) + d.TableID("k", "leases"),
				d.Options("${feed}"),
				"SELECT …" + d.Scan(),
			}, "\n\n") + "\n"
			file := filepath.Join("testdata", name+".cql")
			if os.Getenv("UPDATE_GOLDEN") != "" {
				if err := os.WriteFile(file, []byte(got), 0o600); err != nil {
					t.Fatal(err)
				}
			}
			want, err := os.ReadFile(file)
			if err != nil {
				t.Fatal(err)
			}
			if got != string(want) {
				t.Errorf("got\n%s\nwant\n%s", got, want)
			}
		})
	}
}
