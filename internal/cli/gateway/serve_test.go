package gateway

import (
	"bytes"
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"os"
	"os/exec"
	"path/filepath"
	"regexp"
	"strconv"
	"strings"
	"sync"
	"syscall"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/config"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// patience is how long a test waits for what takes moments.
const patience = 60 * time.Second

// running is a server that serves.
type running struct {
	url   string
	end   context.CancelFunc
	ended chan error
}

func start(t *testing.T, s *server) *running {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{url: "http://" + listener.Addr().String(), end: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- s.run(ctx, listener) }()
	t.Cleanup(cancel)
	return r
}

// wait returns what run has returned.
func (r *running) wait(t *testing.T) error {
	t.Helper()
	select {
	case err := <-r.ended:
		return err
	case <-time.After(patience):
		t.Fatal("the server does not end")
		return nil
	}
}

// answer is the status and the body of a request. Each has a connection of its own.
func answer(client *http.Client, method, url string) string {
	request, err := http.NewRequest(method, url, nil)
	if err != nil {
		return err.Error()
	}
	request.Close = true
	response, err := client.Do(request)
	if err != nil {
		return err.Error()
	}
	defer response.Body.Close()
	body, err := io.ReadAll(response.Body)
	if err != nil {
		return err.Error()
	}
	return fmt.Sprintf("%d %s", response.StatusCode, strings.TrimSpace(string(body)))
}

func TestHealth(t *testing.T) {
	apis := http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintf(w, "API %s %s", r.Method, r.URL.EscapedPath())
	})
	s := newServer(apis, nil, 0)
	r := start(t, s)
	for request, want := range map[string]string{
		"GET /health": `200 {"status":"ok"}`, "HEAD /health": "200 ", "POST /health": "200 API POST /health", "GET /health/": "200 API GET /health/",
		"GET //pins": "200 API GET //pins", "GET /a/../pins": "200 API GET /a/../pins", "GET /a%2Fb": "200 API GET /a%2Fb",
	} {
		method, path, _ := strings.Cut(request, " ")
		if got := answer(http.DefaultClient, method, r.url+path); got != want {
			t.Errorf("%s: %s, want %s", request, got, want)
		}
	}
	r.end()
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	// Connections that are still open are told that it ends.
	recorder := httptest.NewRecorder()
	s.http.Handler.ServeHTTP(recorder, httptest.NewRequest("GET", "/health", nil))
	if recorder.Code != http.StatusServiceUnavailable || !strings.Contains(recorder.Body.String(), "ending") {
		t.Errorf("while it ends: %d %s", recorder.Code, recorder.Body)
	}
}

// TestEnding: for as long as the delay, new connections are told that it ends, and all else is
// answered as before.
func TestEnding(t *testing.T) {
	s := newServer(http.HandlerFunc(func(w http.ResponseWriter, _ *http.Request) { fmt.Fprint(w, "API") }), nil, time.Hour)
	waits, over := make(chan time.Duration, 1), make(chan time.Time)
	s.after = func(d time.Duration) <-chan time.Time { waits <- d; return over }
	r := start(t, s)
	if got := answer(http.DefaultClient, "GET", r.url+"/health"); got != `200 {"status":"ok"}` {
		t.Errorf("before: %s", got)
	}
	r.end()
	select {
	case d := <-waits:
		if d != time.Hour {
			t.Errorf("it serves on for %s", d)
		}
	case err := <-r.ended:
		t.Fatalf("it has ended at once: %v", err)
	}
	for path, want := range map[string]string{"/health": `503 {"status":"ending"}`, "/pins": "200 API"} {
		if got := answer(http.DefaultClient, "GET", r.url+path); got != want {
			t.Errorf("while it ends, %s: %s, want %s", path, got, want)
		}
	}
	close(over)
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
	if got := answer(http.DefaultClient, "GET", r.url+"/health"); !strings.Contains(got, "connection refused") {
		t.Errorf("after: %s", got)
	}
}

// TestEndsByItselfWhileEnding: what fails while it ends is not waited for.
func TestEndsByItselfWhileEnding(t *testing.T) {
	s := newServer(http.NotFoundHandler(), nil, time.Hour)
	s.after = func(time.Duration) <-chan time.Time {
		must(t, s.http.Close())
		return nil
	}
	r := start(t, s)
	r.end()
	if err := r.wait(t); err == nil {
		t.Error("no error")
	}
}

