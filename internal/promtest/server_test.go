package promtest

import (
	"bytes"
	"net/http"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/endtest"
)

// A Prometheus scrapes itself and is asked.
func TestPrometheus(t *testing.T) {
	tools := Find(t)
	config := filepath.Join(t.TempDir(), "prometheus.yml")
	if err := os.WriteFile(config, []byte("global: {scrape_interval: 1s, evaluation_interval: 1s}\n"), 0o600); err != nil {
		t.Fatal(err)
	}
	p := StartPrometheus(t, tools, config)
	got := p.WaitFor(t, "vector(42)", time.Minute)
	if len(got) != 1 || got[0].Value[1] != "42" {
		t.Errorf("42 is %v", got)
	}
	if got := p.Query(t, "up"); len(got) > 0 {
		t.Errorf("it scrapes something: %v", got)
	}
}

// A server that does not start is reported with its log.
func TestStartReportsTheLog(t *testing.T) {
	bin := t.TempDir()
	endtest.Script(t, bin, "prometheus", "echo the disk is on fire; exit 3\n")
	_, err := try(t.Context(), "Prometheus", t.TempDir(), filepath.Join(bin, "prometheus"), func(string) []string { return nil })
	if err == nil || !strings.Contains(err.Error(), "the disk is on fire") || !strings.Contains(err.Error(), "exit status 3") {
		t.Errorf("failed with %v", err)
	}
}

func TestReceiver(t *testing.T) {
	r := NewReceiver(t)
	post := func(path, body string) int {
		t.Helper()
		response, err := http.Post(r.URL+path, "application/json", strings.NewReader(body))
		if err != nil {
			t.Fatal(err)
		}
		defer response.Body.Close()
		return response.StatusCode
	}
	if got := post(PagerDuty, `{"summary":"a"}`); got != http.StatusAccepted {
		t.Errorf("PagerDuty answers %d", got)
	}
	if got := post(PagerDuty, `{"summary":"b"}`); got != http.StatusAccepted {
		t.Errorf("PagerDuty answers %d", got)
	}
	if got := post(Slack, `{"text":"b"}`); got != http.StatusOK {
		t.Errorf("Slack answers %d", got)
	}
	if got := post("/else", "{}"); got != http.StatusNotFound {
		t.Errorf("something else answers %d", got)
	}
	if m := r.Wait(t, PagerDuty, time.Minute, "summary", "b"); !bytes.Equal(m.Body, []byte(`{"summary":"b"}`)) {
		t.Errorf("got %s", m.Body)
	}
}
