package source

import (
	"context"
	"errors"
	"net/http"
	"net/http/httptest"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api/rest"
	"github.com/libp2p/go-libp2p"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	rpc "github.com/libp2p/go-libp2p-gorpc"
)

func serve(t *testing.T, h http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(h)
	t.Cleanup(server.Close)
	return "rest:" + server.URL
}

func TestREST(t *testing.T) {
	text, want := exportOf(t, samplePins(t, 200))
	from := serve(t, func(w http.ResponseWriter, r *http.Request) {
		user, password, _ := r.BasicAuth()
		if user != "alice" || password != "secret" {
			w.WriteHeader(http.StatusUnauthorized)
			return
		}
		if r.Method != http.MethodGet || r.URL.String() != "/base/allocations?filter=all" {
			w.WriteHeader(http.StatusNotFound)
			return
		}
		w.Header().Set("Trailer", streamError)
		_, _ = w.Write(text)
		w.Header().Set(streamError, "")
	})
	s, err := Open(t.Context(), from+"/base/", Options{Username: "alice", Password: "secret"})
	ok(t, err)
	got := readAll(t, s)
	sameValues(t, got.values, want)
	if len(got.records) != len(want) || got.records[4].After.Records != 5 || len(got.bad) > 0 {
		t.Errorf("%d records, %v", len(got.records), got.bad)
	}
	if s.ID() != from+"/base" || s.Fingerprint() != "" || len(s.Warnings()) != 1 {
		t.Error(s.ID(), s.Fingerprint(), s.Warnings())
	}
	if n, err := s.Count(t.Context(), nil); n >= 0 || err != nil {
		t.Error(n, err)
	}
	wantError(t, s.Read(t.Context(), got.records[3].After, nil, nil), "only from the first")
	ok(t, s.Close())
	_, err = readFrom(t, open(t, from), Position{})
	wantError(t, err, "--from-username")
}

