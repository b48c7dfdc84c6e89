package promtest

import (
	"encoding/json"
	"fmt"
	"strings"
	"testing"
	"time"
)

const runbooks = "https://github.com/ipfs-cluster/ipfs-cluster-scylla/blob/main/docs/runbooks/"

// Page is what somebody is told of an alert with the severity page.
type Page struct {
	Alert, Component string
	// Dashboard is the uid of the one that it links to.
	Dashboard string
	// Text is in the message.
	Text string
	// Over is set for the message that the alert has ended.
	Over bool
}

// WantPage waits for the messages of a page, to PagerDuty and to Slack, and compares all of
// them that does not change from run to run.
func (l *Live) WantPage(tb testing.TB, want Page, timeout time.Duration) {
	tb.Helper()
	l.wantPagerDuty(tb, want, timeout)
	l.wantSlack(tb, want, timeout)
}

func (p Page) runbook() string {
	return runbooks + p.Component + ".md#" + strings.ToLower(p.Alert)
}

func (p Page) dashboard() string { return grafana + "/d/" + p.Dashboard }

func (l *Live) wantPagerDuty(tb testing.TB, want Page, timeout time.Duration) {
	tb.Helper()
	action := "trigger"
	if want.Over {
		action = "resolve"
	}
	m := l.Receiver.Wait(tb, PagerDuty, timeout, fmt.Sprintf(`"class":%q`, want.Alert), fmt.Sprintf(`"event_action":%q`, action), want.Text)
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
		tb.Fatalf("%v: %s", err, m.Body)
	}
	if event.RoutingKey != routingKey || event.EventAction != action || event.DedupKey == "" || event.Client != "ipfs-cluster" || event.ClientURL != want.dashboard() {
		tb.Errorf("the event is another one: %s", m.Body)
	}
	p := event.Payload
	if !strings.HasPrefix(p.Summary, want.Alert+": ") || p.Severity != "critical" || p.Class != want.Alert || p.Component != want.Component || p.Group != "ipfs-cluster" || p.Source == "" {
		tb.Errorf("the payload is another one: %s", m.Body)
	}
	if !strings.HasSuffix(p.Details["what_to_do"], ".") {
		tb.Errorf("it does not say what to do: %s", m.Body)
	}
	if len(event.Links) != 2 || event.Links[0].Href != want.runbook() || event.Links[1].Href != want.dashboard() {
		tb.Errorf("it has other links: %s", m.Body)
	}
}

func (l *Live) wantSlack(tb testing.TB, want Page, timeout time.Duration) {
	tb.Helper()
	color := "danger"
	if want.Over {
		color = "good"
	}
	m := l.Receiver.Wait(tb, Slack, timeout, fmt.Sprintf(`"color":%q`, color), `"title":"`+want.Alert+": ", want.Text)
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
		tb.Fatalf("%v: %s", err, m.Body)
	}
	if message.Channel != "#ipfs-cluster" || len(message.Attachments) != 1 {
		tb.Fatalf("another message: %s", m.Body)
	}
	a := message.Attachments[0]
	if !strings.HasPrefix(a.Title, want.Alert+": ") || a.Fallback != a.Title || a.TitleLink != want.runbook() || a.Color != color {
		tb.Errorf("another attachment: %s", m.Body)
	}
	for _, part := range []string{want.Text, "<" + want.runbook() + "|Runbook>", "<" + want.dashboard() + "|Dashboard>"} {
		if !strings.Contains(a.Text, part) && !strings.Contains(a.Title, part) {
			tb.Errorf("it does not have %q: %s", part, m.Body)
		}
	}
}
