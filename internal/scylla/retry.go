package scylla

import (
	"errors"

	"github.com/gocql/gocql"
)

// maxAttempts is how often one idempotent request is sent at the most.
const maxAttempts = 3

// retryPolicy repeats what is safe to repeat. It implements both hooks of the
// driver: RetryPolicy, and LWTRetryPolicy, which the driver asks instead when
// the server marks a statement as conditional (ScyllaDB does, Cassandra does
// not). Statements that must not be sent twice say so with NoRetry, because on
// Cassandra a conditional update arrives at the first hook like any other.
//
// The driver itself moves on to the next host, without asking, when a host is
// down or has no connection: nothing was sent then.
type retryPolicy struct{}

var (
	_ gocql.RetryPolicy    = retryPolicy{}
	_ gocql.LWTRetryPolicy = retryPolicy{}
)

// Attempt allows another try of an idempotent request.
func (retryPolicy) Attempt(q gocql.RetryableQuery) bool {
	idempotent, ok := q.(interface{ IsIdempotent() bool })
	return ok && idempotent.IsIdempotent() && q.Attempts() < maxAttempts
}

// GetRetryType sends a request that timed out or met an overloaded node to the
// next host, and gives up on what another host would refuse as well.
func (retryPolicy) GetRetryType(err error) gocql.RetryType {
	var limited *gocql.RequestErrRateLimitReached
	if Permanent(err) || errors.Is(err, gocql.ErrNotFound) || errors.As(err, &limited) {
		return gocql.Rethrow // sending it again adds to the load that is refused
	}
	return gocql.RetryNextHost
}

// AttemptLWT never allows another try: after a timeout the update may have
// been applied, and sent again it would meet its own result and report a
// conflict. The store decides by reading.
func (retryPolicy) AttemptLWT(gocql.RetryableQuery) bool { return false }

// GetRetryTypeLWT returns the error to the caller.
func (retryPolicy) GetRetryTypeLWT(error) gocql.RetryType { return gocql.Rethrow }

// NoRetry is the policy of conditional updates. A nil policy would mean three
// retries in this driver.
func NoRetry() gocql.RetryPolicy { return &gocql.SimpleRetryPolicy{NumRetries: 0} }
