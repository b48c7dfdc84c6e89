package httpserver

import (
	"context"
	"crypto/tls"
	"crypto/x509"
	"fmt"
	"io"
	"net"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	logging "github.com/ipfs/go-log/v2"
)

// patience is how long a test waits for what takes moments.
const patience = 60 * time.Second

func newServer(apis http.Handler, certificate *tls.Certificate, delay time.Duration) *Server {
	return New(apis, certificate, delay, logging.Logger("httpserver"))
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// running is a server that serves.
type running struct {
	url   string
	end   context.CancelFunc
	ended chan error
}

func start(t *testing.T, s *Server) *running {
	t.Helper()
	listener, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	ctx, cancel := context.WithCancel(context.Background())
	r := &running{url: "http://" + listener.Addr().String(), end: cancel, ended: make(chan error, 1)}
	go func() { r.ended <- s.Run(ctx, listener) }()
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
	if err := newServer(http.NotFoundHandler(), nil, 0).Run(context.Background(), listener); err == nil {
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
