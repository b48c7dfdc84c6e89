package docs

import (
	"fmt"
	"os"
	"path/filepath"
	"regexp"
	"strings"
	"testing"
)

// provenPage names the test of each promise, as `directory.TestName`.
const provenPage = "docs/what-is-proven-where.md"

// TestNamedTests looks for the tests that the pages name. The page about what
// is proven names each with its directory.
func TestNamedTests(t *testing.T) {
	named := 0
	for _, p := range readPages(t) {
		for _, code := range p.inline() {
			dir, test, ok := namedTest(code.text)
			if !ok || dir == "" && p.name != provenPage {
				continue // a bare name on another page may be upstream's
			}
			named++
			if err := checkTest(dir, test); err != nil {
				t.Errorf("%s:%d: %v", p.name, code.line, err)
			}
		}
	}
	if named < 20 {
		t.Errorf("the pages name %d tests: they were not found", named)
	}
}

// namedTest splits "directory.TestName", or "directory.TestName/part". A name alone
// belongs to no directory.
func namedTest(code string) (dir, test string, ok bool) {
	m := regexp.MustCompile(`^(?:([a-z][\w/-]*)\.)?((?:Test|Fuzz)[A-Z0-9]\w*(?:/\S+)?)$`).FindStringSubmatch(code)
	if m == nil {
		return "", "", false
	}
	return m[1], m[2], true
}

// checkTest looks for the function of a test, and for the part of it that is named.
func checkTest(dir, test string) error {
	if dir == "" {
		return fmt.Errorf("%s: name its directory too, as in `scyllastate.%s`", test, test)
	}
	files, err := filepath.Glob(filepath.Join(root, filepath.FromSlash(dir), "*_test.go"))
	if err != nil {
		return fmt.Errorf("looking for %s: %w", test, err)
	}
	var all strings.Builder
	for _, file := range files {
		source, err := os.ReadFile(file)
		if err != nil {
			return fmt.Errorf("looking for %s: %w", test, err)
		}
		all.Write(source)
	}
	function, part, hasPart := strings.Cut(test, "/")
	if !strings.Contains(all.String(), "\nfunc "+function+"(") {
		return fmt.Errorf("there is no test %s in %s", function, dir)
	}
	run := fmt.Sprintf("t.Run(%q", strings.ReplaceAll(part, "_", " "))
	if hasPart && !strings.Contains(all.String(), run) {
		return fmt.Errorf("there is no %s in %s", run, dir)
	}
	return nil
}

func TestNamedTestRulesCanFail(t *testing.T) {
	for code, want := range map[string]bool{
		"internal/docs.TestLinks":         true,
		"scyllastate.FuzzDecodePin":       true,
		"internal/docs.TestLink":          false,
		"internal/dogs.TestLinks":         false,
		"internal/docs.TestLinksWork":     false,
		"TestLinks":                       false,
		"internal/scylla.TestFace/roles":  true,
		"internal/scylla.TestFaces/roles": false,
		"internal/scylla.TestFace/rules":  false,
		"scyllastate.TestLostAnswers/pin": true,
	} {
		dir, test, ok := namedTest(code)
		if !ok {
			t.Errorf("%s was not taken for a test", code)
			continue
		}
		if err := checkTest(dir, test); (err == nil) != want {
			t.Errorf("%s: should exist: %v, got %v", code, want, err)
		}
	}
	for _, code := range []string{"Testing", "scyllastate.Config", "go test"} {
		if _, _, ok := namedTest(code); ok {
			t.Errorf("%s was taken for a test", code)
		}
	}
}
