package scyllaface

import (
	"errors"
	"fmt"
	"net"
	"net/netip"
	"slices"
	"strconv"
	"sync"
	"time"
)

// moveStep is how far the addresses of one node are apart: node I is at
// 127.1.K.I first, then at 127.1.K.10+I, and so on.
const moveStep = 10

// maxMoves is how often a node can move.
const maxMoves = 24

// dialTimeout bounds the connection to Cassandra.
const dialTimeout = 5 * time.Second

// Node is one node of a face, through which one node of Cassandra is reached.
type Node struct {
	face     *Face
	backend  netip.AddrPort
	block    byte
	number   int // from 1
	requests *gate
	answers  *gate

	mu        sync.Mutex
	moves     int
	listeners []net.Listener // none while connections are refused or not answered
	silent    []*silentPort  // those that do not answer
	conns     map[*conn]struct{}
	turn      int // the shard of the next connection to the CQL port
	accepted  int
	counts    map[Request]int
	delay     time.Duration
	cuts      int // how many answers are still to be cut
	cut       func(Request) bool
}

func newNode(f *Face, backend netip.AddrPort, block byte, index int) *Node {
	return &Node{
		face: f, backend: backend, block: block, number: index + 1,
		requests: newGate(), answers: newGate(),
		conns: make(map[*conn]struct{}), counts: make(map[Request]int),
	}
}

// Address is where the node is now.
func (n *Node) Address() string { return n.shown().String() }

func (n *Node) shown() netip.Addr {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.address()
}

// address is shown with mu held.
func (n *Node) address() netip.Addr {
	return netip.AddrFrom4([4]byte{127, 1, n.block, byte(n.moves*moveStep + n.number)})
}

// Accept opens the ports that Refuse closed.
func (n *Node) Accept() error {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.accept()
}

// accept is Accept with mu held.
func (n *Node) accept() error {
	if n.listeners != nil {
		return nil
	}
	n.closePorts()
	for _, port := range []int{cqlPort, shardAwarePort} {
		l, err := net.Listen("tcp4", net.JoinHostPort(n.address().String(), strconv.Itoa(port)))
		if err != nil {
			n.closePorts()
			return fmt.Errorf("open the port of node %d of the face: %w", n.number, err)
		}
		n.listeners = append(n.listeners, l)
		n.face.running.Go(func() { n.acceptAll(l, port == shardAwarePort) })
	}
	return nil
}

// closePorts closes whatever is open. mu is held.
func (n *Node) closePorts() {
	for _, l := range n.listeners {
		l.Close() //nolint:errcheck // it only says that the listener was closed before
	}
	for _, s := range n.silent {
		s.close()
	}
	n.listeners, n.silent = nil, nil
}

func (n *Node) acceptAll(l net.Listener, shardAware bool) {
	for {
		client, err := l.Accept()
		if errors.Is(err, net.ErrClosed) {
			return
		}
		if err == nil {
			n.face.running.Go(func() { n.serve(client, l, shardAware) })
		}
	}
}

// serve handles one connection until it ends.
func (n *Node) serve(client net.Conn, l net.Listener, shardAware bool) {
	server, err := net.DialTimeout("tcp4", n.backend.String(), dialTimeout)
	if err != nil {
		client.Close() //nolint:errcheck // nothing was sent
		return
	}
	c := newConn(n, client, server)
	n.mu.Lock()
	known := slices.Contains(n.listeners, l)
	if known {
		n.conns[c] = struct{}{}
		n.accepted++
		c.assign(n.turn, shardAware)
		if !shardAware {
			n.turn = (n.turn + 1) % n.face.opts.Shards
		}
	}
	n.mu.Unlock()
	if known {
		c.run()
	}
	c.close()
	n.mu.Lock()
	delete(n.conns, c)
	n.mu.Unlock()
}