// TestDrain: what was begun is answered, with a context that lives, and nothing more is taken.
func TestDrain(t *testing.T) {
	begun, goOn := make(chan struct{}), make(chan struct{})
	s := newServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		close(begun)
		<-goOn
		fmt.Fprintf(w, "done, %v", r.Context().Err())
	}), nil, 0)
	r := start(t, s)
	answered := make(chan string, 1)
	go func() { answered <- answer(&http.Client{}, "GET", r.url+"/pins") }()
	<-begun
	r.end()
	for deadline := time.Now().Add(patience); ; {
		if got := answer(&http.Client{}, "GET", r.url+"/health"); strings.Contains(got, "connection refused") {
			break
		}
		if time.Now().After(deadline) {
			t.Fatal("it still takes connections")
		}
	}
	select {
	case err := <-r.ended:
		t.Fatalf("it has ended before the request was answered: %v", err)
	default:
	}
	close(goOn)
	if got := <-answered; got != "200 done, <nil>" {
		t.Errorf("the request that was begun: %s", got)
	}
	if err := r.wait(t); err != nil {
		t.Error(err)
	}
}

// TestCutOff: who takes longer than the drain is cut off, and that is an error.
func TestCutOff(t *testing.T) {
	begun := make(chan struct{})
	s := newServer(http.HandlerFunc(func(_ http.ResponseWriter, r *http.Request) {
		close(begun)
		<-r.Context().Done()
	}), nil, 0)
	s.drain = time.Millisecond
	r := start(t, s)
	answered := make(chan string, 1)
	go func() { answered <- answer(&http.Client{}, "GET", r.url+"/pins") }()
	<-begun
	r.end()
	if err := r.wait(t); err == nil || err.Error() != "requests that took longer than 1ms were cut off" {
		t.Error(err)
	}
	if got := <-answered; strings.HasPrefix(got, "200") {
		t.Errorf("the request: %s", got)
	}
}

// TestEndsByItself: a listener that fails ends the process with an error.
func TestEndsByItself(t *testing.T) {
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	must(t, listener.Close())
	if err := newServer(http.NotFoundHandler(), nil, 0).run(context.Background(), listener); err == nil {
		t.Error("no error")
	}
}

// TestBounds: an attacker must not keep connections or memory.
func TestBounds(t *testing.T) {
	s := newServer(http.NotFoundHandler(), nil, 0)
	if s.http.ReadHeaderTimeout != headerTimeout || s.http.IdleTimeout != idleTimeout || s.http.MaxHeaderBytes != maxHeader {
		t.Error("the server has no bounds")
	}
	r := start(t, s)
	request, err := http.NewRequest("GET", r.url, nil)
	must(t, err)
	request.Header.Set("X", strings.Repeat("x", 2*maxHeader))
	response, err := http.DefaultClient.Do(request)
	must(t, err)
	must(t, response.Body.Close())
	if response.StatusCode != http.StatusRequestHeaderFieldsTooLarge {
		t.Errorf("a header of %d bytes: %s", 2*maxHeader, response.Status)
	}
}

func TestTLS(t *testing.T) {
	fixture := httptest.NewUnstartedServer(nil)
	fixture.StartTLS()
	certificate := fixture.TLS.Certificates[0]
	fixture.Close()
	r := start(t, newServer(http.NotFoundHandler(), &certificate, 0))
	pool := x509.NewCertPool()
	leaf, err := x509.ParseCertificate(certificate.Certificate[0])
	must(t, err)
	pool.AddCert(leaf)
	url := strings.Replace(r.url, "http:", "https:", 1) + "/health"
	for version, ok := range map[uint16]bool{tls.VersionTLS11: false, tls.VersionTLS12: true, tls.VersionTLS13: true} {
		client := &http.Client{Transport: &http.Transport{ForceAttemptHTTP2: true, TLSClientConfig: &tls.Config{RootCAs: pool, MinVersion: version, MaxVersion: version}}}
		if got := answer(client, "GET", url); (got == `200 {"status":"ok"}`) != ok {
			t.Errorf("%s: %s", tls.VersionName(version), got)
		}
	}
}

// output can be read while a process writes to it.
type output struct {
	mu  sync.Mutex
	buf bytes.Buffer
}

func (o *output) Write(p []byte) (int, error) {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.Write(p)
}

func (o *output) String() string {
	o.mu.Lock()
	defer o.mu.Unlock()
	return o.buf.String()
}

