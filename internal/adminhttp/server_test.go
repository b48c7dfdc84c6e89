package adminhttp

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

func serve(t *testing.T, opts Options) string {
	t.Helper()
	if opts.Gatherer == nil {
		opts.Gatherer = prometheus.NewRegistry()
	}
	if opts.Listen == "" {
		opts.Listen = "127.0.0.1:0"
	}
	s, err := Listen(t.Context(), opts)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() {
		if err := s.Close(); err != nil {
			t.Error(err)
		}
	})
	_, port, err := net.SplitHostPort(s.Addr().String())
	if err != nil {
		t.Fatal(err)
	}
	return "http://127.0.0.1:" + port
}

func get(t *testing.T, url string) (int, string) {
	t.Helper()
	resp, err := http.Get(url)
	if err != nil {
		t.Fatal(err)
	}
	defer resp.Body.Close()
	body, err := io.ReadAll(resp.Body)
	if err != nil {
		t.Fatal(err)
	}
	return resp.StatusCode, string(body)
}

func TestAnswers(t *testing.T) {
	registry := prometheus.NewRegistry()
	registry.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "x_open", Help: "x"}, func() float64 { return 7 }))
	url := serve(t, Options{Gatherer: registry, More: map[string]http.Handler{
		"/debug/more": http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { WriteJSON(w, http.StatusOK, []int{1}) }),
	}})
	for _, tc := range []struct {
		path   string
		status int
		want   string
	}{
		{"/metrics", 200, "x_open 7"},
		{"/livez", 200, "ok\n"},
		{"/readyz", 200, `"ready": true`},
		{"/debug/pprof/", 200, "goroutine"},
		{"/debug/pprof/goroutine?debug=2", 200, "goroutine "},
		{"/debug/pprof/cmdline", 200, "test"},
		{"/debug/pprof/profile?seconds=301", 400, "0 to 300"},
		{"/debug/pprof/heap?seconds=-1", 400, "0 to 300"},
		{"/debug/pprof/trace?seconds=NaN", 400, "0 to 300"},
		{"/debug/more", 200, "1"},
		{"/", 404, ""},
	} {
		if status, body := get(t, url+tc.path); status != tc.status || !strings.Contains(body, tc.want) {
			t.Errorf("%s: %d %.300s, want %d with %q", tc.path, status, body, tc.status, tc.want)
		}
	}
	resp, err := http.Post(url+"/metrics", "", nil)
	if err != nil {
		t.Fatal(err)
	}
	_ = resp.Body.Close()
	if resp.StatusCode != http.StatusMethodNotAllowed {
		t.Errorf("POST /metrics: %s", resp.Status)
	}
}

// TestOneWrongMetric does not hide the others.
func TestOneWrongMetric(t *testing.T) {
	good, bad := prometheus.NewRegistry(), prometheus.NewRegistry()
	good.MustRegister(prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: "x_good", Help: "x"}, func() float64 { return 1 }))
	bad.MustRegister(wrong{})
	if status, body := get(t, serve(t, Options{Gatherer: prometheus.Gatherers{bad, good}})+"/metrics"); status != http.StatusOK || !strings.Contains(body, "x_good 1") {
		t.Errorf("%d %s", status, body)
	}
}

type wrong struct{}

func (wrong) Describe(chan<- *prometheus.Desc) {}

func (wrong) Collect(to chan<- prometheus.Metric) {
	to <- prometheus.NewInvalidMetric(prometheus.NewDesc("x_bad", "x", nil, nil), errors.New("broken"))
}

func TestProfilesAreFew(t *testing.T) {
	url := serve(t, Options{})
	release := make(chan struct{})
	entered := make(chan struct{}, maxProfiles)
	mux := http.NewServeMux()
	addProfile(mux, make(chan struct{}, maxProfiles), "/slow", func(http.ResponseWriter, *http.Request) {
		entered <- struct{}{}
		<-release
	})
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		t.Fatal(err)
	}
	go func() { _ = server.Serve(listener) }()
	defer server.Close()
	slow := "http://" + listener.Addr().String() + "/slow"
	ended := make(chan struct{})
	for range maxProfiles {
		go func() {
			defer func() { ended <- struct{}{} }()
			if resp, err := http.Get(slow); err == nil {
				_ = resp.Body.Close()
			}
		}()
	}
	for range maxProfiles {
		<-entered
	}
	if status, body := get(t, slow); status != http.StatusServiceUnavailable || !strings.Contains(body, "already") {
		t.Errorf("one more than %d: %d %s", maxProfiles, status, body)
	}
	close(release)
	for range maxProfiles {
		<-ended
	}
	if status, _ := get(t, slow); status != http.StatusOK {
		t.Errorf("after the others: %d", status)
	}
	if status, _ := get(t, url+"/debug/pprof/heap"); status != http.StatusOK {
		t.Errorf("the listener takes no profile: %d", status)
	}
}

