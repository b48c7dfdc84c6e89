package main

import (
	"errors"
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
)

// kind is a way in which a check ends.
type kind string

// The ways. TLC names the invariant that is violated, and no property.
const (
	holds     kind = "holds"
	invariant kind = "invariant"
	property  kind = "property"
	deadlock  kind = "deadlock"
)

// verdict is what TLC says of a model: it holds, or what is violated.
type verdict struct {
	kind kind
	name string // of the invariant or property
}

func (v verdict) String() string {
	switch v.kind {
	case "":
		return "no answer"
	case invariant, property:
		return "violates " + v.name
	default:
		return string(v.kind)
	}
}

// check is one line of a table: a module with bounds, and what TLC must say of it.
type check struct {
	module, name string
	config       string
	// set are constants that differ from those of the configuration.
	set      []constant
	expected verdict
}

type constant struct{ name, value string }

// title names a check among those of all modules.
func (c check) title() string { return c.module + ": " + c.name }

// module is one that has a table.
type module struct {
	name   string
	checks []check
}

// readModules reads the tables of a directory.
func readModules(dir string) ([]module, error) {
	files, err := filepath.Glob(filepath.Join(dir, "*.checks"))
	if err != nil || len(files) == 0 {
		return nil, errors.Join(fmt.Errorf("no table of checks (*.checks) in %s", dir), err)
	}
	var modules []module
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			return nil, fmt.Errorf("reading a table of checks: %w", err)
		}
		m := module{name: strings.TrimSuffix(filepath.Base(file), ".checks")}
		for i, line := range strings.Split(string(text), "\n") {
			if line = strings.TrimSpace(line); line == "" || strings.HasPrefix(line, "#") {
				continue
			}
			c, err := parseCheck(line)
			if err != nil {
				return nil, fmt.Errorf("%s:%d: %w", file, i+1, err)
			}
			if slices.ContainsFunc(m.checks, func(other check) bool { return other.name == c.name }) {
				return nil, fmt.Errorf("%s:%d: a second check %q", file, i+1, c.name)
			}
			c.module = m.name
			m.checks = append(m.checks, c)
		}
		modules = append(modules, m)
	}
	return modules, nil
}

// parseCheck reads a line: name | configuration | constants that differ | expected.
func parseCheck(line string) (check, error) {
	columns := strings.Split(line, "|")
	if len(columns) != 4 {
		return check{}, fmt.Errorf("%d columns: want name | configuration | constants that differ | expected", len(columns))
	}
	for i, c := range columns {
		columns[i] = strings.TrimSpace(c)
	}
	c := check{name: columns[0], config: columns[1]}
	if c.name == "" || filepath.Ext(c.config) != ".cfg" {
		return check{}, fmt.Errorf("name %q and configuration %q: want a name, and a file.cfg", c.name, c.config)
	}
	for pair := range strings.SplitSeq(columns[2], ";") {
		if strings.TrimSpace(pair) == "" {
			continue
		}
		name, value, ok := strings.Cut(pair, "=")
		if !ok {
			return check{}, fmt.Errorf("constant %q: want Name = value", pair)
		}
		c.set = append(c.set, constant{strings.TrimSpace(name), strings.TrimSpace(value)})
	}
	how, name, _ := strings.Cut(columns[3], " ")
	c.expected = verdict{kind(how), strings.TrimSpace(name)}
	switch named := c.expected.name != ""; c.expected.kind {
	case holds, deadlock:
		if !named {
			return c, nil
		}
	case invariant, property:
		if named {
			return c, nil
		}
	}
	return check{}, fmt.Errorf("%q: want holds, invariant NAME, property NAME or deadlock", columns[3])
}

// configuration is what TLC gets.
func (c check) configuration(dir string) (string, error) {
	text, err := os.ReadFile(filepath.Join(dir, c.config))
	if err != nil {
		return "", fmt.Errorf("read the configuration: %w", err)
	}
	return c.effective(string(text))
}

// effective is the text of a configuration for a check: with the constants that
// differ. What is expected must be among what it has TLC check.
func (c check) effective(config string) (string, error) {
	for _, set := range c.set {
		assigned := regexp.MustCompile(`(?m)^(\s*` + regexp.QuoteMeta(set.name) + `\s*=).*$`)
		if len(assigned.FindAllString(config, -1)) != 1 {
			return "", fmt.Errorf("%s does not give %s a value on a line of its own", c.config, set.name)
		}
		config = assigned.ReplaceAllString(config, "${1} "+strings.ReplaceAll(set.value, "$", "$$"))
	}
	section := sections(config)
	switch c.expected.kind {
	case invariant:
		if !slices.Contains(section["INVARIANT"], c.expected.name) {
			return "", fmt.Errorf("%s does not check the invariant %s", c.config, c.expected.name)
		}
	case property:
		if !slices.Equal(section["PROPERTY"], []string{c.expected.name}) {
			return "", fmt.Errorf("%s must check the property %s and no other, as TLC does not say which one is violated; it checks %v",
				c.config, c.expected.name, section["PROPERTY"])
		}
	}
	return config, nil
}

// sections are the words of a configuration by the keyword before them, which is in
// the singular here.
func sections(config string) map[string][]string {
	plural := map[string]string{"INVARIANTS": "INVARIANT", "PROPERTIES": "PROPERTY", "CONSTANTS": "CONSTANT"}
	keywords := []string{"INVARIANT", "PROPERTY", "CONSTANT", "SPECIFICATION", "SYMMETRY", "CHECK_DEADLOCK", "INIT", "NEXT", "VIEW", "CONSTRAINT"}
	out := make(map[string][]string)
	keyword := ""
	for line := range strings.SplitSeq(config, "\n") {
		line, _, _ = strings.Cut(line, `\*`)
		for _, word := range strings.Fields(line) {
			if one, ok := plural[word]; ok {
				word = one
			}
			if slices.Contains(keywords, word) {
				keyword = word
				continue
			}
			out[keyword] = append(out[keyword], word)
		}
	}
	return out
}
