package billing

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"path/filepath"
	"strconv"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// patience is how long a test waits for what takes moments.
const patience = 2 * time.Minute

// served is a service as the command serves it.
type served struct {
	folder, url, metrics, token, operator string
	stop                                  func() error
}

// free is an address that nobody listens on.
func free(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return l.Addr().String()
}

// begin serves by the configuration of a folder.
func begin(t *testing.T, folder string) *served {
	t.Helper()
	s := &served{folder: folder, url: free(t), metrics: free(t)}
	t.Setenv("PIN_BILLING_LISTEN", s.url)
	t.Setenv("PIN_BILLING_METRICS_LISTEN", s.metrics)
	cfg, err := (&command{configPath: filepath.Join(folder, config.FileName)}).loadConfig()
	must(t, err)
	files, err := cfg.Read()
	must(t, err)
	s.token, s.operator = files.Token, files.OperatorToken
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan error, 1)
	go func() { ended <- serve(ctx, cfg) }()
	s.stop = func() error {
		cancel()
		select {
		case err := <-ended:
			ended <- err
			return err
		case <-time.After(patience):
			return fmt.Errorf("it does not end")
		}
	}
	t.Cleanup(func() { must(t, s.stop()) })
	for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // it has nothing else to wait for
		select {
		case err := <-ended:
			t.Fatalf("it has ended: %v", err)
		default:
		}
		if code, _ := s.ask("", "", "/health"); code == http.StatusOK {
			return s
		}
		if time.Now().After(deadline) {
			t.Fatal("it does not serve")
		}
	}
}

func (s *served) ask(token, owner, path string) (int, string) {
	if strings.HasPrefix(path, "/") {
		path = "http://" + s.url + path
	}
	r, err := http.NewRequest(http.MethodGet, path, nil)
	if err != nil {
		return 0, err.Error()
	}
	if token != "" {
		r.Header.Set("Authorization", "Bearer "+token)
	}
	if owner != "" {
		r.Header.Set("Billing-Owner", owner)
	}
	answer, err := http.DefaultClient.Do(r)
	if err != nil {
		return 0, err.Error()
	}
	defer answer.Body.Close()
	body, err := io.ReadAll(answer.Body)
	if err != nil {
		return 0, err.Error()
	}
	return answer.StatusCode, string(body)
}

// TestServe: claims that were published show as usage, through a stop of the service, and days are
// closed by the command and found right.
func TestServe(t *testing.T) {
	server, nats := cqltest.Start(t), natstest.Start(t, 1)
	folder := initialized(t)
	midnight := time.Now().UTC().Truncate(24 * time.Hour)
	for name, value := range map[string]string{
		"DATABASE_HOSTS": strings.Join(server.Hosts(), ","), "DATABASE_PORT": strconv.Itoa(server.Port()), "DATABASE_KEYSPACE": server.Emptied(t),
		"EVENTS_URLS": strings.Join(nats.URLs(), ","), "EVENTS_CLUSTER": "test", "EVENTS_SIZES": "false", "SHUTDOWN_DELAY": "0s", "CLOSE_GRACE": "10m",
		"CLAIMS_SINCE": midnight.AddDate(0, 0, -2).Format(time.RFC3339),
	} {
		t.Setenv(config.Prefix+name, value)
	}
	b, err := bus.Connect(bus.Config{URLs: nats.URLs(), Cluster: "test", Name: t.Name()})
	must(t, err)
	t.Cleanup(func() { must(t, b.Close(context.Background())) })
	publisher := claims.NewPublisher(b, nil)
	publish := func(d events.ClaimData) {
		t.Helper()
		ctx, cancel := context.WithTimeout(t.Context(), patience)
		defer cancel()
		for err = publisher.Publish(ctx, nil); err != nil && ctx.Err() == nil; err = publisher.Publish(ctx, nil) {
			time.Sleep(10 * time.Millisecond) // until there is a connection
		}
		must(t, publisher.Publish(ctx, []events.Event{events.ClaimEvent("gateway", d.Latest(), d)}))
	}
	claimOf := func(owner, request string) events.ClaimData {
		at := midnight.Add(-12 * time.Hour)
		return events.ClaimData{Cid: "bafkqaaa", Owner: owner, RequestID: request, Name: "a", Accepted: at, Pinned: at, Replicas: 2, Size: 1000}
	}

	s := begin(t, folder)
	publish(claimOf("acme", "r1"))
	publish(claimOf("globex", "r1"))
	waitFor := func(owner, bytes string) {
		t.Helper()
		for deadline := time.Now().Add(patience); ; time.Sleep(10 * time.Millisecond) { // it has nothing else to wait for
			code, body := s.ask(s.token, owner, "/usage")
			var p struct {
				Items []struct {
					Bytes string `json:"closing_bytes"`
				}
			}
			if code == http.StatusOK && json.Unmarshal([]byte(body), &p) == nil && len(p.Items) > 0 && p.Items[len(p.Items)-1].Bytes == bytes {
				return
			}
			if time.Now().After(deadline) {
				t.Fatalf("%s: %d %s", owner, code, body)
			}
		}
	}
	waitFor("acme", "2000")
	waitFor("globex", "2000")
	for path, want := range map[string]string{
		"http://" + s.metrics + "/readyz": `"name": "nats"`, "http://" + s.metrics + "/metrics": "\nbilling_ingest_events_total ",
	} {
		if code, body := s.ask("", "", path); code != http.StatusOK || !strings.Contains(body, want) {
			t.Errorf("%s: %d %.300s", path, code, body)
		}
	}
	if code, body := s.ask(s.operator, "", "/status"); code != http.StatusOK || !strings.Contains(body, `"waiting":0`) {
		t.Errorf("/status: %d %s", code, body)
	}
	must(t, s.stop())

	// What is told while nobody listens is counted afterwards.
	publish(claimOf("acme", "r2"))
	s = begin(t, folder)
	waitFor("acme", "4000")

	yesterday := midnight.AddDate(0, 0, -1).Format(time.DateOnly)
	if got := mustRun(t, folder, "usage", "--from", yesterday, "--to", yesterday, "--json", "acme").stdout; !strings.Contains(got, `"byte_ms":"172800000000"`) {
		t.Errorf("usage shows %s", got)
	}
	if got := mustRun(t, folder, "explain", "--day", yesterday, "acme").stdout; strings.Count(got, " start ") != 2 || strings.Count(got, " size ") != 2 || !strings.Contains(got, "it ended with 4000 bytes and 2 pins: 172800000000 byte·ms, 86400000 pin·ms\n") {
		t.Errorf("explain shows %s", got)
	}
	if time.Now().UTC().Sub(midnight) > 11*time.Minute { // or yesterday is not to be closed yet
		for deadline := time.Now().Add(patience); ; {
			if got := run(t, folder, "close"); got.code == 0 && got.stdout == "closed until "+yesterday+"\n" {
				break
			} else if time.Now().After(deadline) {
				t.Fatalf("close: %+v", got)
			}
		}
		if got := mustRun(t, folder, "usage", "--from", yesterday, "--to", yesterday, "acme").stdout; !strings.Contains(got, " closed ") || !strings.Contains(got, " 172800000000 ") {
			t.Errorf("after the close usage shows %s", got)
		}
	}
	if got := mustRun(t, folder, "recompute"); strings.Count(got.stdout, "\n") != 1 {
		t.Errorf("recompute: %+v", got)
	}
	checkRefused(t, folder, []refusal{{args: []string{"reconcile"}, want: "gateway.url is empty: name the gateway whose export is compared"}})
}
