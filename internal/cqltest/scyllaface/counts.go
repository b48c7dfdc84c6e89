package scyllaface

import "github.com/datastax/go-cassandra-native-protocol/primitive"

// Op is a kind of request that is counted.
type Op string

// The kinds of requests that are counted. A statement of a batch counts as a
// request of kind Batch.
const (
	Query   Op = "QUERY"
	Prepare Op = "PREPARE"
	Execute Op = "EXECUTE"
	Batch   Op = "BATCH"
)

// Request is what a node was asked.
type Request struct {
	Op Op
	// Statement is the text as the client wrote it.
	Statement string
	// Conditional says that the statement has an IF.
	Conditional bool
	// Consistency is that of a QUERY or an EXECUTE.
	Consistency primitive.ConsistencyLevel
	// Shard is the one of the connection.
	Shard int
}

// Connection is one that is open.
type Connection struct {
	Shard int
	// ShardAware says that it came in by the shard-aware port.
	ShardAware bool
}

// Count returns how many requests that match have arrived. Nil matches all.
// Those that wait in a node that hangs count, those that the face refused do
// not.
func (n *Node) Count(match func(Request) bool) int {
	n.mu.Lock()
	defer n.mu.Unlock()
	sum := 0
	for r, count := range n.counts {
		if match == nil || match(r) {
			sum += count
		}
	}
	return sum
}

// Connections are those that are open.
func (n *Node) Connections() []Connection {
	n.mu.Lock()
	defer n.mu.Unlock()
	var out []Connection
	for c := range n.conns {
		out = append(out, c.Connection)
	}
	return out
}

// Accepted is how many connections there were, closed ones too.
func (n *Node) Accepted() int {
	n.mu.Lock()
	defer n.mu.Unlock()
	return n.accepted
}

// arrived counts the requests of a frame and tells whether the answer is to be
// cut.
func (n *Node) arrived(requests []Request) bool {
	n.mu.Lock()
	defer n.mu.Unlock()
	matches := false
	for _, r := range requests {
		n.counts[r]++
		matches = matches || n.cuts > 0 && (n.cut == nil || n.cut(r))
	}
	if matches {
		n.cuts--
	}
	return matches
}
