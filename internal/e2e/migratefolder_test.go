package e2e

import (
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"io/fs"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// fingerprints returns a hash of everything in a folder, by name.
func fingerprints(t *testing.T, folder string) map[string]string {
	t.Helper()
	found := make(map[string]string)
	err := filepath.WalkDir(folder, func(path string, entry fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		info, err := entry.Info()
		if err != nil {
			return err
		}
		what := info.Mode().String()
		if info.Mode().IsRegular() {
			text, err := os.ReadFile(path)
			if err != nil {
				return err
			}
			sum := sha256.Sum256(text)
			what += " " + info.ModTime().String() + " " + hex.EncodeToString(sum[:])
		}
		found[path] = what
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	return found
}

// untouched fails the test if anything in the folder is not as it was.
func untouched(t *testing.T, folder string, before map[string]string) {
	t.Helper()
	after := fingerprints(t, folder)
	for _, path := range slices.Sorted(maps.Keys(before)) {
		if after[path] != before[path] {
			t.Errorf("the source has changed: %s was %s and is %q", path, before[path], after[path])
		}
	}
	for path := range after {
		if _, ok := before[path]; !ok {
			t.Errorf("the source has a new file: %s", path)
		}
	}
}

// copyOf is the same peer with a copy of its folder.
func (p *peer) copyOf(t *testing.T) *peer {
	t.Helper()
	twin := &peer{rest: p.rest, dir: t.TempDir(), api: p.api}
	twin.folder = filepath.Join(twin.dir, filepath.Base(p.folder))
	if err := os.CopyFS(twin.folder, os.DirFS(p.folder)); err != nil {
		t.Fatal(err)
	}
	return twin
}

// edit changes service.json.
func (p *peer) edit(t *testing.T, change func(config map[string]any)) {
	t.Helper()
	editJSON(t, filepath.Join(p.folder, "service.json"), change)
}

func editJSON(t *testing.T, path string, change func(map[string]any)) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	var value map[string]any
	dec := json.NewDecoder(strings.NewReader(string(text)))
	dec.UseNumber() // a checksum must stay one
	if err := dec.Decode(&value); err != nil {
		t.Fatal(err)
	}
	change(value)
	if text, err = json.Marshal(value); err != nil {
		t.Fatal(err)
	}
	if err := os.WriteFile(path, text, 0o600); err != nil {
		t.Fatal(err)
	}
}
