package promtest

import (
	"fmt"
	"maps"
	"os"
	"path/filepath"
	"slices"
	"strings"
	"testing"
)

// Shrunk is by how much StartLive divides the durations of rules and of Alertmanager: five
// minutes become 15 seconds, an hour three minutes. All else is as it is committed.
const Shrunk = 20

const (
	routingKey = "0123456789abcdef0123456789abcdef"
	// grafana is the address in the committed templates.
	grafana = "http://127.0.0.1:3000"
)

// Live is a Prometheus that scrapes and evaluates each second, with an Alertmanager that
// tells a receiver.
type Live struct {
	Prometheus, Alertmanager *Server
	Receiver                 *Receiver
}

// StartLive starts all three with the configuration of a directory, which is that of
// monitoring, and ends them with the test. Rules are names of its files of rules without .yml: those
// of what is not there would say so. Targets are addresses by the job of Prometheus.
func StartLive(tb testing.TB, dir string, rules []string, targets map[string][]string) *Live {
	tb.Helper()
	tools := Find(tb)
	l := &Live{Receiver: NewReceiver(tb)}
	l.Alertmanager = StartAlertmanager(tb, tools, alertmanagerConfig(tb, dir, l.Receiver.URL))
	l.Prometheus = StartPrometheus(tb, tools, prometheusConfig(tb, dir, rules, targets, l.Alertmanager.URL))
	return l
}

// alertmanagerConfig writes the committed configuration with shorter durations, with secrets
// in a directory of the test, and with the receiver in the place of PagerDuty and Slack.
func alertmanagerConfig(tb testing.TB, dir, receiver string) string {
	tb.Helper()
	to := tb.TempDir()
	text := read(tb, filepath.Join(dir, "alertmanager", "alertmanager.yml"))
	config := strings.ReplaceAll(string(Shrink(text, Shrunk)), "/etc/alertmanager/secrets", to)
	config = strings.Replace(config, "global:\n", "global:\n  pagerduty_url: "+receiver+PagerDuty+"\n", 1)
	if err := os.CopyFS(filepath.Join(to, "templates"), os.DirFS(filepath.Join(dir, "alertmanager", "templates"))); err != nil {
		tb.Fatal(err)
	}
	write(tb, filepath.Join(to, "pagerduty_routing_key"), routingKey)
	write(tb, filepath.Join(to, "slack_api_url"), receiver+Slack)
	return write(tb, filepath.Join(to, "alertmanager.yml"), config)
}

// prometheusConfig writes a configuration with the committed rules, whose durations are
// shorter.
func prometheusConfig(tb testing.TB, dir string, rules []string, targets map[string][]string, alertmanager string) string {
	tb.Helper()
	to := tb.TempDir()
	var config strings.Builder
	fmt.Fprintf(&config, "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n")
	fmt.Fprintf(&config, "alerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}\n", strings.TrimPrefix(alertmanager, "http://"))
	fmt.Fprintf(&config, "rule_files: [%q]\nscrape_configs:\n", filepath.Join(to, "rules", "*.yml"))
	for _, job := range slices.Sorted(maps.Keys(targets)) {
		fmt.Fprintf(&config, "  - {job_name: %s, static_configs: [{targets: [%s]}]}\n", job, `"`+strings.Join(targets[job], `", "`)+`"`)
	}
	if err := os.Mkdir(filepath.Join(to, "rules"), 0o700); err != nil {
		tb.Fatal(err)
	}
	for _, name := range rules {
		text := read(tb, filepath.Join(dir, "rules", name+".yml"))
		write(tb, filepath.Join(to, "rules", name+".yml"), string(Shrink(text, Shrunk)))
	}
	return write(tb, filepath.Join(to, "prometheus.yml"), config.String())
}

func read(tb testing.TB, path string) []byte {
	tb.Helper()
	text, err := os.ReadFile(path)
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func write(tb testing.TB, path, text string) string {
	tb.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		tb.Fatal(err)
	}
	return path
}
