package scylla

import "github.com/gocql/gocql"

// once is the retry policy of the session: the driver sends a request once, and
// repeat decides whether it is sent again. The driver's own policies would send
// a conditional update again after a timeout, and so would no policy at all: in
// this driver nil means three retries. A host that is down or has no connection
// the driver passes over without asking; nothing was sent to it.
type once struct{}

// The driver asks the second interface for what it takes for a conditional
// update: what ScyllaDB marks as one, and every read at SERIAL.
var (
	_ gocql.RetryPolicy    = once{}
	_ gocql.LWTRetryPolicy = once{}
)

func (once) Attempt(gocql.RetryableQuery) bool     { return false }
func (once) GetRetryType(error) gocql.RetryType    { return gocql.Rethrow }
func (once) AttemptLWT(gocql.RetryableQuery) bool  { return false }
func (once) GetRetryTypeLWT(error) gocql.RetryType { return gocql.Rethrow }
