package scylla

import (
	"time"

	"github.com/gocql/gocql"
)

// kind is what a request is, as it is counted.
type kind uint8

const (
	read  kind = iota
	write      // one
	batch
	cas
	scan
	kinds // how many there are
)

func (k kind) String() string { return [...]string{"read", "write", "batch", "cas", "scan"}[k] }

// about tells what a request is.
type about struct {
	kind kind
	cons gocql.Consistency
	// text is that of the statement, the first one of a batch.
	text string
	// size is the number of statements.
	size int
}

// call is one request that is under way, with all its attempts.
type call struct {
	about
	series   *series // nil when nothing is counted
	begun    time.Time
	attempts int
	trace    string // the id of its last trace
}

func (c *call) key() statementKey { return statementKey{c.text, c.kind == batch} }

// begin begins a request. It must end.
func (db *DB) begin(a about) call {
	c := call{about: a, begun: time.Now()}
	db.conf.Metrics.begun(&c)
	return c
}

// end ends a request, with what the driver says of its last attempt.
func (db *DB) end(c *call, t *trail, err error) {
	took := time.Since(c.begun)
	db.conf.Metrics.ended(c, took, err)
	if limit := db.conf.SlowQuery; limit > 0 && took >= limit {
		db.slow.tell(c, took, t.node(), err)
		db.traces.wasSlow(c)
	}
}
