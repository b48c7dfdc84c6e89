package peerapi

import (
	"context"
	"encoding/pem"
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

	"go.uber.org/goleak"
)

// TestMain looks for requests that go on.
func TestMain(m *testing.M) { goleak.VerifyTestMain(m, goleak.IgnoreCurrent()) }

// nobody is a URL at which no server is.
func nobody(t *testing.T) string {
	t.Helper()
	l, err := net.Listen("tcp", "127.0.0.1:0")
	must(t, err)
	defer l.Close()
	return "http://" + l.Addr().String()
}

// hangs takes requests and does not answer.
func hangs(_ http.ResponseWriter, r *http.Request) {
	_, _ = io.Copy(io.Discard, r.Body) // only then the server sees that the client leaves
	<-r.Context().Done()
}

// counted counts the requests.
func counted(n *atomic.Int32, h http.HandlerFunc) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		n.Add(1)
		h(w, r)
	}
}

// When a peer does not do it the next is asked, and the one that did not answer is asked
// last for a while.
func TestNextPeer(t *testing.T) {
	cluster := newCluster()
	second := cluster.serve(t, anyPort, nil)
	abort := func(w http.ResponseWriter, _ *http.Request) {
		fmt.Fprint(w, `{"cid":`)
		_ = http.NewResponseController(w).Flush()
		panic(http.ErrAbortHandler)
	}
	for name, first := range map[string]struct {
		url   string
		rests bool
	}{
		"nobody": {nobody(t), true}, "hangs": {fake(t, hangs), true}, "breaks off": {fake(t, abort), true},
		"HTML": {fake(t, says(200, "<html>")), true}, "503": {fake(t, says(503, "x")), true}, "502": {fake(t, says(502, "x")), true},
		"500": {fake(t, says(500, "x")), false}, "no socket": {"unix://" + t.TempDir() + "/none", true},
	} {
		t.Run(name, func(t *testing.T) {
			calls := []func(*Client, context.Context) error{
				func(c *Client, ctx context.Context) error { return errOf2(c.Pin(ctx, text("a"), Options{})) },
				func(c *Client, ctx context.Context) error { return errOf(c.Allocation(ctx, text("a"))) },
				func(c *Client, ctx context.Context) error { _, err := c.Status(ctx, []string{text("a")}); return err },
				func(c *Client, ctx context.Context) error { return c.Unpin(ctx, text("a")) },
				func(c *Client, ctx context.Context) error { return c.Health(ctx) },
			}
			if name == "hangs" { // which takes a second
				calls = calls[:1]
			}
			for _, call := range calls {
				c := newClient(t, Config{URLs: []string{first.url, second}, Attempt: time.Second})
				must(t, call(c, t.Context()))
				if rests := c.order()[0].name == second; rests != first.rests {
					t.Errorf("it is asked last: %v", rests)
				}
				past := time.Now().Add(-time.Millisecond)
				c.peers[0].rests.Store(&past)
				if c.order()[0].name != first.url {
					t.Error("it is asked last for ever")
				}
			}
		})
	}
}

func errOf2(_ Allocation, err error) error { return err }

// A peer that hangs does not use up the time of the caller.
func TestNextPeerInTime(t *testing.T) {
	second := newCluster().serve(t, anyPort, nil)
	c := newClient(t, Config{URLs: []string{fake(t, hangs), second}, Attempt: time.Hour})
	ctx, cancel := context.WithTimeout(t.Context(), 4*time.Second)
	defer cancel()
	must(t, c.Unpin(ctx, text("a")))
}

// What a peer refuses another refuses too, and is not asked.
func TestNextPeerIsNotAskedWhatWasRefused(t *testing.T) {
	var n atomic.Int32
	for _, status := range []int{400, 401, 403, 404, 409, 431, 302, 307} {
		c := newClient(t, Config{URLs: []string{fake(t, says(status, "no")), fake(t, counted(&n, says(200, "")))}})
		var refused *Refused
		if err := c.Unpin(t.Context(), text("a")); !errors.As(err, &refused) || refused.Status != status || n.Load() != 0 {
			t.Errorf("%d: %v, %d", status, err, n.Load())
		}
	}
}

func TestRedirectionIsNotFollowed(t *testing.T) {
	var n atomic.Int32
	elsewhere := fake(t, counted(&n, says(204, "")))
	c := newClient(t, Config{URLs: []string{fake(t, func(w http.ResponseWriter, r *http.Request) { http.Redirect(w, r, elsewhere, http.StatusFound) })}})
	if err := c.Health(t.Context()); err == nil || n.Load() != 0 {
		t.Error(err, n.Load())
	}
	if transport, ok := c.peers[0].client.Transport.(*http.Transport); !ok || transport.Proxy != nil {
		t.Error("the proxy settings of the environment count")
	}
}

func TestNoPeerAnswers(t *testing.T) {
	urls := []string{nobody(t), fake(t, says(503, `{"code":503,"message":"the database is down"}`)), fake(t, hangs)}
	c := newClient(t, Config{URLs: urls, Attempt: time.Second})
	err := c.Unpin(t.Context(), text("a"))
	var unreachable *Unreachable
	var failed *Failed
	if !errors.As(err, &unreachable) || unreachable.Peer != urls[0] || unreachable.Timeout() || !errors.As(err, &failed) || failed.Message != "the database is down" {
		t.Error(err)
	}
	for _, url := range urls {
		if !strings.Contains(err.Error(), url) {
			t.Errorf("%s is not in %v", url, err)
		}
	}
	err = newClient(t, Config{URLs: urls[2:], Attempt: time.Second}).Unpin(t.Context(), text("a"))
	if !errors.As(err, &unreachable) || !unreachable.Timeout() {
		t.Error(err)
	}
}

