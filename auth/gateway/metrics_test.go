package gateway

import (
	"context"
	"errors"
	"io"
	"net/http"
	"net/http/httptest"
	"os"
	"regexp"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus/promhttp"
	dto "github.com/prometheus/client_model/go"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/audit"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authn"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/authz"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/door"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/principal"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/psa"
)

// who authenticates: the header Authorization is the role, or refused if it is not one.
type who struct{}

func (who) Authenticate(r *http.Request) (principal.Principal, error) {
	switch role := r.Header.Get("Authorization"); role {
	case "":
		return principal.Principal{}, &authn.Error{Status: 401, Reason: authn.Unauthorized, Details: "a credential is needed"}
	case "user", "auditor":
		return principal.Principal{
			ID: "alice-of-test", Tenant: "tenant-of-test", Roles: []string{role}, Scopes: []string{"*"}, Method: principal.MethodAPIKey, Credential: "key-of-test",
		}, nil
	default:
		return principal.Principal{}, &authn.Error{Status: 401, Reason: authn.InvalidToken, Details: role, Method: principal.MethodJWT}
	}
}

// Active implements door.Tenants.
func (who) Active(context.Context, string) (bool, error) { return true, nil }

// QuotaUsed implements door.Tenants.
func (who) QuotaUsed(context.Context, string) (int64, error) { return 0, nil }

// Append implements audit.Sink.
func (who) Append(context.Context, audit.Record) error { return nil }

// few are rates that let so many through.
type few struct{ left int }

func (f *few) Take(string) (time.Duration, bool) {
	f.left--
	return time.Second, f.left >= 0
}

// noPins are requests of which there are none, and a database that fails to list.
type noPins struct{ psa.Pins }

func (noPins) Get(context.Context, string, string) (pins.Request, error) {
	return pins.Request{}, pins.ErrNotFound
}

func (noPins) List(_ context.Context, _ string, q pins.Query) (pins.Page, error) {
	if q.Name != "" {
		return pins.Page{}, errors.New("the database is down: " + q.Name)
	}
	return pins.Page{}, nil
}

// counted returns the values of counters and gauges, and the counts of histograms, by name
// and labels.
func counted(t *testing.T, m *metrics) map[string]float64 {
	t.Helper()
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	all := make(map[string]float64)
	for _, family := range families {
		for _, one := range family.GetMetric() {
			name := family.GetName()
			for _, label := range one.GetLabel() {
				name += " " + label.GetValue()
			}
			all[name] = one.GetCounter().GetValue() + one.GetGauge().GetValue() + float64(one.GetHistogram().GetSampleCount())
		}
	}
	return all
}

// pinning is the Pinning Services API behind a door with real policies, whose requests are
// counted.
func pinning(t *testing.T, m *metrics, change func(*door.Config)) http.Handler {
	t.Helper()
	policies, err := authz.New(authz.Options{})
	if err != nil {
		t.Fatal(err)
	}
	recorder, err := audit.NewRecorder(audit.RecorderOptions{Sinks: []audit.Sink{who{}}})
	if err != nil {
		t.Fatal(err)
	}
	conf := door.Config{Authenticator: who{}, Decider: policies, Recorder: recorder, Tenants: who{}, Observe: m.observe}
	if change != nil {
		change(&conf)
	}
	d, err := door.New(conf)
	if err != nil {
		t.Fatal(err)
	}
	handler, err := d.Handler(psa.New(psa.Config{Pins: noPins{}, Delegates: func() []string { return nil }}))
	if err != nil {
		t.Fatal(err)
	}
	return handler
}

func ask(handler http.Handler, method, target, role string) {
	r := httptest.NewRequest("GET", "/", nil)
	path, query, _ := strings.Cut(target, "?")
	r.Method, r.URL.Path, r.URL.RawQuery = method, path, query
	if role != "" {
		r.Header.Set("Authorization", role)
	}
	handler.ServeHTTP(httptest.NewRecorder(), r)
}

