package consume

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"sync/atomic"
	"time"

	lru "github.com/hashicorp/golang-lru/v2"
	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

var logger = logging.Logger("events")

// Default values of Options.
const (
	DefaultAttempts = 8
	DefaultRemember = 1 << 16
	DefaultTakeover = 30 * time.Second
	DefaultAskAgain = time.Minute
)

// minTakeover is the shortest Takeover: a request to NATS may take some of it.
const minTakeover = time.Second

// Options are what a Consumer works with.
type Options struct {
	// Bus is the connection to NATS. A Consumer does not close it.
	Bus *bus.Bus
	// Name is that of the consumer, the same for all processes that share its work:
	// letters, digits, dashes and underscores, at most 64.
	Name string
	// State keeps what was handled.
	State State
	// Handler handles one event. It is never called twice at a time for events of one
	// shard. An error that matches ErrRefused puts the event aside at once, one that
	// matches ErrUnavailable has it tried again for ever, and any other until Attempts
	// have failed. Events of all shards wait meanwhile. It may take longer than Takeover:
	// no other process takes over while it runs, nor if it never returns, so it should not
	// wait for ever. Between two attempts another one may.
	Handler func(ctx context.Context, e events.Event) error
	// Since is when a new consumer begins: what was written after that is handed to it,
	// also when it is not in the stream any more. Zero begins with what is in the stream,
	// and perhaps with what was written in the hour before.
	Since time.Time
	// Workers is how many events of different shards are handled at a time, 0 for one.
	Workers int
	// Attempts is how often an event is handed to Handler before it is put aside, with
	// pauses that grow to half a minute. 0 means DefaultAttempts.
	Attempts int
	// Remember is how many keys a Consumer remembers the version of, to drop what is not
	// newer. 0 means DefaultRemember.
	Remember int
	// Takeover is how long a process may be silent before another one takes its place, from
	// a second on. One whose handler runs is not silent. 0 means DefaultTakeover.
	Takeover time.Duration
	// AskAgain is how long a Consumer waits for a replay to go on before it asks again, at
	// first; then twice as long each time, up to 16 times. 0 means DefaultAskAgain.
	AskAgain time.Duration
	// Metrics say what the Consumer does, together with others. They may be nil.
	Metrics *Metrics
}

var (
	// ErrRefused is matched by the errors of handlers that will never handle an event.
	ErrRefused = errors.New("the event is refused")
	// ErrUnavailable is matched by the errors of handlers that lack something that they
	// need for all events, such as a database.
	ErrUnavailable = errors.New("what the handler needs is not available")
)

// State keeps the state of consumers, a text of some kilobytes for each name.
type State interface {
	// Load returns what was saved last under a name, nil if there is nothing.
	Load(ctx context.Context, name string) ([]byte, error)
	// Save replaces it. It is durable when Save has returned nil.
	Save(ctx context.Context, name string, state []byte) error
}

// Consumer receives events under a name.
type Consumer struct {
	opts  Options
	told  *lru.Cache[string, events.Version] // the newest version of each key that was handled
	stats counters
	calls calls
	// warned is when it was said last that messages were superseded, in nanoseconds.
	warned atomic.Int64
}

// New makes a Consumer. It does nothing until Run.
func New(opts Options) (*Consumer, error) {
	switch {
	case opts.Bus == nil || opts.State == nil || opts.Handler == nil:
		return nil, errors.New("a consumer needs a bus, a state and a handler")
	case !regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString(opts.Name):
		return nil, fmt.Errorf("the name %q cannot be used for a consumer: use at most 64 letters, digits, dashes and underscores", opts.Name)
	case opts.Takeover != 0 && opts.Takeover < minTakeover:
		return nil, fmt.Errorf("another process cannot take over after %s: use %s or more, or 0 for %s", opts.Takeover, minTakeover, DefaultTakeover)
	}
	for _, o := range []struct {
		n *int
		d int
	}{{&opts.Workers, 1}, {&opts.Attempts, DefaultAttempts}, {&opts.Remember, DefaultRemember}} {
		if *o.n <= 0 {
			*o.n = o.d
		}
	}
	if opts.Takeover == 0 {
		opts.Takeover = DefaultTakeover
	}
	if opts.AskAgain <= 0 {
		opts.AskAgain = DefaultAskAgain
	}
	told, err := lru.New[string, events.Version](opts.Remember)
	if err != nil {
		return nil, fmt.Errorf("making the memory of a consumer: %w", err)
	}
	c := &Consumer{opts: opts, told: told}
	opts.Metrics.watch(c)
	return c, nil
}

// Run receives events until ctx ends, and returns its cause. Whatever else goes wrong is
// logged and tried again, but for a stream or a consumer in JetStream that is
// somebody else's, which is an error that matches bus.ErrNotOurs, and for a saved state
// that cannot be read. Run is called once.
func (c *Consumer) Run(ctx context.Context) error {
	r := newRun(c)
	defer r.end()
	return r.loop(ctx)
}

// pause waits, and reports false if ctx has ended.
func pause(ctx context.Context, d time.Duration) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
		return true
	}
}
