package peerapi

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"net/url"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/routes"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// gateway serves what Forward makes of requests, as the gateway does, and says with what
// error it ended.
func gateway(t *testing.T, c *Client, allowed ...string) (string, <-chan error) {
	t.Helper()
	ended := make(chan error, 100)
	return fake(t, func(w http.ResponseWriter, r *http.Request) {
		route := Request{Method: r.Method, Path: r.URL.Path, Query: r.URL.Query(), Allowed: allowed, Header: routes.Outbound(r.Header), Length: r.ContentLength}
		if r.ContentLength != 0 {
			route.Body = r.Body
		}
		status, err := c.Forward(r.Context(), w, route)
		ended <- err
		switch {
		case status == 0:
			w.WriteHeader(http.StatusBadGateway)
		case err != nil:
			panic(http.ErrAbortHandler)
		}
	}), ended
}

// reply is what a client got.
type reply struct {
	status          int
	header, trailer http.Header
	length          int64
}

// send sends a request and returns the answer with its body.
func send(t *testing.T, method, url, body string, header http.Header) (reply, string, error) {
	t.Helper()
	r, err := http.NewRequestWithContext(t.Context(), method, url, strings.NewReader(body))
	must(t, err)
	for name, values := range header {
		r.Header[name] = values
	}
	response, err := http.DefaultClient.Do(r)
	if err != nil {
		return reply{}, "", err
	}
	defer response.Body.Close()
	text, err := io.ReadAll(response.Body)
	return reply{response.StatusCode, response.Header, response.Trailer, response.ContentLength}, string(text), err
}

// Routes of upstream's API that the gateway sends on.
func TestForwardToUpstream(t *testing.T) {
	cluster := newCluster()
	c := newClient(t, Config{URLs: []string{cluster.serve(t, anyPort, map[string]string{"gateway": "right"})}, User: "gateway", PasswordFile: file(t, "right")})
	front, _ := gateway(t, c, "local")
	client := http.Header{"Authorization": {"Bearer of the client"}, "Origin": {"https://example.org"}, "Cookie": {"a=b"}}
	response, body, err := send(t, "GET", front+"/peers", "", client)
	if err != nil || response.status != 200 || strings.Count(body, "\n") != 3 || response.header.Get("Content-Type") != "application/json" || response.trailer.Get(streamError) != "" {
		t.Error(response, body, err)
	}
	for name := range response.header {
		if strings.HasPrefix(name, "Access-Control") {
			t.Errorf("the peer says %s: %q", name, response.header[name])
		}
	}
	cluster.err = errors.New("the database is gone")
	response, _, err = send(t, "GET", front+"/peers", "", client)
	if err != nil || response.status != 200 || response.trailer.Get(streamError) != "the database is gone" {
		t.Error(response.trailer, err)
	}
	response, body, err = send(t, "GET", front+"/id", "", client)
	if err != nil || response.status != 500 || !strings.Contains(body, "the database is gone") {
		t.Error(response, body, err)
	}
	if _, body, err = send(t, "POST", front+"/pins/recover?local=true", "", client); err != nil || !strings.Contains(body, statetest.Cid("local").String()) {
		t.Error(body, err)
	}
	if response, _, err = send(t, "POST", front+"/pins/recover?local=false&local=true&other=x", "", client); err != nil || response.status != 204 {
		t.Error(response, err)
	}
}

