package e2e

import (
	"fmt"
	"math/rand/v2"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
)

// Files that pins are read from, and where they are in the folder of a peer.
var sourceFiles = map[string]*regexp.Regexp{
	"pebble":  regexp.MustCompile(`pebble/.*\.(sst|log)$|pebble/MANIFEST-\d+$`),
	"badger":  regexp.MustCompile(`badger/.*\.(sst|vlog)$|badger/MANIFEST$`),
	"badger3": regexp.MustCompile(`badger3/.*\.(sst|vlog|mem)$|badger3/MANIFEST$`),
	"leveldb": regexp.MustCompile(`leveldb/.*\.(ldb|log)$|leveldb/MANIFEST-\d+$`),
	"raft":    regexp.MustCompile(`snapshots/.*/state.bin$|raft\.db$`),
}

// One byte of a source is another one, or the end of one of its files is gone:
// then it is refused, or a record is said to be bad, or what is damaged is not
// needed. No pin is ever left out or changed in silence.
func TestMigrateDamage(t *testing.T) {
	t.Parallel()
	if !longTests() {
		t.Skip("RUNS WITH TEST_LONG=1 ONLY (make test-migrate): it damages files at random; migrate/source has what is always the same")
	}
	const tries = 60
	pins := typed(variedPins(t, 120))
	m := newTarget(t, nil, nil)
	m.mustMigrate(t, "run", "--from", "export:"+writeExport(t, pins))
	atOnce(t, append(slices.Clone(datastores), "raft"), func(t *testing.T, kind string) {
		flags := []string{"--consensus", "crdt", "--datastore", kind}
		from := "crdt:"
		if kind == "raft" {
			flags, from = []string{"--consensus", "raft"}, "raft:"
		}
		p, _ := stockFolder(t, pins, flags...)
		m.mustMigrate(t, "verify", "--from", from+p.folder)
		var cmds []*exec.Cmd
		var what []string
		for range tries {
			twin := p.copyOf(t)
			what = append(what, damageOne(t, twin.folder, sourceFiles[kind]))
			cmds = append(cmds, m.service(t, nil, "migrate", "verify", "--from", from+twin.folder, "--json"))
		}
		refused, unharmed := 0, 0
		for i, got := range together(t, cmds) {
			if got.code == 1 {
				refused++
				why := "damaged"
				if version := "written by a later version of it"; strings.Contains(got.stderr, version) {
					why = version // the damage is in the number of the version
				}
				t.Run(what[i], func(t *testing.T) { checkRefused(t, got, why) })
				continue
			}
			if got.code != 0 && got.code != 4 {
				t.Errorf("%s: exit code %d, want 0, 1 or 4:\n%s", what[i], got.code, tail(got.stderr))
				continue
			}
			found := object[migrate.Comparison](t, got, "comparison")
			switch {
			case found.Equal() && got.code == 0:
				unharmed++
			case got.code != 4 || found.Bad == 0 && len(found.Warnings) == 0:
				t.Errorf("%s: exit code %d, %d pins are left out or others, %d bad records and warnings %q", what[i], got.code,
					found.Extra+found.Different+found.Missing, found.Bad, found.Warnings)
			}
		}
		t.Logf("%d damages: %d refused, %d without effect", tries, refused, unharmed)
	})
}

// damageOne changes a byte of one of the files, or cuts one off, and says which.
func damageOne(t *testing.T, folder string, files *regexp.Regexp) string {
	t.Helper()
	var paths []string
	for path := range fingerprints(t, folder) {
		if info, err := os.Stat(path); err == nil && files.MatchString(path) && info.Size() > 0 {
			paths = append(paths, path)
		}
	}
	if len(paths) == 0 {
		t.Fatalf("no file of %s is like %s", folder, files)
	}
	slices.Sort(paths)
	path := paths[rand.IntN(len(paths))]
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	// Some engines make a file longer than what is in it.
	used := max(1, len(strings.TrimRight(string(text), "\x00")))
	at := rand.IntN(used)
	if rand.IntN(3) == 0 {
		if err := os.Truncate(path, int64(at)); err != nil {
			t.Fatal(err)
		}
		return fmt.Sprintf("%s has %d of %d bytes (%d in use)", filepath.Base(path), at, len(text), used)
	}
	text[at] ^= byte(1 + rand.IntN(255))
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
	return fmt.Sprintf("byte %d of %s is another one, of %d bytes (%d in use)", at, filepath.Base(path), len(text), used)
}
