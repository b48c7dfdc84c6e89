package scyllaface

import (
	"fmt"
	"net/netip"
	"time"

	"github.com/datastax/go-cassandra-native-protocol/message"
	"github.com/datastax/go-cassandra-native-protocol/primitive"
)

// Hang stops all answers: connections stay and new ones are accepted, and
// nothing comes from them. Resume lets go on what waited. What waits on a
// connection is gone when the client closes it.
func (n *Node) Hang() {
	n.requests.set(false)
	n.answers.set(false)
}

// HangAnswers is Hang of one direction: requests reach Cassandra.
func (n *Node) HangAnswers() { n.answers.set(false) }

// Vanish is Hang, and new connections are not accepted either: to open one
// takes until the client gives up, as where a network drops the packets.
func (n *Node) Vanish() error {
	n.Hang()
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.listeners == nil {
		return nil
	}
	n.closePorts()
	for _, port := range []uint16{cqlPort, shardAwarePort} {
		s, err := openSilentPort(netip.AddrPortFrom(n.address(), port))
		if err != nil {
			n.closePorts()
			return fmt.Errorf("silence port %d of node %d of the face: %w", port, n.number, err)
		}
		n.silent = append(n.silent, s)
	}
	return nil
}

// Resume ends Hang, HangAnswers and Vanish.
func (n *Node) Resume() error {
	n.requests.set(true)
	n.answers.set(true)
	n.mu.Lock()
	defer n.mu.Unlock()
	if n.silent == nil {
		return nil
	}
	return n.accept()
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
	n.closePorts()
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
	open := n.listeners != nil || n.silent != nil
	n.closePorts()
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
