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
}

// begin begins a request. It must end.
func (db *DB) begin(a about) call {
	c := call{about: a, begun: time.Now()}
	db.conf.Metrics.begun(&c)
	return c
}

// end ends a request, with what the driver says of its last attempt.
func (db *DB) end(c *call, err error) {
	db.conf.Metrics.ended(c, time.Since(c.begun), err)
}
