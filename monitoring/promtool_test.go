package monitoring

import (
	"fmt"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"slices"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/promtest"
)

// promtool runs promtool in a directory and returns what it says.
func promtool(t *testing.T, dir string, args ...string) (string, error) {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), promtest.Find(t).Promtool, args...)
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// testFiles returns the files of tests, as promtool is told them in the directory rules.
func testFiles(t *testing.T) []string {
	t.Helper()
	files := names(t, "rules/tests")
	for i, name := range files {
		files[i] = filepath.Join("tests", name+".yml")
	}
	return files
}

// Prometheus takes the rules, and they do what their tests say.
func TestPromtool(t *testing.T) {
	for _, name := range names(t, "rules") {
		if out, err := promtool(t, "rules", "check", "rules", "--lint=all", "--lint-fatal", name+".yml"); err != nil {
			t.Errorf("promtool check rules %s.yml: %v\n%s", name, err, out)
		}
	}
	if out, err := promtool(t, "rules", append([]string{"test", "rules"}, testFiles(t)...)...); err != nil {
		t.Errorf("promtool test rules: %v\n%s", err, out)
	}
}

// Each alert has a case that fires with all that its text names, one that does not fire, and
// one without data.
func TestEachAlertIsTested(t *testing.T) {
	var cases []testCase
	for _, name := range names(t, "rules/tests") {
		var file testFile
		readYAML(t, filepath.Join("rules/tests", name+".yml"), &file)
		cases = append(cases, file.Tests...)
	}
	used := map[string]bool{noData: true}
	for _, a := range alerts(t) {
		for _, problem := range untested(a, cases, used) {
			t.Errorf("%s: %s (%s): %s", a.file, a.Alert, a.Labels["severity"], problem)
		}
	}
	for _, c := range cases {
		if !used[c.Name] {
			t.Errorf("the case %q is of no alert", c.Name)
		}
	}
}

// noData is the name of the cases without data, one in each file.
const noData = "without data"

// inTemplate are the labels that a text names.
var inTemplate = regexp.MustCompile(`\$labels\.(\w+)`)

// untested returns what is not tested of an alert, and adds the cases that it found to used.
func untested(a rule, cases []testCase, used map[string]bool) []string {
	find := func(names ...string) *testCase {
		for i := range cases {
			if slices.Contains(names, cases[i].Name) {
				used[cases[i].Name] = true
				return &cases[i]
			}
		}
		return &testCase{}
	}
	var problems []string
	fires := find(a.Alert+" fires", a.Alert+" "+a.Labels["severity"]+" fires")
	labels := fires.firing(a)
	if labels == "" {
		problems = append(problems, "no case fires")
	}
	for _, text := range a.Annotations {
		for _, found := range inTemplate.FindAllStringSubmatch(text, -1) {
			if labels != "" && !strings.Contains(labels, found[1]+"=") {
				problems = append(problems, fmt.Sprintf("its text names the label %s, which it does not have", found[1]))
			}
		}
	}
	if quiet := find(a.Alert + " does not fire"); !quiet.silent(a) || len(quiet.Series) == 0 {
		problems = append(problems, "no case does not fire")
	}
	if !slices.ContainsFunc(cases, func(c testCase) bool {
		return c.Name == noData && len(c.Series) == 0 && (c.silent(a) || c.firing(a) != "")
	}) {
		problems = append(problems, "no case is without data")
	}
	return problems
}

// firing returns the labels with which a case expects an alert to fire, or nothing.
func (c *testCase) firing(a rule) string {
	for _, e := range c.Expressions {
		for _, s := range e.Samples {
			if s.Value == 1 && strings.HasPrefix(s.Labels, "ALERTS{") && strings.Contains(s.Labels, `alertstate="firing"`) &&
				strings.Contains(s.Labels, fmt.Sprintf("alertname=%q", a.Alert)) && strings.Contains(s.Labels, fmt.Sprintf("severity=%q", a.Labels["severity"])) {
				return s.Labels
			}
		}
	}
	return ""
}

// silent tells whether a case expects an alert not to fire.
func (c *testCase) silent(a rule) bool {
	for _, test := range c.Alerts {
		if test.Alertname == a.Alert && len(test.Expected) == 0 {
			return true
		}
	}
	return false
}

// TestTestsCatch shows that the tests of rules see when one is wrong: with alerts that never
// fire each case that should fire fails, and with alerts that always do each that should not.
func TestTestsCatch(t *testing.T) {
	long(t)
	for expression, want := range map[string]string{"vector(0) > 1": " fires", "vector(1)": " does not fire"} {
		dir := t.TempDir()
		spoil(t, dir, expression)
		out, err := promtool(t, dir, append([]string{"test", "rules"}, testFiles(t)...)...)
		if err == nil {
			t.Fatalf("with alerts of %s the tests pass:\n%s", expression, out)
		}
		for _, file := range names(t, "rules/tests") {
			var tests testFile
			readYAML(t, filepath.Join("rules/tests", file+".yml"), &tests)
			for _, c := range tests.Tests {
				sign := c.Name // how promtool names what has failed
				if want == " fires" && len(c.Expressions) > 0 {
					sign = fmt.Sprintf("expr: %q, time", c.Expressions[0].Expr)
				}
				if strings.HasSuffix(c.Name, want) && !strings.Contains(out, sign) {
					t.Errorf("with alerts of %s the case %q passes", expression, c.Name)
				}
			}
		}
	}
}

// spoil copies rules and tests into a directory, with another expression in each alert.
func spoil(t *testing.T, dir, expression string) {
	t.Helper()
	if err := os.CopyFS(dir, os.DirFS("rules")); err != nil {
		t.Fatal(err)
	}
	for _, name := range names(t, "rules") {
		var file map[string]any
		readYAML(t, filepath.Join("rules", name+".yml"), &file)
		for _, group := range file["groups"].([]any) {
			for _, r := range group.(map[string]any)["rules"].([]any) {
				if one := r.(map[string]any); one["alert"] != nil {
					one["expr"] = expression
					delete(one, "annotations")
				}
			}
		}
		text, err := yaml.Marshal(file)
		if err != nil {
			t.Fatal(err)
		}
		if err := os.WriteFile(filepath.Join(dir, name+".yml"), text, 0o600); err != nil {
			t.Fatal(err)
		}
	}
}

// long skips a test that takes long.
func long(t *testing.T) {
	t.Helper()
	if os.Getenv("TEST_LONG") != "1" {
		t.Skip("takes minutes: TEST_LONG=1, as in make test-monitoring")
	}
}
