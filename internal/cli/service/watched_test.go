package service

import (
	"context"
	"encoding/json"
	"fmt"
	"io"
	"net"
	"net/http"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/test"
	collector "go.opentelemetry.io/proto/otlp/collector/trace/v1"
	spans "go.opentelemetry.io/proto/otlp/trace/v1"
	"google.golang.org/grpc"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/adminhttp"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// collected is a collector that keeps the spans that it gets.
type collected struct {
	collector.UnimplementedTraceServiceServer
	mu  sync.Mutex
	all []*spans.Span
}

func (c *collected) Export(_ context.Context, in *collector.ExportTraceServiceRequest) (*collector.ExportTraceServiceResponse, error) {
	c.mu.Lock()
	defer c.mu.Unlock()
	for _, of := range in.GetResourceSpans() {
		for _, scope := range of.GetScopeSpans() {
			c.all = append(c.all, scope.GetSpans()...)
		}
	}
	return &collector.ExportTraceServiceResponse{}, nil
}

// collect starts a collector and returns its address.
func collect(t *testing.T) (*collected, string) {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	c, server := &collected{}, grpc.NewServer()
	collector.RegisterTraceServiceServer(server, c)
	done := make(chan struct{})
	go func() {
		defer close(done)
		_ = server.Serve(listener)
	}()
	t.Cleanup(func() { server.Stop(); <-done })
	return c, listener.Addr().String()
}

// initOn makes a folder for a peer whose pinset is in a keyspace of its own.
func initOn(t *testing.T, server *cqltest.Server) string {
	t.Helper()
	t.Setenv("CLUSTER_SCYLLA_HOSTS", strings.Join(server.Hosts(), ","))
	t.Setenv("CLUSTER_SCYLLA_PORT", strconv.Itoa(server.Port()))
	t.Setenv("CLUSTER_SCYLLA_KEYSPACE", server.Keyspace(t))
	folder := t.TempDir()
	mustRun(t, folder, "init", "--state", "scylla", "--randomports")
	return folder
}

func request(t *testing.T, method, url string, headers ...string) (int, string) {
	t.Helper()
	req, err := http.NewRequestWithContext(t.Context(), method, url, nil)
	if err != nil {
		t.Fatal(err)
	}
	for i := 0; i < len(headers); i += 2 {
		req.Header.Set(headers[i], headers[i+1])
	}
	resp, err := http.DefaultClient.Do(req)
	if err != nil {
		return 0, err.Error()
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		return 0, err.Error()
	}
	return resp.StatusCode, string(body)
}

// pinned pins a CID and waits until the peer has it.
func pinned(t *testing.T, p *process, api, cid string, headers ...string) {
	t.Helper()
	if status, body := request(t, http.MethodPost, api+"/pins/"+cid, headers...); status != http.StatusOK {
		t.Fatalf("pinning: %d %s", status, body)
	}
	p.waitFor(t, "pin", func() bool {
		_, body := request(t, http.MethodGet, api+"/pins/"+cid)
		return strings.Contains(body, `"status":"pinned"`)
	})
}

// TestWatched runs a peer and looks at it as an operator does: it is ready and says so, its
// metrics are there, and one pin is one trace, from the request to what is noted of it.
func TestWatched(t *testing.T) {
	ipfs := test.NewIpfsMock(t)
	t.Cleanup(ipfs.Close)
	folder := initOn(t, cqltest.Start(t))
	api := restAPI(t, folder)
	admin, _ := readSettings(t, folder).at("observations.admin.listen").(string)
	got, endpoint := collect(t)
	env := []string{
		fmt.Sprintf("CLUSTER_IPFSHTTP_NODEMULTIADDRESS=/ip4/%s/tcp/%d", ipfs.Addr, ipfs.Port), "CLUSTER_MDNSINTERVAL=0",
		"CLUSTER_ADMIN_TRACING_ENDPOINT=" + endpoint, "CLUSTER_ADMIN_TRACING_INSECURE=true", "CLUSTER_ADMIN_TRACING_SAMPLERATIO=1", "CLUSTER_ADMIN_TRACING_SERVERSAMPLERATIO=1",
	}
	p := startProcess(t, folder, env, "daemon")
	var report adminhttp.Report
	p.waitFor(t, "ready peer", func() bool {
		status, body := request(t, http.MethodGet, "http://"+admin+"/readyz")
		return status == http.StatusOK && json.Unmarshal([]byte(body), &report) == nil
	})
	var names []string
	for _, check := range report.Checks {
		names = append(names, check.Name)
	}
	if want := "peer database schema heartbeat ipfs"; strings.Join(names, " ") != want {
		t.Errorf("the checks are %q, want %q", names, want)
	}
	const trace = "4bf92f3577b34da6a3ce929d0e0e4736"
	pinned(t, p, api, test.Cid1.String(), "traceparent", "00-"+trace+"-00f067aa0ba902b7-01")
	p.waitFor(t, "metric that it is ready", func() bool {
		_, metrics := request(t, http.MethodGet, "http://"+admin+"/metrics")
		return strings.Contains(metrics, "\nipfscluster_ready 1\n")
	})
	_, metrics := request(t, http.MethodGet, "http://"+admin+"/metrics")
	for _, want := range []string{
		`ipfscluster_build_info{revision="`, `ipfscluster_state_operations_total{operation="update",outcome="ok"} 1`,
		"go_goroutines ", "process_open_fds ", "ipfscluster_pins_pin_queued",
	} {
		if !strings.Contains(metrics, "\n"+want) {
			t.Errorf("the metrics have no %s", want)
		}
	}

	p.waitFor(t, "what the server did for the pin", func() bool { return got.server("UPDATE pins") != nil })
	checkServerSpan(t, got.server("UPDATE pins"))

	p.signal(t, syscall.SIGTERM)
	if code := p.exitCode(t); code != 0 {
		t.Errorf("exit code %d", code)
	}
	checkTrace(t, got, trace)

	// A collector that is gone is no matter to anybody.
	env[2] = "CLUSTER_ADMIN_TRACING_ENDPOINT=127.0.0.1:1"
	p = startProcess(t, folder, env, "daemon")
	p.waitFor(t, "ready peer", func() bool {
		status, _ := request(t, http.MethodGet, "http://"+admin+"/readyz")
		return status == http.StatusOK
	})
	pinned(t, p, api, test.Cid2.String())
	p.signal(t, syscall.SIGTERM)
	if code := p.exitCode(t); code != 0 {
		t.Errorf("without a collector: exit code %d", code)
	}

	env[0] = "CLUSTER_IPFSHTTP_NODEMULTIADDRESS=/ip4/127.0.0.1/tcp/1"
	p = startProcess(t, folder, env, "daemon")
	why := regexp.MustCompile(`"error": "the peer is starting: it is waiting for the IPFS daemon since 20\S+Z \(\d+s\)"`)
	p.waitFor(t, "reason", func() bool {
		status, body := request(t, http.MethodGet, "http://"+admin+"/readyz")
		return status == http.StatusServiceUnavailable && why.MatchString(body)
	})
	p.signal(t, syscall.SIGTERM)
	if code := p.exitCode(t); code != 0 {
		t.Errorf("without IPFS: exit code %d", code)
	}
}

// server returns the span of what the server did for a statement that begins so, in the trace of
// a pin, or nil.
func (c *collected) server(statement string) *spans.Span {
	c.mu.Lock()
	defer c.mu.Unlock()
	of := make(map[string]bool)
	for _, s := range c.all {
		if s.GetName() == "consensus/LogPin" {
			of[string(s.GetTraceId())] = true
		}
	}
	for _, s := range c.all {
		if s.GetName() == "cql/server" && of[string(s.GetTraceId())] && strings.HasPrefix(attribute(s, "db.query.text"), statement) {
			return s
		}
	}
	return nil
}

// attribute returns that of a span, "" if it has none.
func attribute(s *spans.Span, name string) string {
	for _, a := range s.GetAttributes() {
		if a.GetKey() == name {
			return a.GetValue().GetStringValue()
		}
	}
	return ""
}

// checkServerSpan looks at one for what the server has noted.
func checkServerSpan(t *testing.T, s *spans.Span) {
	t.Helper()
	if len(s.GetParentSpanId()) == 0 || attribute(s, "server.address") == "" || attribute(s, "db.trace_id") == "" {
		t.Errorf("the span of the server is %v", s)
	}
	if len(s.GetEvents()) == 0 || s.GetEndTimeUnixNano() <= s.GetStartTimeUnixNano() {
		t.Errorf("the server has noted %v, from %d to %d", s.GetEvents(), s.GetStartTimeUnixNano(), s.GetEndTimeUnixNano())
	}
}

// checkTrace looks for one trace with all steps of a pin, that has a link to the trace of the
// client.
func checkTrace(t *testing.T, got *collected, client string) {
	t.Helper()
	got.mu.Lock()
	defer got.mu.Unlock()
	id := ""
	names := make(map[string]map[string]bool) // of the spans of a trace
	linked := make(map[string]bool)
	for _, s := range got.all {
		trace := string(s.GetTraceId())
		if names[trace] == nil {
			names[trace] = make(map[string]bool)
		}
		names[trace][s.GetName()] = true
		if s.GetName() == "consensus/LogPin" {
			id = trace
		}
		for _, l := range s.GetLinks() {
			if fmt.Sprintf("%x", l.GetTraceId()) == client {
				linked[trace] = true
			}
		}
	}
	for _, want := range []string{
		"Cluster.Pin", "cluster/pin", "consensus/LogPin", "state/scylla/Update", "state/scylla/announce", "state/scylla/CAS",
		"feed/act", "tracker/pin", "ipfsconn/ipfshttp/Pin", "tracker/note",
	} {
		if !names[id][want] {
			t.Errorf("the trace of the pin has no span %s; it has %v", want, names[id])
		}
	}
	if id == "" || !linked[id] {
		t.Errorf("the trace of the pin is not linked to that of its client")
	}
}

// TestPortOfMetricsIsTaken: the daemon says which, and where to change it.
func TestPortOfMetricsIsTaken(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	defer listener.Close()
	folder := initWith(t, nil)
	address := listener.Addr().String()
	t.Setenv("CLUSTER_ADMIN_LISTEN", address)
	checkRefused(t, run(t, folder, "", "daemon"), fmt.Sprintf(
		`observations.admin.listen: another process listens on %s already: use another port, or "" for no listener: listen tcp %[1]s: bind: address already in use`, address))
}

// TestNotReadyWhileStarting: a peer that waits for its database can be asked, and says that it
// is not ready, and why.
func TestNotReadyWhileStarting(t *testing.T) {
	folder := initWith(t, map[string]map[string]any{"state": {"scylla": map[string]any{"connect_timeout": "0s", "port": 1, "hosts": []string{"127.0.0.1"}}}})
	t.Setenv("CLUSTER_SCYLLA_CONNECTTIMEOUT", "0s")
	admin, _ := readSettings(t, folder).at("observations.admin.listen").(string)
	p := startProcess(t, folder, nil, "daemon")
	why := regexp.MustCompile(`"error": "the peer is starting: it is connecting to the database at 127\.0\.0\.1, port 1, since 20\S+Z \(\d+s\), tried \d+ times, the last time: .*connection refused`)
	p.waitFor(t, "reason", func() bool {
		status, body := request(t, http.MethodGet, "http://"+admin+"/readyz")
		return status == http.StatusServiceUnavailable && why.MatchString(body)
	})
	if status, body := request(t, http.MethodGet, "http://"+admin+"/livez"); status != http.StatusOK {
		t.Errorf("/livez: %d %s", status, body)
	}
	p.signal(t, syscall.SIGTERM)
	p.exitCode(t)
}
