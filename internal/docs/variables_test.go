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

// ourPrefix begins the variables of our section of service.json. Their names
// are made from those of the fields and stand nowhere in the code: the
// configuration page has them, which is generated.
const ourPrefix = "CLUSTER_SCYLLA_"

// variablesIn returns the environment variables in a text, by how they begin.
func variablesIn(text string) []string {
	words := strings.FieldsFunc(text, func(r rune) bool {
		return r != '_' && (r < '0' || r > '9') && (r < 'A' || r > 'Z') && (r < 'a' || r > 'z')
	})
	return slices.DeleteFunc(words, func(word string) bool {
		return word != strings.ToUpper(word) || !slices.ContainsFunc(
			[]string{"IPFS_CLUSTER_", "CLUSTER_", "CQL_", "DEMO_", "E2E_", "BENCH_"},
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
// those of the configuration page.
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
			if !strings.HasPrefix(v, ourPrefix) {
				out[v] = true
			}
		}
		return nil
	})
	if err != nil {
		t.Fatal(err)
	}
	i := slices.IndexFunc(pages, func(p page) bool { return p.name == "docs/configuration.md" })
	for _, line := range pages[i].prose {
		if m := regexp.MustCompile("^\\| `[a-z_.]+` \\| `(" + ourPrefix + "[A-Z0-9_]+)` \\|").FindStringSubmatch(line); m != nil {
			out[m[1]] = true
		}
	}
	if !out["CQL_REQUIRED"] || !out[ourPrefix+"HOSTS"] {
		t.Fatalf("the environment variables were not found, only %v", out)
	}
	return out
}
