package monitoring

import (
	"os/exec"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/promtest"
)

const alertmanagerConfig = "alertmanager/alertmanager.yml"

func amtool(t *testing.T, args ...string) string {
	t.Helper()
	cmd := exec.CommandContext(t.Context(), promtest.Find(t).Amtool, args...)
	var warnings strings.Builder
	cmd.Stderr = &warnings
	out, err := cmd.Output()
	if err != nil {
		t.Fatalf("amtool %q: %v\n%s%s", args, err, out, warnings.String())
	}
	return string(out)
}

func TestAlertmanagerConfig(t *testing.T) {
	if out := amtool(t, "check-config", alertmanagerConfig); !strings.Contains(out, "1 templates") {
		t.Errorf("amtool finds no template:\n%s", out)
	}
}

// A page goes to PagerDuty and to Slack, a ticket to Slack. So does what has no severity.
func TestRoutes(t *testing.T) {
	for severity, want := range map[string]string{
		"severity=page": "pagerduty,slack", "severity=ticket": "slack", "severity=other": "slack", "job=x": "slack",
	} {
		out := amtool(t, "config", "routes", "test", "--config.file="+alertmanagerConfig, severity)
		if got := strings.TrimSpace(out); got != want {
			t.Errorf("%s goes to %q, not %q", severity, got, want)
		}
	}
}

// What inhibits and is inhibited are alerts that there are.
func TestInhibitions(t *testing.T) {
	var config struct {
		Rules []struct {
			Source []string `yaml:"source_matchers"`
			Target []string `yaml:"target_matchers"`
			Equal  []string
		} `yaml:"inhibit_rules"`
	}
	readYAML(t, alertmanagerConfig, &config)
	if len(config.Rules) == 0 {
		t.Fatal("nothing is inhibited")
	}
	known := make(map[string]bool)
	for _, a := range alerts(t) {
		known[a.Alert] = true
	}
	for _, rule := range config.Rules {
		if len(rule.Equal) == 0 {
			t.Errorf("%v inhibits %v wherever they are", rule.Source, rule.Target)
		}
		for _, matcher := range append(rule.Source, rule.Target...) {
			value, ok := strings.CutPrefix(strings.Replace(matcher, "=~", "=", 1), "alertname=")
			if !ok {
				continue
			}
			for name := range strings.SplitSeq(strings.Trim(value, `"`), "|") {
				if !known[name] {
					t.Errorf("%s is inhibited or inhibits, and is no alert", name)
				}
			}
		}
	}
}
