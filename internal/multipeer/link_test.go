package multipeer

import (
	"bufio"
	"errors"
	"fmt"
	"net"
	"net/http"
	"net/http/httptest"
	"net/http/httputil"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// link is the way of one peer to the database. It listens at the addresses of
// the nodes, which the driver learns from them, at another port.
type link struct {
	tally *tally
	port  int

	mu        sync.Mutex
	closed    bool
	listeners []net.Listener
	conns     map[net.Conn]struct{}
	open      chan struct{} // closed while data pass
	// drop says which requests get lost, by their text and first value. It may
	// be nil.
	drop    func(text string, first []byte) bool
	running sync.WaitGroup
}

func newLink(tb testing.TB, server *cqltest.Server) *link {
	tb.Helper()
	if why := noRoom(server.Hosts()); why != "" {
		cqltest.Unavailable(tb, fmt.Errorf("%s: %s", server.Name(), why))
	}
	l := &link{tally: newTally(), conns: make(map[net.Conn]struct{}), open: make(chan struct{})}
	close(l.open)
	tb.Cleanup(l.cut)
	for _, host := range server.Hosts() {
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(l.port)))
		if err != nil {
			tb.Fatalf("listening beside the database: %s", err)
		}
		l.port = listener.Addr().(*net.TCPAddr).Port
		l.listeners = append(l.listeners, listener)
		to := net.JoinHostPort(host, strconv.Itoa(server.Port()))
		l.running.Go(func() { l.accept(listener, to) })
	}
	return l
}

// noRoom says why a link cannot stand before nodes at these addresses, nothing
// if it can: it listens there as well.
func noRoom(hosts []string) string {
	for _, host := range hosts {
		if ip := net.ParseIP(host); host != "localhost" && (ip == nil || !ip.IsLoopback()) {
			return "these tests put themselves between peers and database, at its own address, which must be a loopback one, not " + host +
				": DEMO_ENGINE=cassandra, without CQL_HOSTS, starts one there"
		}
	}
	return ""
}

func (l *link) accept(listener net.Listener, to string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		database, err := net.Dial("tcp", to)
		if err != nil {
			_ = client.Close()
			continue
		}
		if !l.keep(client, database) {
			return
		}
		c := &conversation{tally: l.tally, drop: l.dropped, asked: make(map[uint16]string), texts: make(map[uint16]string)}
		l.running.Go(func() { l.pass(client, database, c.request) })
		l.running.Go(func() { l.pass(database, client, c.response) })
	}
}

// keep makes the connections those that cut closes.
func (l *link) keep(conns ...net.Conn) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, c := range conns {
		if l.closed {
			_ = c.Close()
		} else {
			l.conns[c] = struct{}{}
		}
	}
	return !l.closed
}

func (l *link) dropped(text string, first []byte) bool {
	l.mu.Lock()
	defer l.mu.Unlock()
	return l.drop != nil && l.drop(text, first)
}

// lose sets which requests get lost.
func (l *link) lose(drop func(text string, first []byte) bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.drop = drop
}

// pass hands on what comes from one end to the other, but for what note has lost,
// until one of them closes.
func (l *link) pass(from, to net.Conn, note func(*frame) (lost bool)) {
	defer func() {
		_, _ = from.Close(), to.Close()
		l.mu.Lock()
		defer l.mu.Unlock()
		delete(l.conns, from)
		delete(l.conns, to)
	}()
	r := bufio.NewReaderSize(from, 64<<10)
	for {
		f, err := readFrame(r)
		if err != nil {
			if errors.Is(err, errVersion) {
				l.tally.fail(err)
			}
			return
		}
		l.mu.Lock()
		open, closed := l.open, l.closed
		l.mu.Unlock()
		<-open
		if closed {
			return
		}
		if note(f) {
			continue
		}
		if _, err := to.Write(append(f.head[:], f.body...)); err != nil {
			return
		}
	}
}

// freeze lets nothing pass any more, as if the database stood still: it keeps
// its connections and accepts new ones. thaw ends that.
func (l *link) freeze() {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.open = make(chan struct{})
}

func (l *link) thaw() {
	l.mu.Lock()
	defer l.mu.Unlock()
	select {
	case <-l.open:
	default:
		close(l.open)
	}
}

// cut ends all connections at once and refuses others. It may be called again.
func (l *link) cut() {
	l.mu.Lock()
	l.closed = true
	for _, listener := range l.listeners {
		_ = listener.Close()
	}
	for c := range l.conns {
		_ = c.Close()
	}
	l.mu.Unlock()
	l.thaw()
	l.running.Wait()
}

