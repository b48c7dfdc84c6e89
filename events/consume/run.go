package consume

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

const (
	// checkEvery is how often the consumer in JetStream is looked at, and afterError how
	// long after an error.
	checkEvery = 30 * time.Second
	afterError = time.Second
	// firstFetch is how many messages are asked for at first: the handler may be slow.
	firstFetch = 16
	// maxReopen is the longest pause between two attempts to receive.
	maxReopen = 10 * time.Second
	// endTimeout is how long the state of what was handled may take to be saved when the
	// consumer ends.
	endTimeout = 5 * time.Second
)

// pinHeader names the process that JetStream gives the messages to, among those that
// share a name.
const pinHeader = "Nats-Pin-Id"

// run is a Consumer that runs. One goroutine owns it, but for the parts of a shard while
// its messages are handled.
type run struct {
	*Consumer
	reader *reader
	// size is how many messages are asked for at a time.
	size    int
	checked time.Time

	// state is nil while this process has no messages: another one may change it.
	state *state
	// pin is what the messages say that it was read for.
	pin    string
	saved  []byte // the state that was saved last
	shards [events.Shards]shardRun
	// late is the first place that the stream had when this process was slower than its
	// limits.
	late uint64

	asked   int // the number of the last request for a replay
	answers chan answer
	group   sync.WaitGroup // of those who ask
}

// shardRun is what is known of a shard while this process works on it.
type shardRun struct {
	// looked is where the stream was read again because something was missing.
	looked position
	ask    ask
	// replays are those that are being received, by their names.
	replays map[string]*replay
}

func newRun(c *Consumer) *run {
	return &run{Consumer: c, reader: &reader{c: c}, size: firstFetch, answers: make(chan answer, events.Shards)}
}

// loop receives until ctx ends, or the stream or the consumer is not ours.
func (r *run) loop(ctx context.Context) error {
	wait, said := firstPause, ""
	for {
		err := r.reader.open(ctx)
		if err == nil {
			wait, said, r.checked = firstPause, "", time.Now()
			r.giveUp(ctx)
			for err == nil { // for each batch
				err = r.receive(ctx)
			}
		}
		if ctx.Err() != nil {
			return context.Cause(ctx)
		}
		if errors.Is(err, bus.ErrNotOurs) || errors.Is(err, errState) {
			return err
		}
		if err.Error() != said {
			logger.Warnf("consumer %s receives nothing now, and tries again: %s", r.opts.Name, err)
		}
		said = err.Error()
		if !pause(ctx, wait) {
			return context.Cause(ctx)
		}
		wait = min(2*wait, maxReopen)
	}
}

// giveUp has JetStream give the messages to any process, if they were given to this one:
// it is another one to JetStream now, as it has opened the consumer anew.
func (r *run) giveUp(ctx context.Context) {
	if r.state == nil {
		return
	}
	r.leave()
	if err := r.reader.release(ctx); err != nil {
		logger.Debug(err)
	}
}

// receive asks for messages and works on them, until those that were asked for are there
// or none come.
func (r *run) receive(ctx context.Context) error {
	batch, err := r.reader.fetch(r.size)
	if err != nil {
		return r.received(ctx, err)
	}
	after, again, err := r.handleBatch(ctx, batch)
	for range batch.Messages() { // those that are not wanted now come again
	}
	if err != nil {
		return err
	}
	if again {
		r.lookAgain(ctx, after)
		return nil
	}
	return r.received(ctx, batch.Error())
}

// handleBatch works on the messages of a batch as they come. It stops when the stream is to
// be read again after a place.
func (r *run) handleBatch(ctx context.Context, batch jetstream.MessageBatch) (after uint64, again bool, err error) {
	var busy time.Duration
	for n := 0; ; {
		select {
		case <-ctx.Done():
			return 0, false, context.Cause(ctx)
		case m, ok := <-batch.Messages():
			if !ok {
				r.adapt(n, busy)
				return 0, false, nil
			}
			part := available(batch, m)
			n += len(part)
			start := time.Now()
			after, again, err := r.work(ctx, part)
			if again || err != nil {
				return after, again, err
			}
			busy += time.Since(start)
		case a := <-r.answers:
			r.answered(a)
		}
		r.askAll(ctx)
	}
}

