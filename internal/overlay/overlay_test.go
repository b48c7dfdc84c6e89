package overlay

import (
	"os"
	"os/exec"
	"path/filepath"
	"strings"
	"testing"
)

// writeModule makes a module of one package with a test that passes, and one
// that does not compile.
func writeModule(t *testing.T) string {
	t.Helper()
	dir := t.TempDir()
	for name, text := range map[string]string{
		"go.mod":        "module example.org/one\n\ngo 1.26\n",
		"one.go":        "package one\n\nfunc one() int { return 1 }\n\nfunc two() int { return 1 + one() }\n",
		"one_test.go":   "package one\n\nimport \"testing\"\n\nfunc TestTwo(t *testing.T) {\n\tif two() != 2 {\n\t\tt.Fatal(\"two is\", two())\n\t}\n}\n",
		"other_test.go": "package one\n\nvar broken = nothing\n",
	} {
		if err := os.WriteFile(filepath.Join(dir, name), []byte(text), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	return dir
}

// TestBuild shows that a program has the edits, that the next edit sees the one
// before, and that the package itself stays as it is.
func TestBuild(t *testing.T) {
	dir := writeModule(t)
	before, err := os.ReadFile(filepath.Join(dir, "one.go"))
	if err != nil {
		t.Fatal(err)
	}
	for _, tt := range []struct {
		name  string
		edits []Edit
		want  string
	}{
		{"as it is", nil, "PASS"},
		{"one edit", []Edit{{"one.go", "return 1 }", "return 5 }"}}, "two is 6"},
		{"two edits", []Edit{{"one.go", "return 1 }", "return 5 }"}, {"one.go", "return 5 }", "return 7 }"}}, "two is 8"},
		{"of the test", []Edit{{"one_test.go", "!= 2", "!= 3"}}, "two is 2"},
	} {
		program, err := Build(t.Context(), dir, "one_*.go", t.TempDir(), tt.edits)
		if err != nil {
			t.Fatalf("%s: %v", tt.name, err)
		}
		out, err := exec.CommandContext(t.Context(), program).CombinedOutput()
		if (err == nil) != (tt.want == "PASS") || !strings.Contains(string(out), tt.want) {
			t.Errorf("%s: %v\n%s\nwant %s", tt.name, err, out, tt.want)
		}
	}
	after, err := os.ReadFile(filepath.Join(dir, "one.go"))
	if err != nil || string(after) != string(before) {
		t.Errorf("the package was changed: %v\n%s", err, after)
	}
}

// TestBuildRefuses shows that an edit which does not fit the code is reported.
func TestBuildRefuses(t *testing.T) {
	dir := writeModule(t)
	for _, tt := range []struct {
		tests string
		edit  Edit
		want  string
	}{
		{"one_*.go", Edit{"one.go", "return 2", ""}, "0 times, not once"},
		{"one_*.go", Edit{"one.go", "return 1", ""}, "2 times, not once"},
		{"one_*.go", Edit{"none.go", "x", ""}, "none.go"},
		{"one_*.go", Edit{"one.go", "one() int", "one() string"}, "cannot use 1"},
		{"none_*.go", Edit{"one.go", "return 1 }", "return 2 }"}, "no test file"},
		{"*", Edit{"one.go", "return 1 }", "return 2 }"}, "undefined: nothing"},
	} {
		if _, err := Build(t.Context(), dir, tt.tests, t.TempDir(), []Edit{tt.edit}); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("tests %s, %+v: %v, want %q", tt.tests, tt.edit, err, tt.want)
		}
	}
}
