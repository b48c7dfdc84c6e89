package pins

import (
	"errors"
	"fmt"
)

// ErrNotFound says that the tenant has no such request: it never had, has removed it, or it
// is another tenant's. Nobody can tell which.
var ErrNotFound = errors.New("there is no such request")

// ErrRefused is what Peer.Pin fails with if the cluster does not make a pin with such
// replication factors, as when it has fewer peers.
var ErrRefused = errors.New("the cluster does not make such a pin")

// InvalidError is a mistake of the client. Neither field holds a secret; Problem may quote
// what the client sent.
type InvalidError struct {
	// Field is as in the Pinning Services API: cid, name, origins, meta, status, …
	Field   string
	Problem string
}

func (e *InvalidError) Error() string { return e.Field + " " + e.Problem }

// QuotaError says that the tenant holds as much as it may.
type QuotaError struct {
	// What is "pins" or "bytes".
	What  string
	Limit int64
}

func (e *QuotaError) Error() string {
	return fmt.Sprintf("the limit of %d %s is reached", e.Limit, e.What)
}

// TooBroadError says that so many requests had to be looked at that no page was found in
// time. The client may narrow the query.
type TooBroadError struct {
	// Walked is how many were looked at.
	Walked int
}

func (e *TooBroadError) Error() string {
	return fmt.Sprintf("no page was found among the newest %d requests: narrow it by before and after", e.Walked)
}