// TestMetricsOfRequests: what is counted is what was answered, by real requests through a
// real door.
func TestMetricsOfRequests(t *testing.T) {
	m, err := newMetrics()
	if err != nil {
		t.Fatal(err)
	}
	handler := pinning(t, m, func(c *door.Config) { c.Failures = &few{left: 2} })
	for range 3 {
		ask(handler, "GET", "/pins", "user")
	}
	ask(handler, "GET", "/pins", "auditor")
	ask(handler, "GET", "/pins?name=x", "user")
	ask(handler, "GET", "/pins/r1", "user")
	ask(handler, "PATCH", "/pins", "user")
	ask(handler, "GET", "/health", "")
	ask(handler, "GET", "/pins", "")
	for range 3 { // one of them is the third failure, and more are too many
		ask(handler, "GET", "/pins", "a-bad-token")
	}
	got := counted(t, m)
	for name, want := range map[string]float64{
		"pin_gateway_requests_total pinning apikey none ListPins 2xx":                   4,
		"pin_gateway_requests_total pinning apikey DEPENDENCY_UNAVAILABLE ListPins 5xx": 1,
		"pin_gateway_requests_total pinning apikey NOT_FOUND GetPin 4xx":                1,
		"pin_gateway_requests_total pinning none METHOD_NOT_ALLOWED none 4xx":           1,
		"pin_gateway_requests_total pinning none none Health 2xx":                       1,
		"pin_gateway_requests_total pinning none UNAUTHORIZED ListPins 4xx":             1,
		"pin_gateway_requests_total pinning none INVALID_TOKEN ListPins 4xx":            1,
		"pin_gateway_requests_total pinning none RATE_LIMITED ListPins 4xx":             2,
		"pin_gateway_refused_credentials_total none UNAUTHORIZED":                       1,
		"pin_gateway_refused_credentials_total jwt INVALID_TOKEN":                       3,
		"pin_gateway_request_duration_seconds pinning ListPins":                         9,
		"pin_gateway_request_duration_seconds pinning GetPin":                           1,
	} {
		if got[name] != want {
			t.Errorf("%s is %v, want %v", name, got[name], want)
		}
		delete(got, name)
	}
	for name := range got {
		if strings.HasPrefix(name, "pin_gateway_requests_total") || strings.HasPrefix(name, "pin_gateway_refused") {
			t.Errorf("and there is %s", name)
		}
	}
}

// TestMetricsAreBounded: whatever clients send, and whoever they are, labels have names of
// ours.
func TestMetricsAreBounded(t *testing.T) {
	m, err := newMetrics()
	if err != nil {
		t.Fatal(err)
	}
	handler := pinning(t, m, nil)
	evil := []string{"tenant-of-test", "EVIL", "evil\n", "\xff\xfe", strings.Repeat("E", 300)}
	for _, text := range evil {
		for _, method := range []string{"GET", "POST", "DELETE", "EVIL"} {
			for _, role := range []string{"", "user", "EVIL", text} {
				for _, target := range []string{"/" + text, "/pins/" + text, "/pins?name=" + text, "/pins?evil=" + text, "/pins/../" + text, "//pins"} {
					ask(handler, method, target, role)
				}
			}
		}
	}
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	known := []string{"pinning", "none", "apikey", "jwt", "2xx", "4xx", "5xx", "ListPins", "AddPin", "GetPin", "ReplacePin", "RemovePin", "pin", "unpin", "status", "ok", "error"}
	known = append(known, []string{
		authn.Unauthorized, authn.InvalidToken, authn.InvalidRequest, authn.Forbidden, authn.DependencyUnavailable,
		door.BadRequest, door.NotFound, door.MethodNotAllowed, door.UnsupportedType, door.TooLarge,
	}...)
	for _, family := range families {
		for _, one := range family.GetMetric() {
			for _, label := range one.GetLabel() {
				if strings.HasPrefix(family.GetName(), "pin_gateway_") && !slices.Contains(known, label.GetValue()) {
					t.Errorf("%s has the label %s=%q", family.GetName(), label.GetName(), label.GetValue())
				}
			}
		}
	}
	for _, status := range []int{-1, 0, 99, 600, 1 << 30} {
		if class := classOf(status); class != nothing {
			t.Errorf("a status of %d is %s", status, class)
		}
	}
}

