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
	// checkEvery is how often the consumer in JetStream is looked at, and tickEvery how
	// often it is seen that a relay has to be asked.
	checkEvery = 30 * time.Second
	tickEvery  = time.Second
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
	held   jetstream.Msg // a message for the next batch, or nil

	// state is nil while this process has no messages: another one may change it.
	state *state
	// pin is what the messages say that it was read for.
	pin    string
	shards [events.Shards]shardRun

	asked   int // the number of the last request for a replay
	answers chan answer
	group   sync.WaitGroup // of those who ask

	saved []byte // the state that was saved last
}

// shardRun is what is known of a shard while this process works on it.
type shardRun struct {
	// begun is whether the stream was read from its beginning on.
	begun bool
	// looked is where the stream was read again because something was missing.
	looked position
	ask    ask
	// replays are those that are being received, by their names.
	replays map[string]*replay
}

// position is a number of an epoch.
type position struct {
	epoch int64
	n     uint64
}

func newRun(c *Consumer) *run {
	return &run{Consumer: c, reader: newReader(c), answers: make(chan answer, events.Shards)}
}

// loop receives until ctx ends, or the stream or the consumer is not ours.
func (r *run) loop(ctx context.Context) error {
	wait, said := firstPause, ""
	for {
		err := r.reader.open(ctx)
		if err == nil {
			wait, said = firstPause, ""
			r.reclaim(ctx)
			err = r.receive(ctx)
		}
		r.reader.stop()
		r.held = nil
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

// reclaim has JetStream give the messages to any process, if they were given to this one:
// it is another one now, as it has opened the consumer anew.
func (r *run) reclaim(ctx context.Context) {
	if r.state == nil {
		return
	}
	r.leave()
	if err := r.reader.release(ctx); err != nil {
		logger.Debug(err)
	}
}

// receive works until ctx ends or the consumer is gone.
func (r *run) receive(ctx context.Context) error {
	check, tick := time.NewTicker(checkEvery), time.NewTicker(tickEvery)
	defer check.Stop()
	defer tick.Stop()
	for {
		var err error
		if r.held != nil {
			err = r.work(ctx, r.batch(r.held))
		} else {
			select {
			case <-ctx.Done():
				return context.Cause(ctx)
			case m := <-r.reader.messages:
				err = r.work(ctx, r.batch(m))
			case <-r.reader.unpinned:
				r.leave()
			case <-r.reader.broken:
				err = r.reader.check(ctx)
			case <-check.C:
				err = r.reader.check(ctx)
			case a := <-r.answers:
				r.answered(a)
			case <-tick.C:
			}
		}
		if err != nil {
			return err
		}
		r.askAll(ctx)
	}
}

// batch returns a message and those that have arrived after it for the same pin.
func (r *run) batch(first jetstream.Msg) []jetstream.Msg {
	r.held = nil
	batch := []jetstream.Msg{first}
	pin := first.Headers().Get(pinHeader)
	for len(batch) < batchSize {
		select {
		case m := <-r.reader.messages:
			if m.Headers().Get(pinHeader) != pin {
				r.held = m
				return batch
			}
			batch = append(batch, m)
		default:
			return batch
		}
	}
	return batch
}

// leave forgets what another process may change from now on.
func (r *run) leave() {
	r.state, r.pin = nil, ""
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
