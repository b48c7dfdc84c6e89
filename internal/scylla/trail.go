package scylla

import (
	"context"
	"fmt"
	"sync"

	"github.com/gocql/gocql"
)

// WithTrail makes room in the context of a request for what Describe is to say
// of it: the driver's errors name neither the host that failed nor the number of
// attempts, only its observers learn them. It is for one request.
func WithTrail(ctx context.Context) context.Context {
	return context.WithValue(ctx, trailKey{}, &trail{})
}

type trailKey struct{}

// trail is the last failed attempt of one request.
type trail struct {
	mu      sync.Mutex
	attempt int
	host    string
}

// trailOf renders the trail in ctx, nothing when no attempt failed.
func trailOf(ctx context.Context) []string {
	t, ok := ctx.Value(trailKey{}).(*trail)
	if !ok {
		return nil
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	if t.host == "" {
		return nil
	}
	return []string{"host " + t.host, fmt.Sprintf("attempts %d", t.attempt)}
}

// observer fills the trails.
type observer struct{}

var (
	_ gocql.QueryObserver = observer{}
	_ gocql.BatchObserver = observer{}
)

// ObserveQuery is called by the driver after each attempt of a query.
func (observer) ObserveQuery(ctx context.Context, o gocql.ObservedQuery) {
	note(ctx, o.Err, o.Host, o.Attempt)
}

// ObserveBatch is called by the driver after each attempt of a batch.
func (observer) ObserveBatch(ctx context.Context, o gocql.ObservedBatch) {
	note(ctx, o.Err, o.Host, o.Attempt)
}

func note(ctx context.Context, err error, host *gocql.HostInfo, attempt int) {
	t, ok := ctx.Value(trailKey{}).(*trail)
	if err == nil || !ok {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.attempt, t.host = attempt+1, host.ConnectAddressAndPort()
}
