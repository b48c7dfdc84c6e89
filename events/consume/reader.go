package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"
)

const (
	// group is the name of the one priority group of a consumer: its messages go to one
	// process at a time.
	group = "one"
	// batchSize is how many messages are handled before the state is saved, and
	// prefetch how many are on their way at most.
	batchSize = 256
	prefetch  = 2 * batchSize
	// maxPending is how many messages may be delivered and not acknowledged: far more than
	// one process takes, so that one that hangs does not hold up the next.
	maxPending = 16 * prefetch
	// requestTimeout is how long a request about the consumer may take.
	requestTimeout = 10 * time.Second
)

// reader receives the messages of a consumer in JetStream, in the order of the stream
// but for what was delivered and not acknowledged.
type reader struct {
	c        *Consumer
	messages chan jetstream.Msg
	// broken gets a value when the consumer may be gone.
	broken chan struct{}
	// unpinned gets a value when another process has taken over.
	unpinned chan struct{}

	stream   jetstream.Stream
	consumer jetstream.Consumer
	consume  jetstream.ConsumeContext
	stopped  chan struct{}
	// made is when the stream was made.
	made time.Time
}

func newReader(c *Consumer) *reader {
	return &reader{c: c, messages: make(chan jetstream.Msg, prefetch), broken: make(chan struct{}, 1), unpinned: make(chan struct{}, 1)}
}

// open makes the stream and the consumer if they are missing, and begins to receive.
func (r *reader) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*requestTimeout)
	defer cancel()
	b := r.c.opts.Bus
	if err := b.Ensure(ctx); err != nil {
		return err
	}
	var err error
	if r.stream, err = b.JetStream().Stream(ctx, b.Stream()); err != nil {
		return fmt.Errorf("looking for the stream %s: %w", b.Stream(), err)
	}
	r.made = r.stream.CachedInfo().Created
	if err := r.ensure(ctx); err != nil {
		return err
	}
	return r.start()
}

// ensure makes the consumer, or gives it our settings.
func (r *reader) ensure(ctx context.Context) error {
	what := "the consumer " + r.c.opts.Name
	switch there, err := r.stream.Consumer(ctx, r.c.opts.Name); {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
	case err != nil:
		return fmt.Errorf("looking for %s: %w", what, err)
	default:
		if err := r.c.opts.Bus.CheckMark(what, there.CachedInfo().Config.Metadata); err != nil {
			return err
		}
	}
	var err error
	r.consumer, err = r.stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable:       r.c.opts.Name,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       r.c.opts.Takeover, // what one process does not acknowledge the next one gets
		MaxAckPending: maxPending,
		FilterSubject: r.c.opts.Bus.Subjects(),
		Metadata:      r.c.opts.Bus.Mark(),
		// One process at a time.
		PriorityPolicy: jetstream.PriorityPolicyPinned,
		PriorityGroups: []string{group},
		PinnedTTL:      r.c.opts.Takeover,
	})
	if err != nil {
		return fmt.Errorf("making %s: %w", what, err)
	}
	if r.consumer.CachedInfo().Config.PriorityPolicy != jetstream.PriorityPolicyPinned {
		return fmt.Errorf("making %s: the NATS servers cannot give the messages to one process at a time, which takes version 2.11", what)
	}
	return nil
}

// start begins to receive.
func (r *reader) start() error {
	stopped := make(chan struct{})
	consume, err := r.consumer.Consume(
		func(m jetstream.Msg) {
			select {
			case r.messages <- m:
			case <-stopped:
			}
		},
		jetstream.PullMaxMessages(prefetch), jetstream.PullPriorityGroup(group),
		// A process is heard of at least that often, and pinned for Takeover.
		jetstream.PullExpiry(max(time.Second, r.c.opts.Takeover/3)),
		jetstream.ConsumeErrHandler(func(_ jetstream.ConsumeContext, err error) {
			told := r.broken
			if errors.Is(err, jetstream.ErrPinIDMismatch) {
				told = r.unpinned
			}
			logger.Debugf("consumer %s: %s", r.c.opts.Name, err)
			select {
			case told <- struct{}{}:
			default:
			}
		}),
	)
	if err != nil {
		return fmt.Errorf("receiving as %s: %w", r.c.opts.Name, err)
	}
	r.consume, r.stopped = consume, stopped
	return nil
}

// stop ends receiving, and forgets what has been received and not taken.
func (r *reader) stop() {
	if r.consume == nil {
		return
	}
	r.consume.Stop()
	close(r.stopped)
	<-r.consume.Closed()
	r.consume = nil
	for {
		select {
		case <-r.messages:
		default:
			return
		}
	}
}

// check looks whether the consumer is there, and the stream the one that it was.
func (r *reader) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	info, err := r.stream.Info(ctx)
	if err != nil {
		return fmt.Errorf("looking at the stream: %w", err)
	}
	if !info.Created.Equal(r.made) {
		return errors.New("the stream was made anew")
	}
	if _, err := r.consumer.Info(ctx); err != nil {
		return fmt.Errorf("looking at the consumer: %w", err)
	}
	return nil
}

// rewind has the stream read again after a place in it.
func (r *reader) rewind(ctx context.Context, after uint64) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	r.stop()
	_, err := r.stream.ResetConsumerToSequence(ctx, r.c.opts.Name, after+1)
	if err != nil {
		err = fmt.Errorf("reading the stream again: %w", err)
	}
	return errors.Join(err, r.start())
}

// release lets another process, or this one again, receive at once.
func (r *reader) release(ctx context.Context) error {
	if err := r.stream.UnpinConsumer(ctx, r.c.opts.Name, group); err != nil {
		return fmt.Errorf("leaving the consumer %s to another process: %w", r.c.opts.Name, err)
	}
	return nil
}
