package promtest

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/url"
	"os"
	"os/exec"
	"path/filepath"
	"slices"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

// startTimeout is the time that a server may take until it is ready. A test that shares its
// processors with others takes most of it.
const startTimeout = 2 * time.Minute

// Server is a Prometheus or an Alertmanager that runs. Its methods may be called from any
// goroutine.
type Server struct {
	// URL is where it listens, as http://127.0.0.1:port.
	URL string

	name    string
	process *child.Process
	log     string
	http    *http.Client
}

// StartPrometheus starts a Prometheus with a configuration, the path of a file. It is ready
// when StartPrometheus returns, and ends with the test.
func StartPrometheus(tb testing.TB, tools Tools, config string) *Server {
	tb.Helper()
	dir := tb.TempDir()
	return start(tb, "Prometheus", dir, tools.Prometheus, func(address string) []string {
		return []string{"--config.file=" + config, "--storage.tsdb.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address, "--log.level=warn"}
	})
}

// StartAlertmanager starts an Alertmanager with a configuration, the path of a file. It is
// ready when StartAlertmanager returns, and ends with the test.
func StartAlertmanager(tb testing.TB, tools Tools, config string) *Server {
	tb.Helper()
	dir := tb.TempDir()
	if tools.templates != "" {
		if err := os.CopyFS(dir, os.DirFS(tools.templates)); err != nil {
			tb.Fatal(err)
		}
	}
	return start(tb, "Alertmanager", dir, tools.Alertmanager, func(address string) []string {
		return []string{"--config.file=" + config, "--storage.path=" + filepath.Join(dir, "data"), "--web.listen-address=" + address, "--cluster.listen-address="}
	})
}

// start starts a program that is told its address, and waits until it is ready. Neither
// program can be given port 0 and asked which one it took, so a free one is looked for; if
// somebody else takes it first, another one is.
func start(tb testing.TB, name, dir, program string, args func(address string) []string) *Server {
	tb.Helper()
	var err error
	for range 3 {
		var s *Server
		if s, err = try(tb.Context(), name, dir, program, args); err == nil {
			tb.Cleanup(s.process.Kill)
			tb.Cleanup(s.http.CloseIdleConnections)
			return s
		}
	}
	tb.Fatal(err)
	return nil
}

func try(ctx context.Context, name, dir, program string, args func(address string) []string) (*Server, error) {
	address, err := freeAddress()
	if err != nil {
		return nil, err
	}
	log, err := os.CreateTemp(dir, "log-")
	if err != nil {
		return nil, fmt.Errorf("make the log of %s: %w", name, err)
	}
	defer log.Close()
	cmd := exec.Command(program, args(address)...)
	cmd.Dir, cmd.Stdout, cmd.Stderr = dir, log, log
	cmd.SysProcAttr = &syscall.SysProcAttr{Setpgid: true}
	process, err := child.Start(cmd)
	if err != nil {
		return nil, fmt.Errorf("start %s: %w", name, err)
	}
	s := &Server{
		URL: "http://" + address, name: name, process: process, log: log.Name(),
		http: &http.Client{Transport: &http.Transport{}, Timeout: startTimeout},
	}
	if err := s.waitReady(ctx); err != nil {
		process.Kill()
		text, logErr := os.ReadFile(s.log)
		return nil, errors.Join(fmt.Errorf("%s: %w; its log:\n%s", name, err, text), logErr)
	}
	return s, nil
}

func freeAddress() (string, error) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return "", fmt.Errorf("look for a free port: %w", err)
	}
	return listener.Addr().String(), listener.Close()
}

func (s *Server) waitReady(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, startTimeout)
	defer cancel()
	tick := time.NewTicker(100 * time.Millisecond)
	defer tick.Stop()
	for {
		if _, err := s.get(ctx, "/-/ready"); err == nil {
			return nil
		}
		select {
		case <-tick.C:
		case <-s.process.Exited():
			return fmt.Errorf("it has ended: %w", s.process.Wait())
		case <-ctx.Done():
			return fmt.Errorf("it is not ready: %w", ctx.Err())
		}
	}
}

