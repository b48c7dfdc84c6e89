package claims

import (
	"context"
	"errors"
	"fmt"
	"regexp"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

const (
	// MaxBatch is how many messages a handler is given at a time at most.
	MaxBatch = 256
	// DefaultAckWait is the default of Options.AckWait.
	DefaultAckWait = 30 * time.Second
	// minAckWait is the shortest: a message to NATS may take some of it.
	minAckWait = time.Second
)

// Options are what a Consumer works with.
type Options struct {
	// Bus is the connection to NATS. A Consumer does not close it.
	Bus *bus.Bus
	// Name is that of the consumer, the same for all processes that share its work: letters,
	// digits, dashes and underscores, at most 64. Each name gets all claims.
	Name string
	// Handler handles a batch of at most MaxBatch messages, one call at a time. When it
	// returns nil, what they say is durable, and all are acknowledged. After an error none is,
	// and they are delivered again, in other batches perhaps, to any process, after a pause
	// that grows to half a minute. It may take longer than AckWait.
	Handler func(ctx context.Context, batch []Delivery) error
	// AckWait is how long a process may be silent before others are given what it was given,
	// from a second on. One whose handler runs is not silent. 0 means DefaultAckWait.
	AckWait time.Duration
	// Metrics say what the Consumer does, together with others. They may be nil.
	Metrics *ConsumerMetrics
}

// Delivery is one message of the stream.
type Delivery struct {
	// Event is an event of a claim, if Err is nil.
	Event events.Event
	// Err says why the message is none that this build knows: it matches events.ErrUnknown or
	// events.ErrMalformed. It is for the handler to put it aside.
	Err error
	// Data is the message as it came.
	Data []byte
	// Sequence is its place in the stream. A stream that is made anew begins at 1 again.
	Sequence uint64
	// Delivered is how often it was delivered, this time included.
	Delivered uint64
	// Stored is when the stream got it.
	Stored time.Time
}

// Consumer receives claims under a name.
type Consumer struct {
	opts Options
	said string // what was said last of what is wrong
}

// New makes a Consumer. It does nothing until Run.
func New(opts Options) (*Consumer, error) {
	switch {
	case opts.Bus == nil || opts.Handler == nil:
		return nil, errors.New("a consumer of claims needs a bus and a handler")
	case !regexp.MustCompile(`^[A-Za-z0-9_-]{1,64}$`).MatchString(opts.Name):
		return nil, fmt.Errorf("the name %q cannot be used for a consumer: use at most 64 letters, digits, dashes and underscores", opts.Name)
	case opts.AckWait != 0 && opts.AckWait < minAckWait:
		return nil, fmt.Errorf("a process cannot be silent for %s only: use %s or more, or 0 for %s", opts.AckWait, minAckWait, DefaultAckWait)
	case opts.AckWait == 0:
		opts.AckWait = DefaultAckWait
	}
	return &Consumer{opts: opts}, nil
}

const (
	firstPause = 250 * time.Millisecond
	maxPause   = 30 * time.Second
)

// Run receives claims until ctx ends, and returns its cause. Whatever else goes wrong is
// logged and tried again, but for a stream or a consumer in JetStream that is somebody else's:
// that is an error that matches bus.ErrNotOurs. Run is called once.
func (c *Consumer) Run(ctx context.Context) error {
	wait := firstPause
	for {
		r, err := c.open(ctx)
		for err == nil {
			wait = firstPause
			err = r.receive(ctx)
		}
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, bus.ErrNotOurs):
			return err
		}
		c.say(err)
		if !pause(ctx, wait) {
			return context.Cause(ctx)
		}
		wait = min(2*wait, maxPause)
	}
}

// say logs an error that is not the one before again.
func (c *Consumer) say(err error) {
	if err.Error() != c.said {
		c.said = err.Error()
		logger.Warnf("consumer %s of claims tries again: %s", c.opts.Name, err)
	}
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