// gate is the way of one peer to its IPFS daemon.
type gate struct {
	*httptest.Server
	keepAlive *http.Transport
	// refuseUnpins makes every unpin fail.
	refuseUnpins atomic.Bool
	// lacksContent makes every pin fail of what IPFS does not have: nobody sends it.
	lacksContent atomic.Bool
	// pins is locked while IPFS is not to finish any pin.
	pins sync.RWMutex
	once sync.Once
}

// newGate leads to the daemon of a node, and notes who holds what.
func newGate(n *node) *gate {
	n.w.t.Helper()
	to, name, notes := n.kubo.url, n.name, n.w.holders
	g := &gate{keepAlive: &http.Transport{}}
	proxy := &httputil.ReverseProxy{
		Transport: g.keepAlive,
		Rewrite:   func(r *httputil.ProxyRequest) { r.SetURL(to) },
		ErrorHandler: func(w http.ResponseWriter, _ *http.Request, err error) {
			http.Error(w, err.Error(), http.StatusBadGateway)
		},
	}
	if n.kubo.real == nil {
		likeKubo(proxy)
	}
	g.Server = httptest.NewServer(http.HandlerFunc(func(w http.ResponseWriter, r *http.Request) {
		if r.URL.Path == "/api/v0/pin/rm" && g.refuseUnpins.Load() {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"Message": "the test refuses to unpin", "Code": 0}`))
			return
		}
		c := r.URL.Query().Get("arg")
		if r.URL.Path == "/api/v0/pin/add" && g.lacksContent.Load() && !notes.has(name, c) {
			w.WriteHeader(http.StatusInternalServerError)
			_, _ = w.Write([]byte(`{"Message": "the test has nobody who sends the content", "Code": 0}`))
			return
		}
		if n.kubo.real != nil {
			if r.URL.Path == "/api/v0/pin/rm" {
				n.w.unpins(n, c)
			}
			proxy.ServeHTTP(w, r)
			return
		}
		switch r.URL.Path {
		case "/api/v0/pin/rm":
			notes.removed(name, c)
		case "/api/v0/pin/add":
			g.pins.RLock()
			defer g.pins.RUnlock()
			defer notes.added(name, c)
		}
		proxy.ServeHTTP(w, r)
	}))
	n.w.t.Cleanup(g.cut)
	return g
}

// likeKubo has a proxy make up for what the mock does otherwise than IPFS.
func likeKubo(proxy *httputil.ReverseProxy) {
	proxy.ModifyResponse = onlyAskedFor
	rewrite := proxy.Rewrite
	proxy.Rewrite = func(r *httputil.ProxyRequest) {
		rewrite(r)
		// It knows direct pins by another argument.
		if q := r.Out.URL.Query(); q.Get("recursive") == "false" {
			q.Set("type", "direct")
			r.Out.URL.RawQuery = q.Encode()
		}
	}
}

// cut ends all connections at once and refuses others. It may be called again.
func (g *gate) cut() {
	g.once.Do(func() {
		g.CloseClientConnections()
		g.Close()
		g.keepAlive.CloseIdleConnections()
	})
}

// holders knows at each moment which IPFS daemons hold what. It is safe for
// concurrent use.
type holders struct {
	mu sync.Mutex
	by map[string]map[string]bool
	// least is how many held a CID at the worst moment since begin.
	least map[string]int
}

func newHolders() *holders {
	return &holders{by: make(map[string]map[string]bool), least: make(map[string]int)}
}

// added is called when the daemon has pinned, removed before it unpins.
func (h *holders) added(name, c string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.by[c] == nil {
		h.by[c] = make(map[string]bool)
	}
	h.by[c][name] = true
}

func (h *holders) removed(name, c string) {
	h.mu.Lock()
	defer h.mu.Unlock()
	delete(h.by[c], name)
	if least, known := h.least[c]; known {
		h.least[c] = min(least, len(h.by[c]))
	}
}

func (h *holders) has(name, c string) bool {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.by[c][name]
}

// begin forgets what was before.
func (h *holders) begin() {
	h.mu.Lock()
	defer h.mu.Unlock()
	for c, by := range h.by {
		h.least[c] = len(by)
	}
}

func (h *holders) fewest(c api.Cid) int {
	h.mu.Lock()
	defer h.mu.Unlock()
	return h.least[c.String()]
}

// TestNoRoom shows on which servers the tests of this package run: not on one in a
// container, which has an address of its own.
func TestNoRoom(t *testing.T) {
	for hosts, want := range map[string]bool{
		"127.0.0.1": true, "127.0.0.1 127.0.0.2 127.0.0.3": true, "::1": true, "localhost": true,
		"172.17.0.2": false, "127.0.0.1 172.17.0.2": false, "db.example": false,
	} {
		if why := noRoom(strings.Fields(hosts)); (why == "") != want {
			t.Errorf("%s: %q, want that they run: %t", hosts, why, want)
		}
	}
}