func (s *Server) get(ctx context.Context, path string) ([]byte, error) {
	request, err := http.NewRequestWithContext(ctx, http.MethodGet, s.URL+path, nil)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.name, err)
	}
	response, err := s.http.Do(request)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.name, err)
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return nil, fmt.Errorf("ask %s: %w", s.name, err)
	}
	if response.StatusCode != http.StatusOK {
		return nil, fmt.Errorf("%s answered %s to %s: %s", s.name, response.Status, path, body)
	}
	return body, nil
}

// Sample is one series of an answer of Prometheus.
type Sample struct {
	Metric map[string]string
	// Value is a time in seconds and the value as text.
	Value [2]any
}

// Query returns what an expression of PromQL is now. An expression that Prometheus does not
// take ends the test.
func (s *Server) Query(tb testing.TB, expression string) []Sample {
	tb.Helper()
	body, err := s.get(tb.Context(), "/api/v1/query?query="+url.QueryEscape(expression))
	if err != nil {
		tb.Fatal(err)
	}
	var answer struct{ Data struct{ Result []Sample } }
	if err := json.Unmarshal(body, &answer); err != nil {
		tb.Fatalf("the answer of %s: %v", s.name, err)
	}
	return answer.Data.Result
}

// Line is one series of an answer of Prometheus about a span of time.
type Line struct {
	Metric map[string]string
	// Values are each a time in seconds and the value as text.
	Values [][2]any
}

// QueryRange returns what an expression of PromQL was from one time to another, at each step.
func (s *Server) QueryRange(ctx context.Context, expression string, from, to time.Time, step time.Duration) ([]Line, error) {
	query := url.Values{"query": {expression}, "step": {fmt.Sprint(step.Seconds())}}
	query.Set("start", fmt.Sprint(from.Unix()))
	query.Set("end", fmt.Sprint(to.Unix()))
	body, err := s.get(ctx, "/api/v1/query_range?"+query.Encode())
	if err != nil {
		return nil, err
	}
	var answer struct{ Data struct{ Result []Line } }
	if err := json.Unmarshal(body, &answer); err != nil {
		return nil, fmt.Errorf("the answer of %s: %w", s.name, err)
	}
	return answer.Data.Result, nil
}

// Alert is what Alertmanager has.
type Alert struct {
	Labels map[string]string
	Status struct {
		// State is active, suppressed or unprocessed.
		State string
	}
}

// WaitForAlerts waits until Alertmanager has at least that many alerts of a name, of which it
// says a state, and returns them.
func (s *Server) WaitForAlerts(tb testing.TB, name string, count int, timeout time.Duration) []Alert {
	tb.Helper()
	deadline := time.After(timeout)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		body, err := s.get(tb.Context(), "/api/v2/alerts?filter="+url.QueryEscape(fmt.Sprintf("alertname=%q", name)))
		if err != nil {
			tb.Fatal(err)
		}
		var alerts []Alert
		if err := json.Unmarshal(body, &alerts); err != nil {
			tb.Fatalf("the answer of %s: %v", s.name, err)
		}
		if len(alerts) >= count && !slices.ContainsFunc(alerts, func(a Alert) bool { return a.Status.State == "unprocessed" }) {
			return alerts
		}
		select {
		case <-tick.C:
		case <-deadline:
			tb.Fatalf("%s has these alerts of the name %s after %v: %s", s.name, name, timeout, body)
		}
	}
}

// WaitFor waits until an expression has a result, and returns it.
func (s *Server) WaitFor(tb testing.TB, expression string, timeout time.Duration) []Sample {
	tb.Helper()
	deadline := time.After(timeout)
	tick := time.NewTicker(500 * time.Millisecond)
	defer tick.Stop()
	for {
		if result := s.Query(tb, expression); len(result) > 0 {
			return result
		}
		select {
		case <-tick.C:
		case <-s.process.Exited():
			tb.Fatalf("%s has ended: %v", s.name, s.process.Wait())
		case <-deadline:
			tb.Fatalf("%s has no result after %v", expression, timeout)
		}
	}
}