// available returns a message and those of its batch that have arrived after it.
func available(batch jetstream.MessageBatch, first jetstream.Msg) []jetstream.Msg {
	part := []jetstream.Msg{first}
	for {
		select {
		case m, ok := <-batch.Messages():
			if !ok {
				return part
			}
			part = append(part, m)
		default:
			return part
		}
	}
}

// adapt has more messages asked for at a time, or fewer, so that a process that works is
// not silent for long.
func (r *run) adapt(n int, busy time.Duration) {
	switch {
	case busy > r.opts.Takeover/4:
		r.size = max(r.size/2, 1)
	case n == r.size && busy < r.opts.Takeover/16:
		r.size = min(2*r.size, maxFetch)
	}
}

// received is told how a batch has ended, and looks whether all is well with the consumer
// if it did not end as usual, and now and then.
func (r *run) received(ctx context.Context, err error) error {
	switch {
	case errors.Is(err, jetstream.ErrPinIDMismatch): // another process has taken over
		r.leave()
		return nil
	case err != nil:
		logger.Debugf("consumer %s: %s", r.opts.Name, err)
		if !pause(ctx, afterError) {
			return context.Cause(ctx)
		}
	case time.Since(r.checked) < checkEvery:
		r.askAll(ctx)
		return nil
	}
	r.checked = time.Now()
	return r.reader.check(ctx)
}

// leave forgets what another process may change from now on.
func (r *run) leave() {
	r.state, r.pin, r.late = nil, "", 0
	r.shards = [events.Shards]shardRun{}
}

// errState says that the state cannot be read, and that nobody knows what was handled.
var errState = errors.New("the saved state is not one")

// load reads the state that was saved last, by whatever process. It tries until ctx ends.
func (r *run) load(ctx context.Context, pin string) error {
	r.leave()
	text, err := retry(ctx, "reading the state", r.opts.Name, func() ([]byte, error) { return r.opts.State.Load(ctx, r.opts.Name) })
	if err != nil {
		return err
	}
	s := newState(r.opts.Since)
	if text != nil {
		if s, err = parseState(text); err != nil {
			return fmt.Errorf("%w: %w: remove it to begin anew", errState, err)
		}
	}
	s.in(r.reader.made)
	r.state, r.pin, r.saved = s, pin, text
	return nil
}

// save writes the state. It tries until ctx ends.
func (r *run) save(ctx context.Context) error {
	text, err := r.state.encode()
	if err != nil || bytes.Equal(text, r.saved) {
		return err
	}
	_, err = retry(ctx, "saving the state", r.opts.Name, func() (struct{}, error) {
		return struct{}{}, r.opts.State.Save(ctx, r.opts.Name, text)
	})
	if err == nil {
		r.saved = text
	}
	return err
}

// retry calls f until it succeeds or ctx ends.
func retry[T any](ctx context.Context, what, name string, f func() (T, error)) (T, error) {
	for wait := firstPause; ; wait = min(2*wait, maxPause) {
		v, err := f()
		if err == nil {
			return v, nil
		}
		if ctx.Err() == nil {
			logger.Warnf("consumer %s tries again: %s: %s", name, what, err)
		}
		if ctx.Err() != nil || !pause(ctx, wait) {
			return v, fmt.Errorf("%s of consumer %s: %w", what, name, err)
		}
	}
}

// end leaves the work to another process at once.
func (r *run) end() {
	r.group.Wait()
	if r.state == nil || r.reader.stream == nil {
		return
	}
	ctx, cancel := context.WithTimeout(context.Background(), endTimeout)
	defer cancel()
	if err := r.reader.release(ctx); err != nil {
		logger.Debug(err)
	}
}
