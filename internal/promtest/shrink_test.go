package promtest

import (
	"os"
	"path/filepath"
	"regexp"
	"testing"
)

func TestShrink(t *testing.T) {
	for text, want := range map[string]string{
		"        for: 5m\n":                        "        for: 15000ms\n",
		"  group_wait: 30s":                        "  group_wait: 1500ms",
		"rate(x_total[1h]) > 3600":                 "rate(x_total[180000ms]) > 3600",
		"max_over_time(x[1d:5m] offset 1d)":        "max_over_time(x[4320000ms:5m] offset 4320000ms)",
		"record: ipfscluster:late:ratio_rate5m":    "record: ipfscluster:late:ratio_rate5m",
		"summary: late for 5m, in an hour":         "summary: late for 5m, in an hour",
		"labels: {severity: page, for: 5m}":        "labels: {severity: page, for: 5m}",
		"(time() - x > 2 * 86400) and y[10ms] > 0": "(time() - x > 2 * 86400) and y[1ms] > 0",
	} {
		if got := string(Shrink([]byte(text), 20)); got != want {
			t.Errorf("%q became %q, not %q", text, got, want)
		}
	}
}

// Nothing but durations differs between the rules that are there and what tests run of them.
func TestShrinkKeepsTheRules(t *testing.T) {
	files, err := filepath.Glob("../../monitoring/rules/*.yml")
	if err != nil || len(files) == 0 {
		t.Fatalf("no rules: %v", err)
	}
	duration := regexp.MustCompile(`\b\d+(ms|[smhdw])\b`)
	for _, file := range files {
		text, err := os.ReadFile(file)
		if err != nil {
			t.Fatal(err)
		}
		shrunk := Shrink(text, 20)
		if string(duration.ReplaceAll(text, nil)) != string(duration.ReplaceAll(shrunk, nil)) {
			t.Errorf("%s: more than durations differ", file)
		}
		if left := regexp.MustCompile(`(\[|for: |offset )\d+[smhdw]\b`).Find(shrunk); left != nil {
			t.Errorf("%s: %s was left", file, left)
		}
	}
}

func FuzzShrink(f *testing.F) {
	f.Add([]byte("for: 5m\nexpr: rate(x[1h] offset 2d)"), 20)
	f.Fuzz(func(t *testing.T, text []byte, factor int) {
		if factor <= 0 {
			t.Skip("a factor is positive")
		}
		shrunk := Shrink(text, factor)
		if len(spans.FindAll(shrunk, -1)) != len(spans.FindAll(text, -1)) {
			t.Errorf("%q became %q", text, shrunk)
		}
	})
}
