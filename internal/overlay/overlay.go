// Package overlay builds the tests of a package from changed sources. With it a
// test shows that another one finds a bug that is planted in the real code.
package overlay

import (
	"context"
	"encoding/json"
	"fmt"
	"maps"
	"os"
	"os/exec"
	"path/filepath"
	"strings"
)

// Edit replaces one piece of text of one file. Old must occur in it exactly
// once. A file may be edited several times, one edit after another.
type Edit struct{ File, Old, New string }

// Build compiles tests of the package in dir, whose files the edits name, into
// a program and returns its path: those in the files that match the pattern
// tests, as sim_*_test.go. It writes to the folder work and leaves dir as it is.
// Programs of the same package may be built at the same time, each in a folder
// of its own.
func Build(ctx context.Context, dir, tests, work string, edits []Edit) (program string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	replace, err := others(dir, tests)
	if err != nil {
		return "", err
	}
	files, err := edited(dir, edits)
	if err != nil {
		return "", err
	}
	program = filepath.Join(work, "changed.test")
	err = compile(ctx, dir, work, replace, files, "test", "-c", "-vet=off", "-o", program, ".")
	if err != nil {
		return "", fmt.Errorf("building the changed tests of %s: %w", dir, err)
	}
	return program, nil
}

// Check returns an error if an edit does not fit the files in dir.
func Check(dir string, edits []Edit) error {
	_, err := edited(dir, edits)
	return err
}

// Program compiles the package pkg of the module in dir into a program and
// returns its path. The edits name files by their paths below dir; more files
// that are to be there are in added, by the same kind of path. It writes to the
// folder work and leaves dir as it is.
func Program(ctx context.Context, dir, pkg, work string, edits []Edit, added map[string]string) (program string, err error) {
	dir, err = filepath.Abs(dir)
	if err != nil {
		return "", err
	}
	files, err := edited(dir, edits)
	if err != nil {
		return "", err
	}
	maps.Copy(files, added)
	program = filepath.Join(work, "changed")
	err = compile(ctx, dir, work, make(map[string]string), files, "build", "-o", program, pkg)
	if err != nil {
		return "", fmt.Errorf("building the changed %s: %w", pkg, err)
	}
	return program, nil
}

// compile runs a go command in dir as if the files had the given texts, and
// those in replace were elsewhere.
func compile(ctx context.Context, dir, work string, replace, files map[string]string, command string, args ...string) error {
	for name, text := range files {
		changed := filepath.Join(work, "changed_"+strings.ReplaceAll(name, "/", "_"))
		if err := os.WriteFile(changed, []byte(text), 0o600); err != nil {
			return err
		}
		replace[filepath.Join(dir, name)] = changed
	}
	list, err := json.Marshal(map[string]any{"Replace": replace})
	if err != nil {
		return err
	}
	overlay := filepath.Join(work, "overlay.json")
	if err := os.WriteFile(overlay, list, 0o600); err != nil {
		return err
	}
	// Linking takes half the time without symbols.
	cmd := exec.CommandContext(ctx, "go", append([]string{command, "-overlay", overlay, "-ldflags=-s"}, args...)...) //nolint:gosec // a fixed command
	cmd.Dir = dir
	if out, err := cmd.CombinedOutput(); err != nil {
		return fmt.Errorf("%w\n%s", err, out)
	}
	return nil
}

// others leaves out the test files that do not match the pattern.
func others(dir, pattern string) (map[string]string, error) {
	names, err := filepath.Glob(filepath.Join(dir, "*_test.go"))
	if err != nil {
		return nil, err
	}
	out := make(map[string]string)
	kept := 0
	for _, name := range names {
		match, err := filepath.Match(pattern, filepath.Base(name))
		if err != nil {
			return nil, err
		}
		if match {
			kept++
		} else {
			out[name] = "" // there is no such file
		}
	}
	if kept == 0 {
		return nil, fmt.Errorf("no test file in %s matches %s", dir, pattern)
	}
	return out, nil
}

// edited returns the new text of each file that is edited.
func edited(dir string, edits []Edit) (map[string]string, error) {
	files := make(map[string]string)
	for _, e := range edits {
		text, ok := files[e.File]
		if !ok {
			source, err := os.ReadFile(filepath.Join(dir, e.File)) //nolint:gosec // a file of this repository
			if err != nil {
				return nil, err
			}
			text = string(source)
		}
		if n := strings.Count(text, e.Old); n != 1 {
			return nil, fmt.Errorf("%s has this text %d times, not once; the code has changed, and the edit must follow it:\n%s", e.File, n, e.Old)
		}
		files[e.File] = strings.Replace(text, e.Old, e.New, 1)
	}
	return files, nil
}
