package monitoring

import (
	"bufio"
	"fmt"
	"net"
	"net/http"
	"os"
	"os/exec"
	"strconv"
	"strings"
	"sync/atomic"
	"syscall"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/collectors"
	"github.com/prometheus/client_golang/prometheus/promhttp"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest/child"
)

// THE STAND-IN. It is a process of its own that exports the series of a peer and pretends to
// pin: Prometheus scrapes it as it would a peer, SIGSTOP stops it as it would a peer, and its
// numbers are made up. startSystem is the one place that knows it: a system of real peers
// takes its place there.

// system is what the live test watches and breaks.
type system interface {
	// targets are the addresses of the listeners for operators, by the job of Prometheus.
	targets() map[string][]string
	// latePins has that share of the pins, in percent, take longer than 60 s from now on.
	latePins(t *testing.T, percent int)
	// database has the database serve, or not.
	database(t *testing.T, serves bool)
	// stopPeer stops one peer, and goOn lets it go on. It returns its address.
	stopPeer(t *testing.T) string
	goOn(t *testing.T)
}

// startSystem starts what is watched.
func startSystem(t *testing.T) system {
	t.Helper()
	return standins{startStandin(t), startStandin(t), startStandin(t)}
}

// standins are peers, the last of which is stopped.
type standins []*standin

func (s standins) targets() map[string][]string {
	var addresses []string
	for _, one := range s {
		addresses = append(addresses, one.address)
	}
	return map[string][]string{"ipfs-cluster": addresses}
}

func (s standins) latePins(t *testing.T, percent int) {
	t.Helper()
	for _, one := range s {
		one.tell(t, "late", percent)
	}
}

func (s standins) database(t *testing.T, serves bool) {
	t.Helper()
	value := 0
	if serves {
		value = 1
	}
	for _, one := range s {
		one.tell(t, "serving", value)
	}
}

func (s standins) stopPeer(t *testing.T) string {
	t.Helper()
	last := s[len(s)-1]
	last.signal(t, syscall.SIGSTOP)
	return last.address
}

func (s standins) goOn(t *testing.T) {
	t.Helper()
	s[len(s)-1].signal(t, syscall.SIGCONT)
}

// standin is one process.
type standin struct {
	process *child.Process
	address string
}

// standinVariable makes the binary of the tests a stand-in.
const standinVariable = "MONITORING_STANDIN"

func TestMain(m *testing.M) {
	if os.Getenv(standinVariable) == "1" {
		fmt.Fprintln(os.Stderr, "stand-in:", runStandin())
		os.Exit(1)
	}
	os.Exit(m.Run())
}

func startStandin(t *testing.T) *standin {
	t.Helper()
	self, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.Command(self)
	cmd.Env = append(os.Environ(), standinVariable+"=1")
	cmd.Stderr = os.Stderr
	out, err := cmd.StdoutPipe()
	if err != nil {
		t.Fatal(err)
	}
	process, err := child.Start(cmd)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(process.Kill)
	address, err := bufio.NewReader(out).ReadString('\n')
	if err != nil {
		t.Fatalf("the stand-in says no address: %v", err)
	}
	return &standin{process, strings.TrimSpace(address)}
}

func (s *standin) signal(t *testing.T, signal syscall.Signal) {
	t.Helper()
	if err := s.process.Signal(signal); err != nil {
		t.Fatal(err)
	}
}

func (s *standin) tell(t *testing.T, what string, value int) {
	t.Helper()
	request, err := http.NewRequestWithContext(t.Context(), http.MethodPost, fmt.Sprintf("http://%s/%s?value=%d", s.address, what, value), nil)
	if err != nil {
		t.Fatal(err)
	}
	response, err := http.DefaultClient.Do(request)
	if err != nil {
		t.Fatal(err)
	}
	defer response.Body.Close()
	if response.StatusCode != http.StatusNoContent {
		t.Fatalf("the stand-in answered %s", response.Status)
	}
}

// runStandin is the process. It ends with an error, or is killed.
func runStandin() error {
	registry := prometheus.NewRegistry()
	registry.MustRegister(collectors.NewGoCollector(), collectors.NewProcessCollector(collectors.ProcessCollectorOpts{}))
	gauge := func(name string, value float64, labels prometheus.Labels) prometheus.Gauge {
		g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: "Stand-in.", ConstLabels: labels})
		registry.MustRegister(g)
		g.Set(value)
		return g
	}
	counter := func(name string, labels prometheus.Labels) prometheus.Counter {
		c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: "Stand-in.", ConstLabels: labels})
		registry.MustRegister(c)
		return c
	}
	serving := gauge("cql_client_serving", 1, nil)
	gauge("cql_client_connections", 2, prometheus.Labels{"host": "127.0.0.1:9042", "shard": "0"})
	gauge("cql_client_clock_skew_seconds", 0, nil)
	gauge("ipfscluster_ready", 1, nil)
	gauge("ipfscluster_build_info", 1, prometheus.Labels{"version": "0", "revision": "stand-in"})
	gauge("ipfscluster_state_schema_version", 1, nil)
	gauge("ipfscluster_heartbeat_age_seconds", 1, nil)
	gauge("ipfscluster_peers", 3, prometheus.Labels{"state": "alive"})
	gauge("ipfscluster_peers", 0, prometheus.Labels{"state": "dead"})
	lag := gauge("ipfscluster_feed_lag_seconds", 1, nil)
	gauge("ipfscluster_drift_upper95", 0, nil)
	gauge("ipfscluster_drift_ratio", 0, nil)
	gauge("ipfscluster_drift_sample_size", 600, nil)
	gauge("ipfscluster_drift_last_sweep_timestamp_seconds", float64(time.Now().Unix()), nil)
	gauge("ipfscluster_repin_stopped", 0, nil)
	rows := counter("ipfscluster_feed_rows_total", nil)
	operations := counter("ipfscluster_state_operations_total", prometheus.Labels{"operation": "add", "outcome": "ok"})
	good := counter("ipfscluster_pin_slo_events_total", prometheus.Labels{"result": "good", "content": "available"})
	late := counter("ipfscluster_pin_slo_events_total", prometheus.Labels{"result": "late", "content": "available"})

	var percent atomic.Int64
	mux := http.NewServeMux()
	mux.Handle("GET /metrics", promhttp.HandlerFor(registry, promhttp.HandlerOpts{}))
	mux.HandleFunc("POST /{what}", func(w http.ResponseWriter, r *http.Request) {
		value, err := strconv.Atoi(r.FormValue("value"))
		switch what := r.PathValue("what"); {
		case err != nil:
			http.Error(w, err.Error(), http.StatusBadRequest)
			return
		case what == "late":
			percent.Store(int64(value))
		case what == "serving":
			serving.Set(float64(value))
			lag.Set(float64(1 + 1000*(1-value)))
		default:
			http.NotFound(w, r)
			return
		}
		w.WriteHeader(http.StatusNoContent)
	})
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	if err != nil {
		return fmt.Errorf("listen: %w", err)
	}
	if _, err := fmt.Println(listener.Addr()); err != nil {
		return fmt.Errorf("say the address: %w", err)
	}
	go func() { // ends with the process
		for n := int64(0); ; n++ {
			time.Sleep(50 * time.Millisecond)
			if n*37%100 < percent.Load() {
				late.Inc()
			} else {
				good.Inc()
			}
			rows.Inc()
			operations.Inc()
		}
	}()
	server := &http.Server{Handler: mux, ReadHeaderTimeout: time.Minute}
	return fmt.Errorf("serve: %w", server.Serve(listener))
}