// TestMetricsNow: what is so when metrics are asked for, in the format of Prometheus, beside
// what is known of the process.
func TestMetricsNow(t *testing.T) {
	m, err := newMetrics()
	if err != nil {
		t.Fatal(err)
	}
	version, work := "version 1", pins.WorkerStats{Queued: 3, Polls: 5}
	if err := m.watch(func() string { return version }, func() pins.WorkerStats { return work }); err != nil {
		t.Fatal(err)
	}
	version, work.Queued = "version 2", 4
	m.keptBy("file")
	answer := httptest.NewRecorder()
	promhttp.HandlerFor(m.registry, promhttp.HandlerOpts{}).ServeHTTP(answer, httptest.NewRequest("GET", "/metrics", nil))
	for _, line := range []string{
		`pin_gateway_policy_info{version="version 2"} 1`, "pin_gateway_pins_queue_length 4", "pin_gateway_pins_polls 5",
		`pin_gateway_audit_sink_failures_total{sink="file"} 0`, "pin_gateway_audit_checkpoint_failures_total 0", "pin_gateway_policy_reload_failures_total 0",
		`pin_gateway_peer_requests_total{operation="pin",result="error"} 0`,
	} {
		if !strings.Contains(answer.Body.String(), line+"\n") {
			t.Errorf("there is no %s in\n%s", line, answer.Body)
		}
	}
	if strings.Contains(answer.Body.String(), "version 1") {
		t.Error("it still has what was so before")
	}
	for _, name := range []string{"go_goroutines", "process_cpu_seconds_total"} {
		if !strings.Contains(answer.Body.String(), "\n"+name+" ") {
			t.Errorf("there is no %s", name)
		}
	}
	if err := m.register(m.peer); err == nil {
		t.Error("what is there twice is no error")
	}
}

// TestMetricsOfPeers: a peer that fails is counted, and one that is not asked to the end is not.
func TestMetricsOfPeers(t *testing.T) {
	m, err := newMetrics()
	if err != nil {
		t.Fatal(err)
	}
	var status atomic.Int64
	status.Store(http.StatusInternalServerError)
	server := httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", "application/json")
		w.WriteHeader(int(status.Load()))
		_, _ = io.WriteString(w, `{"code": 0, "message": "pin is not part of the pinset"}`)
	}))
	defer server.Close()
	p, err := newPeer(config.Config{Name: "g", Peers: config.Peers{URLs: []string{server.URL}}}, m.asked)
	if err != nil {
		t.Fatal(err)
	}
	defer p.client.Close()
	const cid = "bafkreigh2akiscaildcqabsyg3dfr6chu3fgpregiymsck7e7aqa4s52zy"
	_ = p.Pin(t.Context(), pins.PeerPin{CID: cid})
	_ = p.Unpin(t.Context(), cid)
	_, _ = p.Status(t.Context(), []string{cid})
	status.Store(http.StatusNotFound)
	if err := p.Unpin(t.Context(), cid); err != nil {
		t.Fatal(err)
	}
	ended, end := context.WithCancel(t.Context())
	end()
	if err := p.Unpin(ended, cid); err == nil {
		t.Error("a peer is asked after the end")
	}
	got := counted(t, m)
	for name, want := range map[string]float64{"pin error": 1, "unpin error": 1, "status error": 1, "unpin ok": 1, "pin ok": 0, "status ok": 0} {
		if is := got["pin_gateway_peer_requests_total "+name]; is != want {
			t.Errorf("%s is %v, want %v", name, is, want)
		}
	}
}

// TestMetricsPage: the page has all metrics and no other, each with its labels.
func TestMetricsPage(t *testing.T) {
	m, err := newMetrics()
	if err != nil {
		t.Fatal(err)
	}
	if err := m.watch(func() string { return "v" }, func() pins.WorkerStats { return pins.WorkerStats{} }); err != nil {
		t.Fatal(err)
	}
	m.observe(door.Seen{API: "a", Refused: "r"})
	m.keptBy("file")
	families, err := m.registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	page, err := os.ReadFile("../../docs/gateway-metrics.md")
	if err != nil {
		t.Fatal(err)
	}
	listed := make(map[string]string)
	for _, row := range regexp.MustCompile("(?m)^\\| `(pin_gateway_\\w+)` \\| (\\w+) \\| ([^|]*) \\|").FindAllStringSubmatch(string(page), -1) {
		listed[row[1]] = row[2] + ": " + strings.ReplaceAll(row[3], "`", "")
	}
	for _, family := range families {
		if !strings.HasPrefix(family.GetName(), "pin_gateway_") {
			continue
		}
		var labels []string
		for _, label := range family.GetMetric()[0].GetLabel() {
			labels = append(labels, label.GetName())
		}
		want := strings.ToLower(dto.MetricType_name[int32(family.GetType())]) + ": " + strings.Join(labels, ", ")
		if listed[family.GetName()] != want {
			t.Errorf("the page says of %s %q, and it is %q", family.GetName(), listed[family.GetName()], want)
		}
		delete(listed, family.GetName())
	}
	for name := range listed {
		t.Errorf("the page has %s, which is not there", name)
	}
}
