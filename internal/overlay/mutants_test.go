package overlay

import (
	"os"
	"path/filepath"
	"strings"
	"testing"
)

// TestFind: a bug is found by the test that is named, if that fails, and by no other end.
func TestFind(t *testing.T) {
	dir := writeModule(t)
	if err := os.Remove(filepath.Join(dir, "other_test.go")); err != nil {
		t.Fatal(err)
	}
	two := Edit{"one.go", "return 1 }", "return 5 }"}
	for _, tt := range []struct {
		name   string
		mutant Mutant
		flags  []string
		want   string
	}{
		{"found", Mutant{Test: "TestTwo", Edits: []Edit{two}}, nil, ""},
		{"no bug", Mutant{}, nil, ""},
		{"tests that fail without a bug", Mutant{Edits: []Edit{two}}, nil, "where there is no bug"},
		{"not found", Mutant{Test: "TestTwo"}, nil, "TestTwo does not find it"},
		{"no such test", Mutant{Test: "TestTw", Edits: []Edit{two}}, nil, "TestTw does not find it"},
		{"left out", Mutant{Test: "TestTwo", Edits: []Edit{two}}, []string{"-test.skip", "^TestTwo$"}, "TestTwo does not find it"},
		{"not run", Mutant{Test: "TestTwo", Edits: []Edit{two}}, []string{"-no.such.flag"}, "not defined"},
		{"not built", Mutant{Test: "TestTwo", Edits: []Edit{{"one.go", "return 1 }", "return nil }"}}}, nil, "cannot use nil"},
	} {
		err := tt.mutant.find(t.Context(), dir, t.TempDir(), tt.flags)
		if (err == nil) != (tt.want == "") || err != nil && !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%s: %v, want %q", tt.name, err, tt.want)
		}
	}
}

// TestFindSkipsItself: what runs all tests does not run itself.
func TestFindSkipsItself(t *testing.T) {
	dir := writeModule(t)
	if err := os.Remove(filepath.Join(dir, "other_test.go")); err != nil {
		t.Fatal(err)
	}
	// Its package has a test with the name of this one, which would fail.
	text := "package one\n\nimport \"testing\"\n\nfunc TestFindSkipsItself(t *testing.T) { t.Fatal(\"it runs itself\") }\n"
	if err := os.WriteFile(filepath.Join(dir, "self_test.go"), []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	t.Chdir(dir)
	Find(t, 1, []Mutant{
		{Name: "one is five", Test: "TestTwo", Edits: []Edit{{"one.go", "return 1 }", "return 5 }"}}},
		{Name: "not in each run", Test: "TestTwo", Edits: []Edit{{"one.go", "return 1 +", "return 2 +"}}},
	})
}