// What goes to the peer, and what comes back from it.
func TestForwardHeaders(t *testing.T) {
	var got *http.Request
	var sent string
	peer := fake(t, func(w http.ResponseWriter, r *http.Request) {
		body, _ := io.ReadAll(r.Body)
		got, sent = r, string(body)
		for _, name := range []string{"Set-Cookie", "Www-Authenticate", "Authentication-Info", "Access-Control-Allow-Origin", "Server", "Proxy-Authenticate", "Keep-Alive", "Location", "X-Other"} {
			w.Header().Set(name, "x")
		}
		w.Header().Set("Retry-After", "7")
		w.Header().Set("Content-Type", "text/plain")
		w.WriteHeader(418)
		fmt.Fprint(w, "short")
	})
	c := newClient(t, Config{URLs: []string{peer}, User: "gateway", PasswordFile: file(t, "right")})
	front, ended := gateway(t, c, "a", "b")
	response, body, err := send(t, "POST", front+"/ipfs/gc?a=1%202&b=3&b=4&c=5", "the body", http.Header{
		"Authorization": {"Bearer of the client"}, "Cookie": {"a=b"}, "X-Forwarded-For": {"1.2.3.4"}, "Connection": {"close"}, "Te": {"trailers"},
		"Content-Type": {"text/x"}, "Traceparent": {"00-1"},
	})
	if err != nil || response.status != 418 || body != "short" || response.length != 5 || <-ended != nil {
		t.Error(response, body, err)
	}
	for name := range response.header {
		switch name {
		case "Retry-After", "Content-Type", "Content-Length", "Date", "X-Content-Type-Options":
		default:
			t.Errorf("the client gets %s", name)
		}
	}
	if user, password, _ := got.BasicAuth(); user != "gateway" || password != "right" || got.Method != "POST" || got.URL.RequestURI() != "/ipfs/gc?a=1+2&b=3" || sent != "the body" {
		t.Errorf("%s %s %s %v", got.Method, got.URL, sent, got.Header)
	}
	for name := range got.Header {
		switch name {
		case "Authorization", "Content-Type", "Traceparent", "User-Agent", "Accept-Encoding", "Content-Length":
		default:
			t.Errorf("the peer gets %s", name)
		}
	}
	c = newClient(t, Config{URLs: []string{peer}})
	must(t, errOf3(c.Forward(t.Context(), httptest.NewRecorder(), Request{Method: "GET", Path: "/id", Header: http.Header{"Authorization": {"Bearer of the client"}}})))
	if len(got.Header) > 0 {
		t.Errorf("without a password the peer gets %v", got.Header)
	}
}

func errOf3(_ int, err error) error { return err }

// Nothing is written when the answer is about the gateway.
func TestForwardOfAnswersAboutTheGateway(t *testing.T) {
	for _, status := range []int{401, 407, 301, 302, 307, 304} {
		c := newClient(t, Config{URLs: []string{fake(t, says(status, ""))}})
		w := httptest.NewRecorder()
		var refused *Refused
		got, err := c.Forward(t.Context(), w, Request{Method: "GET", Path: "/id"})
		if !errors.As(err, &refused) || refused.Status != status || got != 0 || len(w.Header()) > 0 || w.Body.Len() > 0 {
			t.Errorf("%d: %d %v", status, got, err)
		}
	}
}

// What may be asked twice is asked of the next peer, and else only what no peer heard.
func TestForwardToTheNextPeer(t *testing.T) {
	for _, test := range []struct {
		method string
		first  func(t *testing.T, n *atomic.Int32) string
		status int // that the client gets, 0 for an error
	}{
		{"GET", func(t *testing.T, _ *atomic.Int32) string { return nobody(t) }, 200},
		{"GET", func(t *testing.T, n *atomic.Int32) string { return fake(t, counted(n, says(503, "x"))) }, 200},
		{"GET", func(t *testing.T, n *atomic.Int32) string { return fake(t, counted(n, hangs)) }, 200},
		{"GET", func(t *testing.T, n *atomic.Int32) string { return fake(t, counted(n, says(404, "x"))) }, 404},
		{"POST", func(t *testing.T, _ *atomic.Int32) string { return nobody(t) }, 200},
		{"POST", func(t *testing.T, n *atomic.Int32) string { return fake(t, counted(n, says(503, "x"))) }, 503},
		{"POST", func(t *testing.T, n *atomic.Int32) string { return fake(t, counted(n, hangs)) }, 0},
		{"DELETE", func(t *testing.T, n *atomic.Int32) string {
			return fake(t, counted(n, func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) }))
		}, 0},
	} {
		var n, second atomic.Int32
		var body string
		c := newClient(t, Config{
			URLs: []string{test.first(t, &n), fake(t, counted(&second, func(_ http.ResponseWriter, r *http.Request) {
				text, _ := io.ReadAll(r.Body)
				body = string(text)
			}))},
			Attempt: 500 * time.Millisecond, Silence: 2 * time.Second,
		})
		r := Request{Method: test.method, Path: "/x"}
		if test.method == "POST" {
			r.Body, r.Length = strings.NewReader("the body"), 8
		}
		w := httptest.NewRecorder()
		status, err := c.Forward(t.Context(), w, r)
		if status != test.status || (err == nil) != (test.status > 0) || status > 0 && w.Code != status || n.Load() > 1 {
			t.Errorf("%+v: %d %v", test, status, err)
		}
		if asked := second.Load() == 1; asked != (test.status == 200) || asked && r.Body != nil && body != "the body" {
			t.Errorf("%+v: the second is asked: %v, with %q", test, asked, body)
		}
		var unreachable *Unreachable
		if status == 0 && !errors.As(err, &unreachable) {
			t.Error(err)
		}
	}
	down := says(503, "all are down")
	w := httptest.NewRecorder()
	status, err := newClient(t, Config{URLs: []string{fake(t, down), fake(t, down)}}).Forward(t.Context(), w, Request{Method: "GET", Path: "/x"})
	if status != 503 || err != nil || w.Body.String() != "all are down" {
		t.Error(status, err, w.Body)
	}
}