func TestRetryAfter(t *testing.T) {
	for header, want := range map[string]time.Duration{"5": 5 * time.Second, "": 0, "-1": 0, "x": 0, "99999999": time.Hour, "Mon, 30 Nov 2026 12:00:00 GMT": 0} {
		c := newClient(t, Config{URLs: []string{fake(t, func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Retry-After", header)
			w.WriteHeader(503)
		})}})
		var failed *Failed
		if err := c.Health(t.Context()); !errors.As(err, &failed) || failed.RetryAfter != want {
			t.Errorf("%q: %v", header, err)
		}
	}
}

// A caller who leaves says nothing of the peer.
func TestCallerLeaves(t *testing.T) {
	var n atomic.Int32
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := fake(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	c := newClient(t, Config{URLs: []string{first, fake(t, counted(&n, says(204, "")))}})
	if err := c.Health(ctx); !errors.Is(err, context.Canceled) || n.Load() != 0 || c.order()[0].name != first {
		t.Error(err, n.Load())
	}
}

// A connection that the peer closed meanwhile is no failure of the peer.
func TestConnectionThatWasClosed(t *testing.T) {
	var n atomic.Int32
	url := fake(t, func(w http.ResponseWriter, _ *http.Request) {
		if n.Add(1) == 2 {
			conn, _, err := http.NewResponseController(w).Hijack()
			if err == nil {
				_ = conn.Close()
			}
			return
		}
		fmt.Fprintf(w, `{"cid":%q}`, text("a"))
	})
	c := newClient(t, Config{URLs: []string{url}})
	for range 2 {
		if _, err := c.Pin(t.Context(), text("a"), Options{}); err != nil {
			t.Error(err)
		}
	}
	if n.Load() != 3 {
		t.Errorf("%d requests", n.Load())
	}
}

func TestTLS(t *testing.T) {
	server := httptest.NewUnstartedServer(says(204, ""))
	server.Config.ErrorLog = nil
	server.StartTLS()
	defer server.Close()
	ca := file(t, string(pem.EncodeToMemory(&pem.Block{Type: "CERTIFICATE", Bytes: server.Certificate().Raw})))
	must(t, newClient(t, Config{URLs: []string{server.URL + "/"}, CAFile: ca}).Health(t.Context()))
	var unreachable *Unreachable
	if err := newClient(t, Config{URLs: []string{server.URL}}).Health(t.Context()); !errors.As(err, &unreachable) || !strings.Contains(err.Error(), "certificate") {
		t.Error(err)
	}
}

func TestConfigThatIsNone(t *testing.T) {
	password := file(t, "secret")
	for name, config := range map[string]Config{
		"no URL":            {},
		"no scheme":         {URLs: []string{"localhost:9094"}},
		"no host":           {URLs: []string{"http://"}},
		"port only":         {URLs: []string{"http://:9094"}},
		"password in URL":   {URLs: []string{"http://a:b@localhost"}},
		"query":             {URLs: []string{"http://localhost/?a"}},
		"fragment":          {URLs: []string{"http://localhost/#a"}},
		"scheme":            {URLs: []string{"ftp://localhost"}},
		"socket, no path":   {URLs: []string{"unix://"}},
		"socket, relative":  {URLs: []string{"unix://run/sock"}},
		"second":            {URLs: []string{"http://localhost", ""}},
		"user only":         {URLs: []string{"http://localhost"}, User: "a"},
		"password only":     {URLs: []string{"http://localhost"}, PasswordFile: password},
		"no password file":  {URLs: []string{"http://localhost"}, User: "a", PasswordFile: password + "x"},
		"empty password":    {URLs: []string{"http://localhost"}, User: "a", PasswordFile: file(t, "\n")},
		"no CA":             {URLs: []string{"https://localhost"}, CAFile: password + "x"},
		"CA without any":    {URLs: []string{"https://localhost"}, CAFile: password},
		"negative":          {URLs: []string{"https://localhost"}, Attempt: -1},
		"huge password":     {URLs: []string{"http://localhost"}, User: "a", PasswordFile: file(t, strings.Repeat("x", maxFile+1))},
		"not a URL":         {URLs: []string{"http://a b/"}},
		"user with a colon": {URLs: []string{"http://localhost"}, User: "a:b", PasswordFile: password},
	} {
		if _, err := New(config); err == nil || strings.Contains(err.Error(), "secret") {
			t.Errorf("%s: %v", name, err)
		}
	}
}

// A path before that of the API is one.
func TestPathBefore(t *testing.T) {
	var got string
	c := newClient(t, Config{URLs: []string{fake(t, func(w http.ResponseWriter, r *http.Request) {
		got = r.RequestURI
		w.WriteHeader(204)
	}) + "/base%20d/"}})
	if err := c.Health(t.Context()); err != nil || got != "/base%20d/health" {
		t.Error(got, err)
	}
}
