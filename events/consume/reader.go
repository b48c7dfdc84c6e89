package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

const (
	// group is the name of the one priority group of a consumer: its messages go to one
	// process at a time.
	group = "one"
	// maxFetch is how many messages are asked for at a time at most.
	maxFetch = 256
	// maxPending is how many messages may be delivered and not acknowledged: far more than
	// one process takes, so that one that hangs does not hold up the next.
	maxPending = 16 * maxFetch
	// maxWait is how long a request for messages may wait at the server.
	maxWait = 2 * time.Second
	// keepWait is how long a request may wait that asks for no message.
	keepWait = 10 * time.Millisecond
	// requestTimeout is how long a request about the consumer may take.
	requestTimeout = 10 * time.Second
)

// reader receives the messages of a consumer in JetStream, in the order of the stream
// but for what was delivered before and not acknowledged.
type reader struct {
	c        *Consumer
	stream   jetstream.Stream
	consumer jetstream.Consumer
	// made is when the stream was made.
	made time.Time
	// said is what was said of what is wrong.
	said string
}

// open looks for the stream, which whoever tells events makes, and makes the consumer if it
// is missing. A server that is too old for it is refused: the error matches bus.ErrTooOld.
func (r *reader) open(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, 3*requestTimeout)
	defer cancel()
	stream, err := r.c.opts.Bus.Find(ctx)
	if err != nil {
		return err
	}
	if err := r.c.opts.Bus.CheckVersion(); err != nil {
		return err
	}
	r.stream, r.made = stream, stream.CachedInfo().Created
	if err := r.ensure(ctx); err != nil {
		return err
	}
	return r.check(ctx)
}

// ensure makes the consumer, or gives it our settings.
func (r *reader) ensure(ctx context.Context) error {
	what := "the consumer " + r.c.opts.Name
	wanted := jetstream.ConsumerConfig{
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
	}
	start := time.Now()
	there, err := r.stream.Consumer(ctx, r.c.opts.Name)
	if err == nil {
		cfg := there.CachedInfo().Config
		if err := r.c.opts.Bus.CheckMark(what, cfg.Metadata); err != nil {
			return err
		}
		if cfg.AckWait == wanted.AckWait && cfg.PinnedTTL == wanted.PinnedTTL && cfg.MaxAckPending == wanted.MaxAckPending {
			r.consumer = there
			return nil
		}
	} else if !errors.Is(err, jetstream.ErrConsumerNotFound) {
		return r.c.opts.Bus.Explain(err, start, "looking for %s", what)
	}
	start = time.Now()
	made, err := r.stream.CreateOrUpdateConsumer(ctx, wanted)
	if err != nil {
		return r.c.opts.Bus.Explain(err, start, "making %s", what)
	}
	if made.CachedInfo().Config.PriorityPolicy != jetstream.PriorityPolicyPinned {
		return fmt.Errorf("making %s: %w: a server cannot give the messages to one process at a time: use %s or later for all", what, bus.ErrTooOld, bus.ConsumerVersion)
	}
	r.consumer = made
	return nil
}

// fetch asks for messages, which come until the batch is closed, after two seconds or less.
// Who asks reads it to that end: messages of a request that nobody hears are lost for
// Takeover, and so is the place as the process that gets them.
func (r *reader) fetch(size int) (jetstream.MessageBatch, error) {
	// This process is heard of at least that often, and pinned for Takeover.
	wait := min(r.c.opts.Takeover/3, maxWait)
	batch, err := r.consumer.Fetch(size, jetstream.FetchMaxWait(wait), jetstream.FetchPriorityGroup(group))
	if err != nil {
		return nil, fmt.Errorf("receiving as %s: %w", r.c.opts.Name, err)
	}
	return batch, nil
}

// keep has this process stay the one that gets the messages. Only a request for messages tells
// that it is there: this one gets none, as none is as small as it asks for.
func (r *reader) keep() error {
	batch, err := r.consumer.Fetch(1, jetstream.FetchMaxBytes(1), jetstream.FetchMaxWait(keepWait), jetstream.FetchPriorityGroup(group))
	if err == nil {
		for range batch.Messages() {
		}
		err = batch.Error()
	}
	if err != nil {
		return fmt.Errorf("staying the process that receives as %s: %w", r.c.opts.Name, err)
	}
	return nil
}

// check returns an error if the consumer is not there, or the stream is not the one that
// it was. That this cannot be seen now is said, and no error. A consumer that is ahead
// of the stream, which has lost its end, reads all of it again: nobody knows how much of
// it has been written since.
func (r *reader) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	start := time.Now()
	consumer, err := r.consumer.Info(ctx)
	if err != nil {
		return r.unclear(r.c.opts.Bus.Explain(err, start, "looking at the consumer"))
	}
	stream, err := r.stream.Info(ctx)
	if err != nil {
		return r.unclear(r.c.opts.Bus.Explain(err, start, "looking at the stream"))
	}
	r.said = ""
	if !stream.Created.Equal(r.made) {
		return errors.New("the stream was made anew")
	}
	if last := stream.State.LastSeq; consumer.Delivered.Stream > last {
		logger.Warnf("the stream %s ends at %d, and has lost what consumer %s has read behind that: it reads all of it again", stream.Config.Name, last, r.c.opts.Name)
		return r.unclear(r.reset(ctx, 1))
	}
	return nil
}

// unclear returns an error only if it says that the stream or the consumer is gone. Of
// others it says each once.
func (r *reader) unclear(err error) error {
	if errors.Is(err, jetstream.ErrStreamNotFound) || errors.Is(err, jetstream.ErrConsumerNotFound) {
		return err
	}
	if err != nil && err.Error() != r.said {
		r.said = err.Error()
		logger.Warnf("consumer %s may receive nothing now: %s", r.c.opts.Name, err)
	}
	return nil
}

// rewind has the stream read again after a place in it, and after what is not
// acknowledged. It returns the first place that the stream still has.
func (r *reader) rewind(ctx context.Context, after uint64) (first uint64, err error) {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	start := time.Now()
	stream, err := r.stream.Info(ctx)
	if err != nil {
		return 0, r.c.opts.Bus.Explain(err, start, "looking at the stream")
	}
	consumer, err := r.consumer.Info(ctx)
	if err != nil {
		return 0, r.c.opts.Bus.Explain(err, start, "looking at the consumer")
	}
	return stream.State.FirstSeq, r.reset(ctx, min(after, consumer.AckFloor.Stream)+1)
}

// reset has the stream read from a place on.
func (r *reader) reset(ctx context.Context, seq uint64) error {
	start := time.Now()
	_, err := r.stream.ResetConsumerToSequence(ctx, r.c.opts.Name, seq)
	if err == nil {
		return nil
	}
	err = r.c.opts.Bus.Explain(err, start, "reading the stream again")
	if errors.Is(err, context.DeadlineExceeded) { // another server may have to answer than that of this connection
		return fmt.Errorf("%w: a NATS before %s does not answer that", err, bus.ConsumerVersion)
	}
	return err
}

// release lets another process, or this one again, receive at once.
func (r *reader) release(ctx context.Context) error {
	start := time.Now()
	if err := r.stream.UnpinConsumer(ctx, r.c.opts.Name, group); err != nil {
		return r.c.opts.Bus.Explain(err, start, "leaving the consumer %s to another process", r.c.opts.Name)
	}
	return nil
}