// A client gets each piece when it comes.
func TestForwardStreams(t *testing.T) {
	next := make(chan struct{})
	c := newClient(t, Config{URLs: []string{fake(t, func(w http.ResponseWriter, _ *http.Request) {
		for range 3 {
			fmt.Fprintln(w, "a line")
			_ = http.NewResponseController(w).Flush()
			<-next
		}
	})}})
	front, _ := gateway(t, c)
	response, err := http.Get(front)
	must(t, err)
	defer response.Body.Close()
	for range 3 {
		line := make([]byte, 7)
		if _, err := io.ReadFull(response.Body, line); err != nil || string(line) != "a line\n" {
			t.Errorf("%q %v", line, err)
		}
		next <- struct{}{}
	}
}

// An answer that breaks off breaks off for the client too.
func TestForwardBreaksOff(t *testing.T) {
	for name, end := range map[string]http.HandlerFunc{
		"connection": func(http.ResponseWriter, *http.Request) { panic(http.ErrAbortHandler) },
		"silence":    hangs,
	} {
		c := newClient(t, Config{Silence: time.Second, URLs: []string{fake(t, func(w http.ResponseWriter, r *http.Request) {
			fmt.Fprintln(w, "a line")
			_ = http.NewResponseController(w).Flush()
			end(w, r)
		})}})
		front, ended := gateway(t, c)
		response, body, err := send(t, "GET", front, "", nil)
		if err == nil {
			t.Errorf("%s: the client takes it for whole: %v %q", name, response, body)
		}
		var broken *Broken
		var timeout interface{ Timeout() bool }
		err = <-ended
		if !errors.As(err, &broken) || (name == "silence") != (errors.As(err, &timeout) && timeout.Timeout()) {
			t.Errorf("%s: %v", name, err)
		}
	}
	c := newClient(t, Config{URLs: []string{fake(t, hangs)}, Silence: 100 * time.Millisecond})
	status, err := c.Forward(t.Context(), httptest.NewRecorder(), Request{Method: "POST", Path: "/x"})
	var unreachable *Unreachable
	if !errors.As(err, &unreachable) || !unreachable.Timeout() || status != 0 {
		t.Error(status, err)
	}
}

// A GET does not wait for a peer that hangs as content does, also if there is no other peer,
// and not for the rest of its answer either.
func TestForwardOfAGetIsNotPatient(t *testing.T) {
	ctx, cancel := context.WithTimeout(t.Context(), time.Minute)
	defer cancel()
	begins := func(w http.ResponseWriter, r *http.Request) {
		fmt.Fprintln(w, "a line")
		_ = http.NewResponseController(w).Flush()
		hangs(w, r)
	}
	for _, peers := range [][]string{{fake(t, hangs)}, {fake(t, hangs), fake(t, hangs)}, {fake(t, begins)}} {
		c := newClient(t, Config{URLs: peers, Attempt: 100 * time.Millisecond, Silence: time.Hour})
		_, err := c.Forward(ctx, httptest.NewRecorder(), Request{Method: "GET", Path: "/x"})
		var timeout interface{ Timeout() bool }
		if ctx.Err() != nil || !errors.As(err, &timeout) || !timeout.Timeout() {
			t.Errorf("%d peers: %v", len(peers), err)
		}
	}
}

