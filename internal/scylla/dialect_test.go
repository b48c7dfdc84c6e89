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
		"cassandra-5.0": dialectOf(map[string]any{"release_version": "5.0.9"}),
		"scylla-2025.1": dialectOf(map[string]any{"supported_features": "CDC,TABLETS,LWT"}),
		"scylla-2025.4": dialectOf(map[string]any{"supported_features": "CDC,LWT_WITH_TABLETS,TABLETS"}),
	} {
		t.Run(name, func(t *testing.T) {
			got := strings.Join([]string{
				d.CreateKeyspace("k", map[string]int{"dc2": 2, "dc1": 3}),
				d.Options(leasesTable) + d.TableID("k", "leases"),
				d.Options("${feed}"),
				d.Options("ALTER TABLE t WITH ${expiring}"),
				"SELECT …" + d.Scan(scanAttempt),
				d.selectCommitLogSync() + ";",
				d.settingsGrant("peer"),
				"-- " + d.syncAdvice(),
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

// TestServersThatAreTooOld shows that a server without tablets is refused, and
// what a role that may not read the version gets to see instead.
func TestServersThatAreTooOld(t *testing.T) {
	for features, want := range map[string]string{
		"CDC,LWT":                      "this is ScyllaDB older than 2025.4: use 2025.4 or newer (2025.1 works on keyspaces without tablets)",
		"CDC,TABLETS":                  "",
		"CDC,TABLETS,LWT_WITH_TABLETS": "",
	} {
		err := dialectOf(map[string]any{"supported_features": features}).supported()
		if text(err) != want || err != nil && !Permanent(err) {
			t.Errorf("%s: %v", features, err)
		}
	}
	if err := dialectOf(map[string]any{"release_version": "5.0.9"}).supported(); err != nil {
		t.Error(err)
	}
}
