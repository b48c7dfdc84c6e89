package scyllaface

import (
	"net"
	"sync"
	"time"

	"github.com/datastax/go-cassandra-native-protocol/message"
	"github.com/datastax/go-cassandra-native-protocol/primitive"
)

// maxWaiting is how many frames of one direction wait in the face. More wait
// in the sockets.
const maxWaiting = 1024

// conn is a connection of a client and the one to Cassandra that belongs to
// it. Two goroutines read frames, change them and queue them; two others send
// them on, as the faults of the node allow.
type conn struct {
	Connection
	node           *Node
	client, server net.Conn
	incoming       chan arrival
	outgoing       chan frame
	done           chan struct{}
	closing        sync.Once
	role           string // that logs in, or ""; only the reader of the client touches it

	mu       sync.Mutex
	pending  map[int16]pending
	keyspace string // in use
	lwtMark  bool   // the client asked for it
	events   bool   // the client asked for them
}

// arrival is a frame that the client sent, or the face's own answer to one.
type arrival struct {
	frame
	own bool
	at  time.Time
}

// pending is a request that Cassandra has not answered.
type pending struct {
	op primitive.OpCode
	// statement is that of QUERY, PREPARE and EXECUTE.
	statement *statement
	// keyspace is the one of which a SELECT from scylla_keyspaces asks.
	keyspace string
	cut      bool
}

func newConn(n *Node, client, server net.Conn) *conn {
	return &conn{
		node: n, client: client, server: server,
		incoming: make(chan arrival, maxWaiting), outgoing: make(chan frame, maxWaiting),
		done: make(chan struct{}), pending: make(map[int16]pending),
	}
}

// assign gives the connection its shard.
func (c *conn) assign(turn int, shardAware bool) {
	c.Connection = Connection{Shard: turn, ShardAware: shardAware}
	if address, ok := c.client.RemoteAddr().(*net.TCPAddr); ok && shardAware {
		c.Shard = address.Port % c.node.face.opts.Shards
	}
}

// close ends the connection. A second call does nothing.
func (c *conn) close() {
	c.closing.Do(func() {
		close(c.done)
		c.client.Close() //nolint:errcheck // whatever was not sent is to be lost
		c.server.Close() //nolint:errcheck // as above
	})
}

// run returns when the connection has ended.
func (c *conn) run() {
	var loops sync.WaitGroup
	for _, loop := range []func(){c.readRequests, c.sendRequests, c.readAnswers, c.sendAnswers} {
		loops.Go(func() {
			loop()
			c.close()
		})
	}
	loops.Wait()
}

func (c *conn) readRequests() {
	for {
		f, err := readFrame(c.client)
		if err != nil {
			return
		}
		a := arrival{frame: f, at: time.Now()}
		if answer := c.request(&a.frame); answer != nil {
			a.own = true
			if a.frame, err = newFrame(f.stream, answer); err != nil {
				return
			}
		}
		select {
		case c.incoming <- a:
		case <-c.done:
			return
		}
	}
}

func (c *conn) sendRequests() {
	for {
		var a arrival
		select {
		case a = <-c.incoming:
		case <-c.done:
			return
		}
		if !c.sleep(time.Until(a.at.Add(c.node.delayed()))) || !c.node.requests.wait(c.done) {
			return
		}
		if a.own {
			c.deliver(a.frame)
		} else if writeFrame(c.server, a.frame) != nil {
			return
		}
	}
}

// sleep reports false if the connection ended meanwhile.
func (c *conn) sleep(d time.Duration) bool {
	if d <= 0 {
		return true
	}
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-timer.C:
		return true
	case <-c.done:
		return false
	}
}

func (c *conn) readAnswers() {
	for {
		f, err := readFrame(c.server)
		if err != nil || f.version != fromServer+version {
			return
		}
		p := c.take(f.stream)
		if p.cut {
			return
		}
		out, err := c.answer(f, p)
		if err != nil {
			text := "the face could not translate the answer: " + err.Error()
			if out, err = newFrame(f.stream, &message.ServerError{ErrorMessage: text}); err != nil {
				return
			}
		}
		if out.version != 0 {
			c.deliver(out)
		}
	}
}

// take returns the request to which an answer belongs.
func (c *conn) take(stream int16) pending {
	c.mu.Lock()
	defer c.mu.Unlock()
	p := c.pending[stream]
	delete(c.pending, stream)
	return p
}

// deliver queues a frame for the client.
func (c *conn) deliver(f frame) {
	select {
	case c.outgoing <- f:
	case <-c.done:
	}
}

func (c *conn) sendAnswers() {
	for {
		select {
		case f := <-c.outgoing:
			if !c.node.answers.wait(c.done) || writeFrame(c.client, f) != nil {
				return
			}
		case <-c.done:
			return
		}
	}
}

func (c *conn) wantsEvents() bool {
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.events
}