// A client who sends slowly is not a peer that is silent: the time in which it is waited
// for does not count.
func TestForwardWaitsForTheClient(t *testing.T) {
	c := newClient(t, Config{URLs: []string{fake(t, func(w http.ResponseWriter, r *http.Request) { _, _ = io.Copy(w, r.Body) })}})
	w := httptest.NewRecorder()
	status, err := c.Forward(t.Context(), w, Request{Method: "POST", Path: "/add", Body: strings.NewReader("xxxx"), Length: -1})
	if status != 200 || err != nil || w.Body.String() != "xxxx" {
		t.Error(status, err, w.Body)
	}
	silence := &watch{timer: time.AfterFunc(time.Hour, func() {}), limit: time.Hour}
	body := &bodyReader{watch: silence, in: readFunc(func([]byte) (int, error) {
		if silence.timer.Stop() {
			t.Error("it runs while the client is waited for")
		}
		return 1, nil
	})}
	for range 2 {
		_, err := body.Read(make([]byte, 1))
		must(t, err)
		if !silence.timer.Reset(time.Hour) {
			t.Error("it does not run while the peer is waited for")
		}
	}
	silence.stop()
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

// What is wrong with the body of a client is not the peer's: the peer does not rest, and no
// other is asked. It is so, too, when the peer has begun to answer.
func TestForwardOfABodyThatCannotBeRead(t *testing.T) {
	for name, begins := range map[string]bool{"before the answer": false, "in the answer": true} {
		begun := make(chan struct{})
		if !begins {
			close(begun)
		}
		peer := fake(t, func(w http.ResponseWriter, r *http.Request) {
			if begins {
				must(t, http.NewResponseController(w).EnableFullDuplex())
				fmt.Fprintln(w, "a line")
				_ = http.NewResponseController(w).Flush()
			}
			_, _ = io.Copy(io.Discard, r.Body)
		})
		c := newClient(t, Config{URLs: []string{peer, fake(t, func(http.ResponseWriter, *http.Request) { t.Error("the second peer is asked") })}})
		wrong := errors.New("invalid byte in chunk length")
		reads := 0
		body := readFunc(func(b []byte) (int, error) {
			if reads++; reads > 1 {
				<-begun
				return 0, wrong
			}
			return copy(b, "xxxx"), nil
		})
		out := httptest.NewRecorder()
		status, err := c.Forward(t.Context(), writeFunc{out, func() { close(begun) }}, Request{Method: "POST", Path: "/add", Body: body, Length: -1})
		var failed *BodyError
		var unreachable *Unreachable
		if !errors.As(err, &failed) || !errors.Is(err, wrong) || errors.As(err, &unreachable) || (status != 0) != begins {
			t.Errorf("%s: %d %v", name, status, err)
		}
		if c.order()[0].name != peer {
			t.Errorf("%s: the peer rests", name)
		}
	}
}

// writeFunc calls a function at the first write.
type writeFunc struct {
	*httptest.ResponseRecorder
	first func()
}

func (w writeFunc) Write(text []byte) (int, error) {
	if w.Body.Len() == 0 {
		w.first()
	}
	return w.ResponseRecorder.Write(text)
}

// A client who leaves ends the request to the peer, and says nothing of it.
func TestForwardOfAClientWhoLeaves(t *testing.T) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	first := fake(t, func(_ http.ResponseWriter, r *http.Request) {
		cancel()
		<-r.Context().Done()
	})
	c := newClient(t, Config{URLs: []string{first, fake(t, says(200, ""))}})
	status, err := c.Forward(ctx, httptest.NewRecorder(), Request{Method: "GET", Path: "/x", Query: url.Values{"a": nil}})
	if status != 0 || !errors.Is(err, context.Canceled) || c.order()[0].name != first {
		t.Error(status, err)
	}
}

// A peer cannot fill the memory with headers.
func TestForwardOfLargeHeaders(t *testing.T) {
	c := newClient(t, Config{URLs: []string{fake(t, func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Content-Type", string(bytes.Repeat([]byte("x"), 2*maxHeader)))
	})}})
	var unreachable *Unreachable
	if status, err := c.Forward(t.Context(), httptest.NewRecorder(), Request{Method: "GET", Path: "/x"}); status != 0 || !errors.As(err, &unreachable) {
		t.Error(status, err)
	}
}
