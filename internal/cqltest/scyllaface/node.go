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

	"github.com/datastax/go-cassandra-native-protocol/message"
	"github.com/datastax/go-cassandra-native-protocol/primitive"
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
	listeners []net.Listener // none while connections are refused
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
	if n.listeners != nil {
		return nil
	}
	for _, port := range []int{cqlPort, shardAwarePort} {
		l, err := net.Listen("tcp4", net.JoinHostPort(n.address().String(), strconv.Itoa(port)))
		if err != nil {
			n.closeListeners()
			return fmt.Errorf("open the port of node %d of the face: %w", n.number, err)
		}
		n.listeners = append(n.listeners, l)
		n.face.running.Go(func() { n.acceptAll(l, port == shardAwarePort) })
	}
	return nil
}

func (n *Node) closeListeners() {
	for _, l := range n.listeners {
		l.Close() //nolint:errcheck // it only says that the listener was closed before
	}
	n.listeners = nil
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

// Hang makes packets vanish: connections stay and new ones are accepted, and
// nothing is answered any more. Resume lets go on what waited. What waits on a
// connection is gone when the client closes it.
func (n *Node) Hang() {
	n.requests.set(false)
	n.answers.set(false)
}

// HangAnswers is Hang of one direction: requests reach Cassandra.
func (n *Node) HangAnswers() { n.answers.set(false) }

// Resume ends Hang and HangAnswers.
func (n *Node) Resume() {
	n.requests.set(true)
	n.answers.set(true)
}

// Delay makes each request wait so long before Cassandra gets it. 0 ends it.
func (n *Node) Delay(d time.Duration) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.delay = d
}

func (n *Node) delayed() time.Duration {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.delay
}

// CutAnswers lets the next count requests that match reach Cassandra, and
// closes their connections when the answers come. Nil matches all. match must
// not call the node. A count of 0 ends it.
func (n *Node) CutAnswers(count int, match func(Request) bool) {
	n.mu.Lock()
	defer n.mu.Unlock()
	n.cuts, n.cut = count, match
}

// Disconnect closes all connections. Clients may come back.
func (n *Node) Disconnect() {
	n.mu.Lock()
	conns := n.connections()
	n.mu.Unlock()
	for _, c := range conns {
		c.close()
	}
}

// connections are those that are open. mu is held.
func (n *Node) connections() []*conn {
	var out []*conn
	for c := range n.conns {
		out = append(out, c)
	}
	return out
}

// Refuse closes the ports and all connections.
func (n *Node) Refuse() {
	n.mu.Lock()
	n.closeListeners()
	n.mu.Unlock()
	n.Disconnect()
}

// Move gives the node its next address, which all system tables name from now
// on. The old ports and connections are closed. The new ports are open if the
// old ones were. If announce is set the other nodes tell their clients.
func (n *Node) Move(announce bool) error {
	n.mu.Lock()
	if n.moves == maxMoves {
		n.mu.Unlock()
		return fmt.Errorf("node %d of the face has moved %d times and has no more addresses", n.number, maxMoves)
	}
	open := n.listeners != nil
	n.closeListeners()
	n.moves++
	address := n.address()
	n.mu.Unlock()
	n.Disconnect()
	if open {
		if err := n.Accept(); err != nil {
			return err
		}
	}
	if !announce {
		return nil
	}
	at := &primitive.Inet{Addr: address.AsSlice(), Port: cqlPort}
	for _, event := range []message.Message{
		&message.TopologyChangeEvent{ChangeType: primitive.TopologyChangeTypeNewNode, Address: at},
		&message.StatusChangeEvent{ChangeType: primitive.StatusChangeTypeUp, Address: at},
	} {
		f, err := newFrame(-1, event)
		if err != nil {
			return err
		}
		for _, other := range n.face.nodes {
			if other != n {
				other.announce(f)
			}
		}
	}
	return nil
}

// announce sends an event to the clients that want events.
func (n *Node) announce(f frame) {
	n.mu.Lock()
	conns := n.connections()
	n.mu.Unlock()
	for _, c := range conns {
		if c.wantsEvents() {
			c.deliver(f)
		}
	}
}
