package main

import (
	"encoding/json"
	"fmt"
	"io"
	"net/http"
	"net/http/httptest"
	"sync"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/multiformats/go-multiaddr"
	manet "github.com/multiformats/go-multiaddr/net"
)

// standIn takes the place of an IPFS daemon where the requests for pins are what is
// measured: it answers at once, from memory, what a peer asks of Kubo's RPC API.
// Upstream's mock knows no size of what is pinned, and walks over all its pins for
// each look at the free space.
type standIn struct {
	server *httptest.Server
	id     peer.ID
	// all calls f for each of the pins that are there from the beginning, which are
	// not kept in memory, and each of which has asks for. Both may be nil.
	all func(f func(api.Cid) error) error
	has func(c string) bool

	mu   sync.Mutex
	pins map[string]struct{}
}

func newStandIn(id peer.ID) *standIn {
	s := &standIn{id: id, pins: make(map[string]struct{})}
	mux := http.NewServeMux()
	for path, answer := range map[string]func(*http.Request) any{
		"id":          func(*http.Request) any { return map[string]any{"ID": s.id, "Addresses": []string{}} },
		"pin/add":     s.add,
		"pin/rm":      s.remove,
		"files/stat":  func(*http.Request) any { return map[string]int{"Size": 1000, "CumulativeSize": 1000} },
		"repo/stat":   func(*http.Request) any { return map[string]int64{"RepoSize": 1 << 30, "StorageMax": 1 << 40} },
		"swarm/peers": func(*http.Request) any { return map[string]any{"Peers": []any{}} },
	} {
		mux.HandleFunc("/api/v0/"+path, func(w http.ResponseWriter, r *http.Request) { _ = json.NewEncoder(w).Encode(answer(r)) })
	}
	mux.HandleFunc("/api/v0/pin/ls", s.list)
	s.server = httptest.NewServer(mux)
	return s
}

// multiaddr is where the stand-in listens.
func (s *standIn) multiaddr() (multiaddr.Multiaddr, error) {
	return manet.FromNetAddr(s.server.Listener.Addr())
}

func (s *standIn) close() { s.server.Close() }

// held is how many of some pins were added.
func (s *standIn) held(cids []string) int {
	s.mu.Lock()
	defer s.mu.Unlock()
	n := 0
	for _, c := range cids {
		if _, there := s.pins[c]; there {
			n++
		}
	}
	return n
}

func (s *standIn) add(r *http.Request) any {
	c := r.URL.Query().Get("arg")
	s.mu.Lock()
	defer s.mu.Unlock()
	s.pins[c] = struct{}{}
	return map[string][]string{"Pins": {c}}
}

func (s *standIn) remove(r *http.Request) any {
	c := r.URL.Query().Get("arg")
	s.mu.Lock()
	defer s.mu.Unlock()
	delete(s.pins, c)
	return map[string][]string{"Pins": {c}}
}

// list answers for one pin, or streams those of a type. All are recursive.
func (s *standIn) list(w http.ResponseWriter, r *http.Request) {
	query := r.URL.Query()
	if c := query.Get("arg"); c != "" {
		s.mu.Lock()
		_, there := s.pins[c]
		s.mu.Unlock()
		if there || s.has != nil && s.has(c) {
			_, _ = fmt.Fprintf(w, "{\"Cid\":%q,\"Type\":\"recursive\"}\n", c)
			return
		}
		w.WriteHeader(http.StatusInternalServerError)
		_, _ = fmt.Fprintf(w, "{\"Message\":\"path '/ipfs/%s' is not pinned\",\"Code\":0,\"Type\":\"error\"}\n", c)
		return
	}
	if query.Get("type") != "recursive" || s.all == nil {
		return
	}
	_ = s.all(func(c api.Cid) error { // an error is that of a client that has left
		_, err := io.WriteString(w, "{\"Cid\":\""+c.String()+"\",\"Type\":\"recursive\"}\n")
		return err
	})
}
