package main

import (
	"crypto/sha256"
	"encoding/hex"
	"errors"
	"fmt"
	"io/fs"
	"os"
	"path/filepath"
	"slices"
	"strings"
)

// recordOf is the file that says what was found of a module, a line for each check:
// name | hash | what was found. It is the same for the same files, as TLC goes
// through the states in one order.
func recordOf(dir, module string) string { return filepath.Join(dir, module+".checked") }

// hash is that of all that the outcome of a check depends on: the models, but for
// those that have a table of their own, the configuration, and what is expected.
func (c check) hash(dir string) (string, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.tla"))
	if err != nil {
		return "", fmt.Errorf("list the models: %w", err)
	}
	slices.Sort(files)
	all := sha256.New()
	for _, file := range files {
		name := strings.TrimSuffix(filepath.Base(file), ".tla")
		if _, err := os.Stat(filepath.Join(dir, name+".checks")); err == nil && name != c.module {
			continue
		}
		text, err := os.ReadFile(file)
		if err != nil {
			return "", fmt.Errorf("read what was checked: %w", err)
		}
		_, _ = fmt.Fprintf(all, "%s %d\n%s\n", name, len(text), text)
	}
	config, err := c.configuration(dir)
	if err != nil {
		return "", err
	}
	_, _ = fmt.Fprintf(all, "%s\n%s", config, c.expected)
	return hex.EncodeToString(all.Sum(nil))[:16], nil
}

// readRecord returns the lines of a record by the name and hash that they begin with.
func readRecord(dir, module string) (map[string]string, error) {
	text, err := os.ReadFile(recordOf(dir, module))
	if errors.Is(err, fs.ErrNotExist) {
		return nil, nil
	}
	if err != nil {
		return nil, fmt.Errorf("read what was found: %w", err)
	}
	lines := make(map[string]string)
	for line := range strings.SplitSeq(string(text), "\n") {
		if columns := strings.SplitN(line, "|", 3); len(columns) == 3 {
			lines[strings.TrimSpace(columns[0])+" "+strings.TrimSpace(columns[1])] = line
		}
	}
	return lines, nil
}

// writeRecord writes what was found of a module. What it says of checks that were not
// made now stays, if they are still those that were.
func writeRecord(dir string, m module, results []result) error {
	lines, err := readRecord(dir, m.name)
	if err != nil {
		return err
	}
	var text strings.Builder
	text.WriteString("# What make model has found: name | hash of what was checked | what TLC said. It writes this itself.\n")
	for _, c := range m.checks {
		hash, err := c.hash(dir)
		if err != nil {
			return err
		}
		i := slices.IndexFunc(results, func(r result) bool { return r.check.title() == c.title() })
		switch line, ok := lines[c.name+" "+hash]; {
		case i >= 0 && results[i].err == nil:
			fmt.Fprintf(&text, "%-45s| %s | %s, %d states, depth %d\n", c.name, hash, results[i].found, results[i].distinct, results[i].depth)
		case i < 0 && ok:
			text.WriteString(line + "\n")
		}
	}
	if err := os.WriteFile(recordOf(dir, m.name), []byte(text.String()), 0o644); err != nil {
		return fmt.Errorf("write what was found: %w", err)
	}
	return nil
}

// checkRecord is an error if a check of a module is not as it was when it ended as
// it should.
func checkRecord(dir string, m module) error {
	lines, err := readRecord(dir, m.name)
	if err != nil {
		return err
	}
	var changed []string
	for _, c := range m.checks {
		hash, err := c.hash(dir)
		if err != nil {
			return err
		}
		if _, ok := lines[c.name+" "+hash]; !ok {
			changed = append(changed, c.name)
		}
	}
	if len(changed) > 0 {
		return fmt.Errorf("%s: not checked since it was changed: %s; run make model, and commit %s",
			m.name, strings.Join(changed, ", "), recordOf(dir, m.name))
	}
	return nil
}
