package e2e

import (
	"errors"
	"net"
	"strconv"
	"sync"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// way is the way of a peer to a database that others use as well. It listens at the
// addresses of the nodes, which the driver learns from them, at another port.
type way struct {
	port int

	mu        sync.Mutex
	open      chan struct{} // closed while data pass
	refuses   bool
	conns     map[net.Conn]struct{}
	listeners []net.Listener
	running   sync.WaitGroup
}

// newWay makes the way to the nodes of a server, which must be at loopback addresses.
func newWay(t *testing.T, server *cqltest.Server) *way {
	t.Helper()
	w := &way{open: make(chan struct{}), conns: make(map[net.Conn]struct{})}
	close(w.open)
	t.Cleanup(w.end)
	for _, host := range server.Hosts() {
		if ip := net.ParseIP(host); ip == nil || !ip.IsLoopback() {
			cqltest.Unavailable(t, errors.New("a test that stands between a peer and its database needs one at a loopback address, not "+host))
		}
		listener, err := net.Listen("tcp", net.JoinHostPort(host, strconv.Itoa(w.port)))
		if err != nil {
			t.Fatal(err)
		}
		address, ok := listener.Addr().(*net.TCPAddr)
		if !ok {
			t.Fatalf("listening at %s", listener.Addr())
		}
		w.port = address.Port
		w.listeners = append(w.listeners, listener)
		to := net.JoinHostPort(host, strconv.Itoa(server.Port()))
		w.running.Go(func() { w.accept(listener, to) })
	}
	return w
}

func (w *way) accept(listener net.Listener, to string) {
	for {
		client, err := listener.Accept()
		if err != nil {
			return
		}
		node, err := net.Dial("tcp", to)
		if err != nil || !w.keep(client, node) {
			_ = client.Close()
			continue
		}
		w.running.Go(func() { w.pass(client, node) })
		w.running.Go(func() { w.pass(node, client) })
	}
}

// keep makes the connections those that cut closes, unless it refuses them.
func (w *way) keep(conns ...net.Conn) bool {
	w.mu.Lock()
	defer w.mu.Unlock()
	for _, c := range conns {
		if w.refuses {
			_ = c.Close()
		} else {
			w.conns[c] = struct{}{}
		}
	}
	return !w.refuses
}

// pass hands on what comes from one end to the other until one of them closes.
func (w *way) pass(from, to net.Conn) {
	defer func() {
		_, _ = from.Close(), to.Close()
		w.mu.Lock()
		defer w.mu.Unlock()
		delete(w.conns, from)
		delete(w.conns, to)
	}()
	buf := make([]byte, 64<<10)
	for {
		n, err := from.Read(buf)
		w.mu.Lock()
		open := w.open
		w.mu.Unlock()
		<-open
		if n > 0 {
			if _, err := to.Write(buf[:n]); err != nil {
				return
			}
		}
		if err != nil {
			return
		}
	}
}

// freeze lets nothing pass any more, as if the database stood still: connections stay
// and new ones are accepted.
func (w *way) freeze() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.open = make(chan struct{})
}

// cut ends all connections and refuses others.
func (w *way) cut() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuses = true
	for c := range w.conns {
		_ = c.Close()
	}
}

// mend ends freeze and cut.
func (w *way) mend() {
	w.mu.Lock()
	defer w.mu.Unlock()
	w.refuses = false
	select {
	case <-w.open:
	default:
		close(w.open)
	}
}

func (w *way) end() {
	for _, l := range w.listeners {
		_ = l.Close()
	}
	w.cut()
	w.mu.Lock()
	select {
	case <-w.open:
	default:
		close(w.open)
	}
	w.mu.Unlock()
	w.running.Wait()
}
