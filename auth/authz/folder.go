package authz

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// ManifestName is the name of a folder's manifest.
const ManifestName = "policies.sum"

// Folder is an operator's own policies: a folder with files that end in .cedar and
// .tests.json, or one .cedar file with tests of the same name beside it. Other files are
// left alone; folders within are not read.
//
// What counts is what a manifest lists, policies.sum in the folder, or the file's name
// with .sum in place of .cedar. It has lines as sha256sum writes them. Each file must
// have its sum and each must be listed, so that neither a file that is half written nor
// one of two that belong together is ever taken. Seal writes it, and so does
// sha256sum *.cedar *.tests.json > policies.sum
type Folder string

// Read returns the files, if they are as the manifest says.
func (p Folder) Read() ([]File, error) {
	manifest, err := readBounded(p.manifest(), MaxFiles*512)
	if err != nil {
		return nil, fmt.Errorf("the manifest of the policies: %w", err)
	}
	sums, err := parseManifest(manifest)
	if err != nil {
		return nil, fmt.Errorf("%s: %w", p.manifest(), err)
	}
	files, err := p.Files()
	if err != nil {
		return nil, err
	}
	for _, f := range files {
		want, listed := sums[f.Name]
		if !listed {
			return nil, fmt.Errorf("%s is not in the manifest", f.Name)
		}
		if sha256.Sum256(f.Text) != want {
			return nil, fmt.Errorf("%s is not as the manifest says", f.Name)
		}
		delete(sums, f.Name)
	}
	for name := range sums {
		return nil, fmt.Errorf("%s is in the manifest and not there", name)
	}
	return files, nil
}

// Seal checks the files as NewSet does and writes the manifest of what it has read, at
// once and durably.
func (p Folder) Seal(withoutRoles bool) error {
	files, err := p.Files()
	if err != nil {
		return err
	}
	if _, err := NewSet(files, withoutRoles); err != nil {
		return err
	}
	var text bytes.Buffer
	for _, f := range files {
		fmt.Fprintf(&text, "%x  %s\n", sha256.Sum256(f.Text), f.Name)
	}
	return replaceFile(p.manifest(), text.Bytes())
}

func (p Folder) single() bool { return strings.HasSuffix(string(p), policyExt) }

func (p Folder) manifest() string {
	if p.single() {
		return strings.TrimSuffix(string(p), policyExt) + ".sum"
	}
	return filepath.Join(string(p), ManifestName)
}

// Files returns what is there, whatever the manifest says, sorted by name: for looking at
// policies that are still worked on. No gateway takes them.
func (p Folder) Files() ([]File, error) {
	dir := string(p)
	wanted := func(name string) bool {
		return strings.HasSuffix(name, policyExt) || strings.HasSuffix(name, casesExt)
	}
	if p.single() {
		dir = filepath.Dir(string(p))
		base := filepath.Base(string(p))
		wanted = func(name string) bool { return name == base || name == strings.TrimSuffix(base, policyExt)+casesExt }
	}
	entries, err := os.ReadDir(dir)
	if err != nil {
		return nil, fmt.Errorf("reading policies: %w", err)
	}
	entries = slices.DeleteFunc(entries, func(e os.DirEntry) bool { return !wanted(e.Name()) || strings.HasPrefix(e.Name(), ".") })
	if len(entries) > MaxFiles {
		return nil, fmt.Errorf("%s: %d files of policies, more than %d", dir, len(entries), MaxFiles)
	}
	if len(entries) == 0 {
		return nil, fmt.Errorf("%s: there are no policies", p)
	}
	files := make([]File, 0, len(entries))
	for _, entry := range entries {
		text, err := readBounded(filepath.Join(dir, entry.Name()), MaxFile)
		if err != nil {
			return nil, fmt.Errorf("reading policies: %w", err)
		}
		files = append(files, File{entry.Name(), text})
	}
	return files, nil
}

// parseManifest reads lines of a sum, two spaces and a name. The last one must be
// complete, too.
func parseManifest(text []byte) (map[string][sha256.Size]byte, error) {
	if len(text) == 0 || text[len(text)-1] != '\n' {
		return nil, errors.New("the last line is not complete")
	}
	sums := make(map[string][sha256.Size]byte)
	for i, line := range strings.Split(strings.TrimSuffix(string(text), "\n"), "\n") {
		sum, name, ok := strings.Cut(line, "  ")
		raw, err := hex.DecodeString(sum)
		if !ok || err != nil || len(raw) != sha256.Size || name == "" || strings.ContainsAny(name, "/\\\x00") {
			return nil, fmt.Errorf("line %d is not a SHA-256 sum, two spaces and the name of a file", i+1)
		}
		if _, twice := sums[name]; twice {
			return nil, fmt.Errorf("line %d: %s is there twice", i+1, name)
		}
		sums[name] = [sha256.Size]byte(raw)
	}
	return sums, nil
}

func readBounded(name string, limit int) ([]byte, error) {
	// A pipe would keep whoever opens it.
	if info, err := os.Stat(name); err != nil {
		return nil, err
	} else if !info.Mode().IsRegular() {
		return nil, fmt.Errorf("%s is not a file", name)
	}
	f, err := os.Open(name)
	if err != nil {
		return nil, err
	}
	defer f.Close()
	text, err := io.ReadAll(io.LimitReader(f, int64(limit)+1))
	if err != nil {
		return nil, err
	}
	if len(text) > limit {
		return nil, fmt.Errorf("%s has more than %d bytes", name, limit)
	}
	return text, nil
}

// replaceFile puts a file in the place of another so that a reader, also after a power
// cut, finds the one or the other.
func replaceFile(name string, text []byte) error {
	tmp, err := os.CreateTemp(filepath.Dir(name), ".policies-*")
	if err != nil {
		return err
	}
	defer os.Remove(tmp.Name()) //nolint:errcheck // it is gone if it was renamed
	_, err = tmp.Write(text)
	err = errors.Join(err, tmp.Chmod(0o644), tmp.Sync(), tmp.Close())
	if err != nil {
		return err
	}
	if err := os.Rename(tmp.Name(), name); err != nil {
		return err
	}
	dir, err := os.Open(filepath.Dir(name))
	if err != nil {
		return err
	}
	return errors.Join(dir.Sync(), dir.Close())
}
