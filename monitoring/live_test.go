package monitoring

import (
	"encoding/json"
	"fmt"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/promtest"
)

// shrink is by how much the durations of rules and of Alertmanager are divided: five minutes
// become 15 seconds, an hour three minutes. Everything else of the rules is as it is
// committed (promtest.Shrink, and its test).
const shrink = 20

// patience is how long one message may take to come. It is for a machine that is busy: the
// longest way of these, PinLatencyBreach, takes 40 seconds.
const patience = 3 * time.Minute

// liveRules are the files of rules of the live test: those of what is not there would say so.
var liveRules = []string{"slo", sloth, "database", "store", "feed", "peers", "tracker", "loops", "process"}

const (
	routingKey = "0123456789abcdef0123456789abcdef"
	grafana    = "http://127.0.0.1:3000"
)

// TestLive has a real Prometheus scrape real processes with the rules of this directory, and
// a real Alertmanager tell a receiver, and looks at what PagerDuty and Slack would get.
func TestLive(t *testing.T) {
	long(t)
	tools := promtest.Find(t)
	receiver := promtest.NewReceiver(t)
	alertmanager := promtest.StartAlertmanager(t, tools, liveAlertmanager(t, receiver.URL))
	system := startSystem(t)
	prometheus := promtest.StartPrometheus(t, tools, livePrometheus(t, system.targets(), alertmanager.URL))

	// All is well for as long as alerts wait, and nobody is told anything.
	prometheus.WaitFor(t, `min_over_time(count(up{job="ipfs-cluster"} == 1)[20s:1s]) == 3`, patience)
	if firing := prometheus.Query(t, `ALERTS{alertstate="firing"}`); len(firing) > 0 {
		t.Fatalf("nothing is broken, and these fire: %v", firing)
	}
	if messages := receiver.Messages(); len(messages) > 0 {
		t.Fatalf("nothing is broken, and somebody was told: %s", messages[0].Body)
	}

	t.Run("late pins", func(t *testing.T) {
		system.latePins(t, 30)
		wantPagerDuty(t, receiver, "trigger", "PinLatencyBreach", "slo", "ipfs-cluster-overview", "of the last hour")
		wantSlack(t, receiver, "danger", "PinLatencyBreach", "slo", "ipfs-cluster-overview", "of the last hour")
		// 30 % are not enough for what sloth calls a page.
		if burn := prometheus.Query(t, `ALERTS{alertname="PinLatencyBudgetBurn",severity="page",alertstate="firing"} and on () ipfscluster:pin_late:ratio_rate1h < 0.3`); len(burn) > 0 {
			t.Errorf("the budget burns below 30 %%: %v", burn)
		}
		system.latePins(t, 0)
	})
	t.Run("a peer that stands still", func(t *testing.T) {
		address := system.stopPeer(t)
		wantPagerDuty(t, receiver, "trigger", "PeerDown", "peers", "ipfs-cluster-feed-peers", address)
		wantSlack(t, receiver, "danger", "PeerDown", "peers", "ipfs-cluster-feed-peers", address)
		system.goOn(t)
		wantPagerDuty(t, receiver, "resolve", "PeerDown", "peers", "ipfs-cluster-feed-peers", "PeerDown: over")
	})
	t.Run("a database that does not serve", func(t *testing.T) {
		system.database(t, false)
		wantPagerDuty(t, receiver, "trigger", "DatabaseNotServing", "database", "ipfs-cluster-cql", "3 alerts")
		// A lag is a ticket and follows from the database: it fires, and nobody is told.
		for _, a := range alertmanager.WaitForAlerts(t, "FeedLagging", 3, patience) {
			if a.Status.State != "suppressed" {
				t.Errorf("what follows from the database is %s: %v", a.Status.State, a.Labels)
			}
		}
		system.database(t, true)
		wantPagerDuty(t, receiver, "resolve", "DatabaseNotServing", "database", "ipfs-cluster-cql", "DatabaseNotServing: over")
		for _, m := range receiver.Messages() {
			if strings.Contains(string(m.Body), "FeedLagging: ") {
				t.Errorf("somebody was told of what follows: %s", m.Body)
			}
		}
	})
}

