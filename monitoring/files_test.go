package monitoring

import (
	"os"
	"path/filepath"
	"strings"
	"testing"

	"gopkg.in/yaml.v3"
)

// rule is an alert or a recording rule.
type rule struct {
	file string // its name without .yml

	Record, Alert, Expr, For string
	Labels, Annotations      map[string]string
}

// ruleFile is a file of rules.
type ruleFile struct {
	Groups []struct {
		Name  string
		Rules []rule
	}
}

// testFile is a file of tests for promtool.
type testFile struct {
	Tests []testCase
}

type testCase struct {
	Name   string
	Series []struct{ Series, Values string } `yaml:"input_series"`
	Alerts []struct {
		Alertname string
		Expected  []any `yaml:"exp_alerts"`
	} `yaml:"alert_rule_test"`
	Expressions []struct {
		Expr    string
		Samples []struct {
			Labels string
			Value  float64
		} `yaml:"exp_samples"`
	} `yaml:"promql_expr_test"`
}

// sloth is the file that sloth has made.
const sloth = "pin-latency"

func readYAML(t *testing.T, path string, into any) {
	t.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		t.Fatal(err)
	}
	if err := yaml.Unmarshal(text, into); err != nil {
		t.Fatalf("%s: %v", path, err)
	}
}

// names returns the files of a directory without .yml.
func names(t *testing.T, dir string) []string {
	t.Helper()
	paths, err := filepath.Glob(filepath.Join(dir, "*.yml"))
	if err != nil || len(paths) == 0 {
		t.Fatalf("%s has no files: %v", dir, err)
	}
	for i, path := range paths {
		paths[i] = strings.TrimSuffix(filepath.Base(path), ".yml")
	}
	return paths
}

// rules returns all rules.
func rules(t *testing.T) []rule {
	t.Helper()
	var all []rule
	for _, name := range names(t, "rules") {
		var file ruleFile
		readYAML(t, filepath.Join("rules", name+".yml"), &file)
		for _, group := range file.Groups {
			for _, r := range group.Rules {
				r.file = name
				all = append(all, r)
			}
		}
	}
	return all
}

// alerts returns those of the rules that are alerts.
func alerts(t *testing.T) []rule {
	t.Helper()
	var some []rule
	for _, r := range rules(t) {
		if r.Alert != "" {
			some = append(some, r)
		}
	}
	if len(some) == 0 {
		t.Fatal("there are no alerts")
	}
	return some
}
