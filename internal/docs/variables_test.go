package docs

import (
	"io/fs"
	"os"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"
)

// ourPages are the pages with the variables of our configurations, by how these begin. Their names are made from those of the fields and stand nowhere in the
// code: the pages have them, which are generated.
func ourPages() map[string]string {
	return map[string]string{
		"CLUSTER_SCYLLA_": "docs/configuration.md", "CLUSTER_EVENTS_": "docs/events-configuration.md", "CLUSTER_ADMIN_": "docs/admin-configuration.md", "PIN_GATEWAY_": "docs/gateway-configuration.md", "PIN_BILLING_": "docs/billing-configuration.md",
	}
}

func isOurs(variable string) bool {
	for prefix := range ourPages() {
		if strings.HasPrefix(variable, prefix) {
			return true
		}
	}
	return false
}

// variablesIn returns the environment variables in a text, by how they begin.
func variablesIn(text string) []string {
	words := strings.FieldsFunc(text, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	return slices.DeleteFunc(words, func(word string) bool {
		return word != strings.ToUpper(word) || !slices.ContainsFunc(
			[]string{"IPFS_CLUSTER_", "CLUSTER_", "PIN_GATEWAY_", "PIN_BILLING_", "CQL_", "DEMO_", "E2E_", "BENCH_"},
			func(prefix string) bool { return strings.HasPrefix(word, prefix) })
	})
}

// variables returns the environment variables that the page names. One that
// ends in an underscore stands for all that begin so.
func (p page) variables() []place {
	lines := slices.Clone(p.prose)
	for _, b := range p.blocks {
		copy(lines[b.line-1:], b.lines)
	}
	var out []place
	for i, line := range lines {
		for _, name := range variablesIn(line) {
			out = append(out, place{i + 1, name})
		}
	}
	return out
}

func (k known) hasVariable(name string) bool {
	if !strings.HasSuffix(name, "_") {
		return k.variables[name]
	}
	for v := range k.variables {
		if strings.HasPrefix(v, name) {
			return true
		}
	}
	return false
}

// readVariables returns the names in everything that is not documentation, and
// those of the configuration pages.
func readVariables(t *testing.T, pages []page) map[string]bool {
	t.Helper()
	out := make(map[string]bool)
	err := filepath.WalkDir(root, func(name string, d fs.DirEntry, err error) error {
		if err != nil {
			return err
		}
		if d.IsDir() {
			switch d.Name() {
			case ".git", ".build", "bin", "docs": // docs: also this package, which names what does not exist
				return fs.SkipDir
			}
			return nil
		}
		if !d.Type().IsRegular() || filepath.Ext(name) == ".md" {
			return nil
		}
		text, err := os.ReadFile(name)
		if err != nil {
			return err
		}
		for _, v := range variablesIn(string(text)) {
			if !isOurs(v) {
				out[v] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	for prefix, name := range ourPages() {
		row := regexp.MustCompile("^\\| `[a-z_.]+` \\| `(" + prefix + "[A-Z0-9_]+)` \\|")
		i := slices.IndexFunc(pages, func(p page) bool { return p.name == name })
		for _, line := range pages[i].prose {
			if m := row.FindStringSubmatch(line); m != nil {
				out[m[1]] = true
			}
		}
	}
	out["PIN_BILLING_CONFIG"], out["PIN_BILLING_LOGLEVEL"] = true, true
	out["PIN_GATEWAY_CONFIG"], out["PIN_GATEWAY_LOGLEVEL"] = true, true // of flags, and of no field
	if !out["CQL_REQUIRED"] || !out["CLUSTER_SCYLLA_HOSTS"] || !out["CLUSTER_EVENTS_URLS"] || !out["CLUSTER_ADMIN_LISTEN"] || !out["PIN_GATEWAY_LISTEN"] {
		t.Fatalf("the environment variables were not found, only %v", out)
	}
	return out
}