// errorText is the text of an error, empty for none.
func errorText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestServe runs the command as a process: it serves what init has written, a signal ends it
// with exit code 0, and a second one ends it at once.
func TestServe(t *testing.T) {
	server := cqltest.Start(t)
	t.Setenv("PIN_GATEWAY_DATABASE_HOSTS", strings.Join(server.Hosts(), ","))
	t.Setenv("PIN_GATEWAY_DATABASE_PORT", strconv.Itoa(server.Port()))
	t.Setenv("PIN_GATEWAY_DATABASE_KEYSPACE", server.Emptied(t))
	folder := initialized(t)
	// The second signal of the second turn does not wait for the delay.
	for signal, delay := range map[syscall.Signal]string{syscall.SIGTERM: "0s", syscall.SIGINT: "5m"} {
		process := exec.Command(os.Args[0], "--config", filepath.Join(folder, config.FileName), "serve")
		process.Env = append(os.Environ(), asCommand+"=1", "PIN_GATEWAY_LISTEN=127.0.0.1:0", "PIN_GATEWAY_SHUTDOWN_DELAY="+delay, "PIN_GATEWAY_METRICS_LISTEN=127.0.0.1:0")
		out := &output{}
		process.Stdout, process.Stderr = out, out
		process.SysProcAttr = &syscall.SysProcAttr{Pdeathsig: syscall.SIGKILL}
		must(t, process.Start())
		ended := make(chan error, 1)
		go func() { ended <- process.Wait() }()
		var address string
		for deadline := time.Now().Add(patience); address == ""; {
			if m := regexp.MustCompile(`serving http://127\.0\.0\.1:9098 on (\S+)`).FindStringSubmatch(out.String()); m != nil {
				address = m[1]
			}
			if time.Now().After(deadline) {
				t.Fatalf("it does not serve:\n%s", out)
			}
			time.Sleep(time.Millisecond) // the process has nothing else that could be waited for
		}
		if got := answer(http.DefaultClient, "GET", "http://"+address+"/health"); got != `200 {"status":"ok"}` {
			t.Errorf("/health: %s", got)
		}
		if got := answer(http.DefaultClient, "GET", "http://"+address+"/metrics"); !strings.HasPrefix(got, "404") {
			t.Errorf("/metrics is told to all: %s", got)
		}
		if metrics := regexp.MustCompile(`telling metrics on (\S+)`).FindStringSubmatch(out.String()); metrics == nil {
			t.Errorf("it does not say where metrics are:\n%s", out)
		} else if got := answer(http.DefaultClient, "GET", metrics[1]); !strings.HasPrefix(got, "200") || !strings.Contains(got, "\npin_gateway_policy_info{version=") {
			t.Errorf("%s: %s", metrics[1], got)
		} else if got := answer(http.DefaultClient, "GET", strings.Replace(metrics[1], "/metrics", "/readyz", 1)); !strings.HasPrefix(got, "200") || !strings.Contains(got, `"name": "database"`) {
			t.Errorf("/readyz: %s", got)
		}
		must(t, process.Process.Signal(signal))
		want := ""
		if signal == syscall.SIGINT {
			for !strings.HasPrefix(answer(http.DefaultClient, "GET", "http://"+address+"/health"), "503") {
				select {
				case err := <-ended:
					t.Fatalf("one %v ends it, with %v:\n%s", signal, err, out)
				case <-time.After(time.Millisecond): // as above
				}
			}
			go func() { // one that comes in the first moment may be lost
				for process.Process.Signal(signal) == nil {
					time.Sleep(time.Millisecond)
				}
			}()
			want = "signal: interrupt"
		}
		select {
		case err := <-ended:
			if got := errorText(err); got != want {
				t.Errorf("after %v: %s\n%s", signal, got, out)
			}
		case <-time.After(patience):
			t.Errorf("%v does not end it:\n%s", signal, out)
			must(t, process.Process.Kill())
		}
	}

	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer listener.Close()
	t.Setenv("PIN_GATEWAY_LISTEN", listener.Addr().String())
	checkRefused(t, folder, []refusal{{args: []string{"serve"}, want: fmt.Sprintf("listening on %s: listen tcp %s: bind: address already in use", listener.Addr(), listener.Addr())}})
	t.Setenv("PIN_GATEWAY_LISTEN", "127.0.0.1:0")
	t.Setenv("PIN_GATEWAY_METRICS_LISTEN", listener.Addr().String())
	checkRefused(t, folder, []refusal{{args: []string{"serve"}, want: fmt.Sprintf("metrics_listen: another process listens on %s already: use another port, or \"\" for no listener: listen tcp %[1]s: bind: address already in use", listener.Addr())}})
}