// TestPortTaken: the error says what, where and which setting.
func TestPortTaken(t *testing.T) {
	taken := strings.TrimPrefix(serve(t, Options{}), "http://")
	_, err := Listen(t.Context(), Options{Listen: taken, Setting: "observations.admin.listen", Gatherer: prometheus.NewRegistry()})
	want := fmt.Sprintf("observations.admin.listen: another process listens on %s already: use another port", taken)
	if err == nil || !strings.HasPrefix(err.Error(), want) {
		t.Errorf("got %v, want %s", err, want)
	}
	_, err = Listen(t.Context(), Options{Listen: "192.0.2.1:1", Setting: "x.listen", Gatherer: prometheus.NewRegistry()})
	if err == nil || !strings.HasPrefix(err.Error(), `x.listen: cannot listen on "192.0.2.1:1": `) {
		t.Errorf("an address of another machine: %v", err)
	}
}

func TestWarnsBeyondLoopback(t *testing.T) {
	var said []string
	warn := func(text string) { said = append(said, text) }
	serve(t, Options{Warn: warn})
	serve(t, Options{Listen: "[::1]:0", Warn: warn})
	if len(said) != 0 {
		t.Errorf("loopback: %q", said)
	}
	serve(t, Options{Listen: "0.0.0.0:0", Setting: "x.listen", Warn: warn})
	if len(said) != 1 || !strings.Contains(said[0], "x.listen is") || !strings.Contains(said[0], "not a loopback address") {
		t.Errorf("all addresses: %q", said)
	}
}

func readyz(t *testing.T, url string) (int, Report) {
	t.Helper()
	status, body := get(t, url+"/readyz")
	var report Report
	if err := json.Unmarshal([]byte(body), &report); err != nil {
		t.Fatalf("%s: %v", body, err)
	}
	return status, report
}

func TestReadyz(t *testing.T) {
	var r Readiness
	var database, nats atomic.Pointer[error]
	check := func(p *atomic.Pointer[error]) func(context.Context) error {
		return func(context.Context) error {
			if err := p.Load(); err != nil {
				return *err
			}
			return nil
		}
	}
	set := func(p *atomic.Pointer[error], err error) { p.Store(&err) }
	r.Add(Check{Name: "database", Run: check(&database)}, Check{Name: "nats", Reported: true, Run: check(&nats)})
	if r.Last() {
		t.Error("ready before the first look")
	}
	url := serve(t, Options{Readiness: &r})
	status, report := readyz(t, url)
	if status != 200 || !report.Ready || !r.Last() || fmt.Sprint(report.Checks) != "[{database true false } {nats true true }]" {
		t.Errorf("all well: %d %+v", status, report)
	}
	set(&nats, errors.New("no server"))
	if status, report = readyz(t, url); status != 200 || !report.Ready || report.Checks[1] != (Outcome{Name: "nats", Reported: true, Error: "no server"}) {
		t.Errorf("without what is reported only: %d %+v", status, report)
	}
	set(&database, errors.New("it is down"))
	if status, report = readyz(t, url); status != 503 || report.Ready || r.Last() || report.Checks[0] != (Outcome{Name: "database", Error: "it is down"}) {
		t.Errorf("without the database: %d %+v", status, report)
	}
	set(&database, nil)
	if status, _ = readyz(t, url); status != 200 || !r.Last() {
		t.Errorf("again: %d", status)
	}
}

// TestOwnMachine: profiles and the log are for clients on the same machine, all else for all.
func TestOwnMachine(t *testing.T) {
	h := handler(Options{Gatherer: prometheus.NewRegistry(), More: map[string]http.Handler{"/debug/log": http.NotFoundHandler()}})
	for from, want := range map[string]int{"127.0.0.1:5": http.StatusOK, "[::1]:5": http.StatusOK, "[::ffff:127.0.0.1]:5": http.StatusOK, "192.0.2.7:5": http.StatusForbidden, "nonsense": http.StatusForbidden} {
		ask := func(path string) int {
			r := httptest.NewRequest(http.MethodGet, path, nil)
			r.RemoteAddr = from
			w := httptest.NewRecorder()
			h.ServeHTTP(w, r)
			return w.Code
		}
		if got := ask("/debug/pprof/cmdline"); got != want {
			t.Errorf("profiles from %s: %d, not %d", from, got, want)
		}
		if got := ask("/debug/log"); (got == http.StatusForbidden) != (want == http.StatusForbidden) {
			t.Errorf("the log from %s: %d", from, got)
		}
		if got := ask("/livez"); got != http.StatusOK {
			t.Errorf("/livez from %s: %d", from, got)
		}
	}
}
