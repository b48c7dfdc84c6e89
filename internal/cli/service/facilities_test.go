package service

import (
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

var loggerOf = regexp.MustCompile(`logging\.Logger\("(\w+)"\)`)

// TestOwnFacilities: --loglevel sets the level of every logger of this project. One that
// is not named stays at error, so that its warnings are lost.
func TestOwnFacilities(t *testing.T) {
	found := make(map[string]bool)
	for _, dir := range []string{"internal/cli/service", "internal/scylla", "peer", "scyllastate", "migrate", "events"} {
		err := filepath.WalkDir(filepath.Join("../../..", dir), func(path string, _ fs.DirEntry, err error) error {
			if err != nil || filepath.Ext(path) != ".go" || strings.HasSuffix(path, "_test.go") {
				return err
			}
			text, err := os.ReadFile(path)
			for _, m := range loggerOf.FindAllStringSubmatch(string(text), -1) {
				found[m[1]] = true
			}
			return err
		})
		if err != nil {
			t.Fatal(err)
		}
	}
	want := slices.Sorted(slices.Values(ownFacilities()))
	if got := slices.Sorted(maps.Keys(found)); !slices.Equal(got, want) {
		t.Errorf("the loggers are %q, and --loglevel sets those of %q", got, want)
	}
}
