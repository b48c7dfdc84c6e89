package scylla

import (
	"context"
	"sync"
	"time"

	"github.com/gocql/gocql"
)

// WithTrail makes the requests under ctx one: each avoids the hosts that have
// failed an earlier one, and its error speaks of all attempts. It is for
// requests that repeat each other, such as the resolution of a conditional
// update. A request outside has a trail of its own.
func WithTrail(ctx context.Context) context.Context {
	ctx, _ = withTrail(ctx)
	return ctx
}

// withTrail returns the trail that ctx has, or gives it one.
func withTrail(ctx context.Context) (context.Context, *trail) {
	if t, ok := ctx.Value(trailKey{}).(*trail); ok {
		return ctx, t
	}
	t := new(trail)
	return context.WithValue(ctx, trailKey{}, t), t
}

type trailKey struct{}

// trail is what became of the attempts of one request. The driver's errors name
// neither host nor attempts: only its observers learn them.
type trail struct {
	mu sync.Mutex
	// asked is the host that the attempt under way was handed.
	asked    *gocql.HostInfo
	attempts int
	// last is the address of the host that failed last.
	last string
	// failed are the ids of all that did.
	failed []string
}

func (t *trail) note(host *gocql.HostInfo, err error) {
	if err == nil {
		return
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.attempts++
	t.last = host.ConnectAddressAndPort()
	t.failed = append(t.failed, host.HostID())
}

func (t *trail) hand(host *gocql.HostInfo) {
	t.mu.Lock()
	defer t.mu.Unlock()
	t.asked = host
}

func (t *trail) handed() *gocql.HostInfo {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.asked
}

// node is the address of the host that was handed last, empty if none was.
func (t *trail) node() string {
	host := t.handed()
	if host == nil {
		return ""
	}
	return host.ConnectAddressAndPort()
}

// avoid returns the ids of the hosts that have failed.
func (t *trail) avoid() []string {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.failed[:len(t.failed):len(t.failed)]
}

// facts tells the host that failed last, and how many attempts did.
func (t *trail) facts() (host string, attempts int) {
	t.mu.Lock()
	defer t.mu.Unlock()
	return t.last, t.attempts
}

// observer tells trails and health of the attempts of one session.
type observer struct{ health *health }

var (
	_ gocql.QueryObserver = observer{}
	_ gocql.BatchObserver = observer{}
)

// ObserveQuery is called by the driver after each attempt of a query.
func (o observer) ObserveQuery(ctx context.Context, q gocql.ObservedQuery) {
	o.note(ctx, q.Host, q.End.Sub(q.Start), q.Err)
}

// ObserveBatch is called by the driver after each attempt of a batch.
func (o observer) ObserveBatch(ctx context.Context, b gocql.ObservedBatch) {
	o.note(ctx, b.Host, b.End.Sub(b.Start), b.Err)
}

// note takes the outcome of an attempt that has spent a while at a host. The
// rest of the attempt, if its time is over, went by before: that says nothing of
// the host.
func (o observer) note(ctx context.Context, host *gocql.HostInfo, spent time.Duration, err error) {
	if attemptOver(ctx, err) && spent >= readAttempt/2 {
		err = gocql.ErrTimeoutNoResponse
	}
	o.health.note(host, err)
	if t, ok := ctx.Value(trailKey{}).(*trail); ok {
		t.note(host, err)
	}
}
