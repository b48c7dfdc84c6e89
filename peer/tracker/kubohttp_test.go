package tracker

import (
	"context"
	"encoding/json"
	"fmt"
	"net/http"
	"net/http/httptest"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/ipfsconn/ipfshttp"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// brokenKubo is a server that answers upstream's connector as Kubo does, but for the
// paths that are broken.
type brokenKubo struct {
	mu     sync.Mutex
	pins   map[string]string // type by CID
	added  int
	broken map[string]http.HandlerFunc
}

func (k *brokenKubo) ServeHTTP(w http.ResponseWriter, r *http.Request) {
	k.mu.Lock()
	defer k.mu.Unlock()
	path, c := strings.TrimPrefix(r.URL.Path, "/api/v0/"), r.URL.Query().Get("arg")
	if path == "pin/ls" && c == "" {
		path = "pin/ls all"
	}
	if path == "pin/add" {
		k.added++
	}
	if broken := k.broken[path]; broken != nil {
		broken(w, r)
		return
	}
	answer := json.NewEncoder(w)
	refuse := func(why string) {
		w.WriteHeader(http.StatusInternalServerError)
		_ = answer.Encode(map[string]any{"Message": why, "Code": 0, "Type": "error"})
	}
	send := func(x any) { _ = answer.Encode(x) }
	switch path {
	case "pin/ls all":
		for c, kind := range k.pins {
			if kind == r.URL.Query().Get("type") {
				send(map[string]string{"Cid": c, "Type": kind})
			}
		}
	case "pin/ls":
		if kind := k.pins[c]; kind == r.URL.Query().Get("type") {
			send(map[string]string{"Cid": c, "Type": kind})
		} else {
			refuse("path '" + c + "' is not pinned")
		}
	case "pin/add":
		k.pins[c] = "recursive"
		send(map[string]any{"Progress": 1})
		send(map[string][]string{"Pins": {c}})
	case "pin/rm":
		if kind := k.pins[c]; kind == "" || kind == "indirect" {
			refuse("not pinned or pinned indirectly")
			return
		}
		delete(k.pins, c)
		send(map[string][]string{"Pins": {c}})
	}
}

func html(w http.ResponseWriter, _ *http.Request) {
	w.Header().Set("Content-Type", "text/html")
	_, _ = w.Write([]byte("<html><body>Log in to go on</body></html>"))
}

// half sends the beginning of an answer and then cuts the connection.
func half(begins string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		_, _ = w.Write([]byte(begins))
		w.(http.Flusher).Flush() //nolint:forcetypeassert // httptest's can
		panic(http.ErrAbortHandler)
	}
}

// trailer sends an answer that looks whole, and its error in the trailer.
func trailer(begins string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.Header().Set("Trailer", "X-Stream-Error")
		_, _ = w.Write([]byte(begins))
		w.(http.Flusher).Flush() //nolint:forcetypeassert // httptest's can
		w.Header().Set("X-Stream-Error", "context canceled")
	}
}

// stalls sends the beginning of an answer and then nothing until the client has left.
func stalls(begins string) http.HandlerFunc {
	return func(w http.ResponseWriter, r *http.Request) {
		_, _ = w.Write([]byte(begins))
		w.(http.Flusher).Flush() //nolint:forcetypeassert // httptest's can
		<-r.Context().Done()
	}
}

// withKubo starts a Tracker with upstream's connector to a server.
func withKubo(t *testing.T, broken map[string]http.HandlerFunc, change ...func(*ipfshttp.Config)) (*rig, *brokenKubo) {
	t.Helper()
	kubo := &brokenKubo{pins: map[string]string{}, broken: broken}
	server := httptest.NewServer(kubo)
	t.Cleanup(server.Close)
	cfg := &ipfshttp.Config{}
	if err := cfg.Default(); err != nil {
		t.Fatal(err)
	}
	host, port, _ := strings.Cut(server.Listener.Addr().String(), ":")
	cfg.NodeAddr = ma.StringCast(fmt.Sprintf("/ip4/%s/tcp/%s", host, port))
	for _, f := range change {
		f(cfg)
	}
	daemon, err := ipfshttp.NewConnector(cfg)
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = daemon.Shutdown(context.Background()) })
	return newRig(t, newStore(), newIPFS(), func(o *Options) { o.Daemon = daemon }), kubo
}

// acts gives the Tracker a change and waits until it is done.
func (r *rig) acts(ch state.Change) {
	r.t.Helper()
	done := make(chan error, 1)
	ch.Done = func(err error) { done <- err }
	_ = r.Act(r.t.Context(), ch)
	select {
	case err := <-done:
		if err != nil {
			r.t.Error(err)
		}
	case <-time.After(time.Minute):
		r.t.Fatal("the change does not end")
	}
}

// await waits for what another goroutine tells.
func (r *rig) await(what string, told <-chan struct{}) {
	r.t.Helper()
	select {
	case <-told:
	case <-time.After(time.Minute):
		r.t.Fatalf("gave up waiting for %s", what)
	}
}