// wantPagerDuty waits for a message to PagerDuty about an alert and compares all of it that
// does not change from run to run.
func wantPagerDuty(t *testing.T, r *promtest.Receiver, action, alert, component, dashboard, text string) {
	t.Helper()
	m := r.Wait(t, promtest.PagerDuty, patience, fmt.Sprintf(`"class":%q`, alert), fmt.Sprintf(`"event_action":%q`, action), text)
	var event struct {
		RoutingKey  string `json:"routing_key"`
		EventAction string `json:"event_action"`
		DedupKey    string `json:"dedup_key"`
		Client      string
		ClientURL   string `json:"client_url"`
		Links       []struct{ Href, Text string }
		Payload     struct {
			Summary, Source, Severity, Class, Component, Group string
			Details                                            map[string]string `json:"custom_details"`
		}
	}
	if err := json.Unmarshal(m.Body, &event); err != nil {
		t.Fatalf("%v: %s", err, m.Body)
	}
	runbook := runbooks + component + ".md#" + strings.ToLower(alert)
	url := grafana + "/d/" + dashboard
	p := event.Payload
	if event.RoutingKey != routingKey || event.EventAction != action || event.DedupKey == "" || event.Client != "ipfs-cluster" || event.ClientURL != url {
		t.Errorf("the event is another one: %s", m.Body)
	}
	if !strings.HasPrefix(p.Summary, alert+": ") || p.Severity != "critical" || p.Class != alert || p.Component != component || p.Group != "ipfs-cluster" || p.Source == "" {
		t.Errorf("the payload is another one: %s", m.Body)
	}
	if !strings.HasSuffix(p.Details["what_to_do"], ".") {
		t.Errorf("it does not say what to do: %s", m.Body)
	}
	if len(event.Links) != 2 || event.Links[0].Href != runbook || event.Links[1].Href != url {
		t.Errorf("it has other links: %s", m.Body)
	}
}

// wantSlack does so for Slack.
func wantSlack(t *testing.T, r *promtest.Receiver, color, alert, component, dashboard, text string) {
	t.Helper()
	m := r.Wait(t, promtest.Slack, patience, fmt.Sprintf(`"color":%q`, color), `"title":"`+alert, text)
	var message struct {
		Channel     string
		Attachments []struct {
			Title     string
			TitleLink string `json:"title_link"`
			Text      string
			Fallback  string
			Color     string
		}
	}
	if err := json.Unmarshal(m.Body, &message); err != nil {
		t.Fatalf("%v: %s", err, m.Body)
	}
	if message.Channel != "#ipfs-cluster" || len(message.Attachments) != 1 {
		t.Fatalf("another message: %s", m.Body)
	}
	runbook := runbooks + component + ".md#" + strings.ToLower(alert)
	a := message.Attachments[0]
	if !strings.HasPrefix(a.Title, alert+": ") || a.Fallback != a.Title || a.TitleLink != runbook || a.Color != color {
		t.Errorf("another attachment: %s", m.Body)
	}
	for _, part := range []string{text, "<" + runbook + "|Runbook>", "<" + grafana + "/d/" + dashboard + "|Dashboard>"} {
		if !strings.Contains(a.Text, part) && !strings.Contains(a.Title, part) {
			t.Errorf("it does not have %q: %s", part, m.Body)
		}
	}
}

// liveAlertmanager writes the configuration of this directory with shorter durations, with
// secrets in a directory of the test, and with the receiver in the place of PagerDuty.
func liveAlertmanager(t *testing.T, receiver string) string {
	t.Helper()
	dir := t.TempDir()
	text, err := os.ReadFile(alertmanagerConfig)
	if err != nil {
		t.Fatal(err)
	}
	config := strings.ReplaceAll(string(promtest.Shrink(text, shrink)), "/etc/alertmanager/secrets", dir)
	config = strings.Replace(config, "global:\n", "global:\n  pagerduty_url: "+receiver+promtest.PagerDuty+"\n", 1)
	if err := os.CopyFS(filepath.Join(dir, "templates"), os.DirFS("alertmanager/templates")); err != nil {
		t.Fatal(err)
	}
	write(t, filepath.Join(dir, "pagerduty_routing_key"), routingKey)
	write(t, filepath.Join(dir, "slack_api_url"), receiver+promtest.Slack)
	return write(t, filepath.Join(dir, "alertmanager.yml"), config)
}

// livePrometheus writes a configuration that scrapes and evaluates each second, with rules of
// this directory that have shorter durations.
func livePrometheus(t *testing.T, targets map[string][]string, alertmanager string) string {
	t.Helper()
	dir := t.TempDir()
	var config strings.Builder
	fmt.Fprintf(&config, "global: {scrape_interval: 1s, scrape_timeout: 1s, evaluation_interval: 1s}\n")
	fmt.Fprintf(&config, "alerting: {alertmanagers: [{static_configs: [{targets: [%q]}]}]}\n", strings.TrimPrefix(alertmanager, "http://"))
	fmt.Fprintf(&config, "rule_files: [%q]\nscrape_configs:\n", filepath.Join(dir, "rules", "*.yml"))
	for job, addresses := range targets {
		fmt.Fprintf(&config, "  - {job_name: %s, static_configs: [{targets: [%s]}]}\n", job, strings.Join(addresses, ", "))
	}
	if err := os.Mkdir(filepath.Join(dir, "rules"), 0o700); err != nil {
		t.Fatal(err)
	}
	for _, name := range liveRules {
		text, err := os.ReadFile(filepath.Join("rules", name+".yml"))
		if err != nil {
			t.Fatal(err)
		}
		write(t, filepath.Join(dir, "rules", name+".yml"), string(promtest.Shrink(text, shrink)))
	}
	return write(t, filepath.Join(dir, "prometheus.yml"), config.String())
}

func write(t *testing.T, path, text string) string {
	t.Helper()
	if err := os.WriteFile(path, []byte(text), 0o600); err != nil {
		t.Fatal(err)
	}
	return path
}