// TestRESTThatBreaksOffIsAnError, in each of the ways in which it can.
func TestRESTThatBreaksOffIsAnError(t *testing.T) {
	text, _ := exportOf(t, samplePins(t, 20))
	for want, h := range map[string]http.HandlerFunc{
		"it says: the database is gone": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Trailer", streamError)
			_, _ = w.Write(text)
			w.Header().Set(streamError, "the database is gone")
		},
		"unexpected EOF": func(w http.ResponseWriter, _ *http.Request) {
			_, _ = w.Write(text)
			_ = http.NewResponseController(w).Flush()
			panic(http.ErrAbortHandler)
		},
		"not whole": func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(text[:len(text)-20]) },
		"it says 500 Internal Server Error: {\"message\":\"no\"}": func(w http.ResponseWriter, _ *http.Request) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"message":"no"}`))
		},
		"it says 302 Found": func(w http.ResponseWriter, _ *http.Request) {
			w.Header().Set("Location", "/elsewhere")
			w.WriteHeader(http.StatusFound)
		},
	} {
		_, err := readFrom(t, open(t, serve(t, h)), Position{})
		wantError(t, err, want)
	}
	_, err := readFrom(t, open(t, "rest:http://127.0.0.1:1"), Position{})
	wantError(t, err, "refused")
}

func TestRESTBadLineDoesNotEndIt(t *testing.T) {
	text, want := exportOf(t, samplePins(t, 20))
	got := readAll(t, open(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write(append([]byte("{}\n"), text...)) })))
	sameValues(t, got.values, want)
	if len(got.bad) != 1 {
		t.Error(got.bad)
	}
}

func TestRESTEmptyCluster(t *testing.T) {
	got := readAll(t, open(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { w.WriteHeader(http.StatusNoContent) })))
	if len(got.records)+len(got.bad) > 0 {
		t.Error(got)
	}
}

// TestRESTOfSomethingElseIsRefused: its lines are not taken for bad pins.
func TestRESTOfSomethingElseIsRefused(t *testing.T) {
	text, _ := exportOf(t, samplePins(t, 3))
	for _, body := range []string{
		"<!DOCTYPE html>\n<title>Sign in</title>\n", "\n[" + strings.ReplaceAll(strings.TrimSpace(string(text)), "\n", ",") + "]", "null\n", "OK",
	} {
		s := open(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) }))
		got, err := readFrom(t, s, Position{})
		wantError(t, err, "answers with something else than pins", "rest:http://HOST:9094")
		if len(got.bad)+len(got.records) > 0 {
			t.Errorf("%q has %v", body, got)
		}
	}
	for _, body := range []string{"", "\n"} {
		got := readAll(t, open(t, serve(t, func(w http.ResponseWriter, _ *http.Request) { _, _ = w.Write([]byte(body)) })))
		if len(got.bad)+len(got.records) > 0 {
			t.Errorf("%q has %v", body, got)
		}
	}
}

// TestRESTThatIsSilentIsGivenUp: before its answer, before the first pin and behind some.
func TestRESTThatIsSilentIsGivenUp(t *testing.T) {
	text, _ := exportOf(t, samplePins(t, 20))
	for name, begin := range map[string]func(w http.ResponseWriter){
		"no answer": func(http.ResponseWriter) {},
		"no pin":    func(w http.ResponseWriter) { _ = http.NewResponseController(w).Flush() },
		"some pins": func(w http.ResponseWriter) { _, _ = w.Write(text); _ = http.NewResponseController(w).Flush() },
	} {
		t.Run(name, func(t *testing.T) {
			s := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
				begin(w)
				<-r.Context().Done()
			}))
			s.(*restSource).longestSilence = 20 * time.Millisecond
			_, err := readFrom(t, s, Position{})
			wantError(t, err, "sends nothing any more", "20ms")
		})
	}
}

// TestRESTTimeOfTheReaderDoesNotCount: only that in which the server is waited for.
func TestRESTTimeOfTheReaderDoesNotCount(t *testing.T) {
	silence := time.AfterFunc(time.Hour, func() {})
	body := &watched{silence: silence, longest: time.Hour, Reader: readFunc(func([]byte) (int, error) {
		if !silence.Reset(time.Hour) {
			t.Error("it does not run while the server is waited for")
		}
		return 1, nil
	})}
	for range 2 {
		_, err := body.Read(make([]byte, 1))
		ok(t, err)
		if silence.Stop() {
			t.Error("it runs while the reader works")
		}
	}
}

type readFunc func([]byte) (int, error)

func (f readFunc) Read(b []byte) (int, error) { return f(b) }

func TestRESTUnknownAuthorityIsRefused(t *testing.T) {
	server := httptest.NewTLSServer(http.NotFoundHandler())
	defer server.Close()
	_, err := readFrom(t, open(t, "rest:"+server.URL), Position{})
	wantError(t, err, "certificate")
}

func TestRESTEndsWithItsCaller(t *testing.T) {
	text, _ := exportOf(t, samplePins(t, 20))
	done := make(chan struct{})
	s := open(t, serve(t, func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write(text)
		_ = http.NewResponseController(w).Flush()
		<-r.Context().Done()
		close(done)
	}))
	err := s.Read(t.Context(), Position{}, func(Record) error { return errStop }, nil)
	if !errors.Is(err, errStop) {
		t.Error(err)
	}
	select {
	case <-done:
	case <-time.After(10 * time.Second):
		t.Error("the request goes on")
	}
}

// pinsRPC is the part of a peer that the API asks.
type pinsRPC struct{ pins []api.Pin }

// Pins is what /allocations calls.
func (p *pinsRPC) Pins(_ context.Context, _ <-chan struct{}, out chan<- api.Pin) error {
	defer close(out)
	for _, pin := range p.pins {
		out <- pin
	}
	return nil
}

// TestRESTOfUpstream: upstream's own API lists the pins of all types.
func TestRESTOfUpstream(t *testing.T) {
	_, want := exportOf(t, samplePins(t, 50))
	var stored []api.Pin
	for _, pin := range samplePins(t, 50) {
		if value, found := want[pin.Cid.String()]; found {
			var p api.Pin
			ok(t, p.ProtoUnmarshal(value))
			p.Cid = pin.Cid
			stored = append(stored, p)
		}
	}
	cfg := rest.NewConfig()
	ok(t, cfg.Default())
	addr, err := api.NewMultiaddr("/ip4/127.0.0.1/tcp/0")
	ok(t, err)
	cfg.HTTPListenAddr = append(cfg.HTTPListenAddr[:0], addr.Value())
	h, err := libp2p.New(libp2p.NoListenAddrs)
	ok(t, err)
	defer h.Close()
	server := rpc.NewServer(h, "/test")
	ok(t, server.RegisterName("Cluster", &pinsRPC{stored}))
	a, err := rest.NewAPIWithHost(t.Context(), cfg, nil)
	ok(t, err)
	a.SetClient(rpc.NewClientWithServer(h, "/test", server))
	defer func() { ok(t, a.Shutdown(t.Context())) }()
	addrs, err := a.HTTPAddresses()
	ok(t, err)
	s := open(t, "rest:http://"+strings.TrimPrefix(addrs[0], "http://"))
	got := readAll(t, s)
	sameValues(t, got.values, want)
}