// TestKuboThatMisbehaves: an answer of IPFS that is broken is an error, and nothing
// is noted as pinned that is not.
func TestKuboThatMisbehaves(t *testing.T) {
	const progress, listed = `{"Progress":3}` + "\n", `{"Cid":"%s","Type":"recursive"}` + "\n"
	for name, pinAdd := range map[string]http.HandlerFunc{
		"HTML": html, "half": half(progress), "an error in the trailer": trailer(progress),
		"nothing": func(http.ResponseWriter, *http.Request) {},
	} {
		t.Run("pin/add answers with "+name, func(t *testing.T) {
			r, _ := withKubo(t, map[string]http.HandlerFunc{"pin/add": pinAdd})
			pin := r.own("a")
			r.acts(r.store.set(pin.Cid, pin))
			info := r.Status(t.Context(), pin.Cid)
			if row := r.store.row(pin.Cid); row.Status != state.PlacementPinError || info.Status != api.TrackerStatusPinError || info.Error == "" {
				t.Errorf("row %+v, status %+v", row, info)
			}
		})
	}
	t.Run("pin/rm answers with HTML", func(t *testing.T) {
		r, kubo := withKubo(t, nil)
		pin := r.own("a")
		r.acts(r.store.set(pin.Cid, pin))
		kubo.mu.Lock()
		kubo.broken = map[string]http.HandlerFunc{"pin/rm": html}
		kubo.mu.Unlock()
		noted := make(chan struct{})
		r.store.edit(func() {
			r.store.put = func(row state.Placement) {
				if row.Status == state.PlacementUnpinError {
					close(noted)
					r.store.put = nil
				}
			}
		})
		r.acts(r.store.set(pin.Cid, nil))
		<-noted
		if row := r.store.row(pin.Cid); row.Error != errStillPinned.Error() {
			t.Errorf("row %+v", row)
		}
	})
	for name, pinLs := range map[string]http.HandlerFunc{"HTML": html, "half": half(`{"Cid":`)} {
		t.Run("pin/ls of one answers with "+name, func(t *testing.T) {
			r, _ := withKubo(t, map[string]http.HandlerFunc{"pin/ls": pinLs})
			pin := r.own("a")
			r.store.left(pin, state.PlacementPinned)
			if info := r.Status(t.Context(), pin.Cid); info.Status != api.TrackerStatusClusterError || info.Error == "" {
				t.Errorf("%+v", info)
			}
		})
		t.Run("pin/ls of all answers with "+name, func(t *testing.T) {
			r, _ := withKubo(t, map[string]http.HandlerFunc{"pin/ls all": pinLs})
			r.many(3)
			if infos, err := r.list(0); err == nil || len(infos) != 0 {
				t.Errorf("%d pins are listed, error: %v", len(infos), err)
			}
		})
	}
	for name, end := range map[string]func(string) http.HandlerFunc{"half": half, "an error in the trailer": trailer} {
		t.Run("pin/ls of all ends with "+name, func(t *testing.T) {
			r, kubo := withKubo(t, map[string]http.HandlerFunc{"pin/ls all": end(fmt.Sprintf(listed, statetest.Cid("0")))})
			for i := range 3 {
				pin := r.own(fmt.Sprint(i))
				r.store.left(pin, state.PlacementPinned)
				kubo.pins[pin.Cid.String()] = "recursive"
			}
			infos, err := r.list(api.TrackerStatusPinned)
			if name == "half" && err == nil || err == nil && len(infos) != 3 {
				t.Errorf("%d pins are listed, error: %v", len(infos), err)
			}
		})
	}
	t.Run("pin/ls of all stalls", func(t *testing.T) {
		r, _ := withKubo(t, map[string]http.HandlerFunc{"pin/ls all": stalls(fmt.Sprintf(listed, statetest.Cid("0")))}, func(cfg *ipfshttp.Config) {
			cfg.IPFSRequestTimeout = time.Second / 2 // 5 minutes otherwise, which nothing else bounds
		})
		r.many(3)
		if infos, err := r.list(0); err == nil || len(infos) != 0 {
			t.Errorf("%d pins are listed, error: %v", len(infos), err)
		}
	})
	t.Run("an indirect pin only", func(t *testing.T) {
		r, kubo := withKubo(t, nil)
		pin := r.own("a")
		r.store.left(pin, state.PlacementPinned)
		kubo.pins[pin.Cid.String()] = "indirect"
		if info := r.Status(t.Context(), pin.Cid); info.Status != api.TrackerStatusUnexpectedlyUnpinned {
			t.Errorf("%+v", info)
		}
		noted := make(chan struct{})
		r.store.edit(func() { r.store.put = func(state.Placement) { close(noted) } })
		if _, err := r.Recover(t.Context(), pin.Cid); err != nil {
			t.Fatal(err)
		}
		<-noted
		kubo.mu.Lock()
		defer kubo.mu.Unlock()
		if kubo.pins[pin.Cid.String()] != "recursive" {
			t.Errorf("IPFS has %v", kubo.pins)
		}
	})
}
