package audit

import (
	"context"
	"crypto/rand"
	"errors"
	"fmt"
	"sync"
	"sync/atomic"
	"time"
)

// ErrUnavailable is that no sink could write, so that nothing may be done (503).
var ErrUnavailable = errors.New("no audit record can be written")

// Sink keeps records. It sets Version, Writer, Seq and Time, as a chain is a sink's.
type Sink interface {
	// Append returns when the record is durable. It may be called by any number of
	// goroutines at once. An error means that the record may not be there.
	Append(ctx context.Context, r Record) error
}

// RecorderOptions are the options of a Recorder.
type RecorderOptions struct {
	// Sinks keep the records. A record is kept when one of them has it.
	Sinks []Sink
	// Timeout is how long a sink has. Zero means 5 s.
	Timeout time.Duration
	// Waiting is how many records may wait for one sink; one that has more fails. Zero
	// means 4096.
	Waiting int64
	// SinkFailed is told of every record that a sink did not keep. It may be nil.
	SinkFailed func(sink int, err error)
	// Now is the clock. Nil means time.Now.
	Now func() time.Time
	// Failures bounds what is recorded of failed authentications.
	Failures FailureOptions
}

// Recorder records events.
type Recorder struct {
	options  RecorderOptions
	waiting  []atomic.Int64
	giving   sync.WaitGroup // records to sinks
	failures failures
}

// NewRecorder makes a Recorder. Run must be running for counts of failed
// authentications to be recorded.
func NewRecorder(options RecorderOptions) (*Recorder, error) {
	if len(options.Sinks) == 0 {
		return nil, errors.New("a recorder has at least one sink")
	}
	if options.Timeout == 0 {
		options.Timeout = 5 * time.Second
	}
	if options.Waiting == 0 {
		options.Waiting = 4096
	}
	if options.SinkFailed == nil {
		options.SinkFailed = func(int, error) {}
	}
	if options.Now == nil {
		options.Now = time.Now
	}
	r := &Recorder{options: options, waiting: make([]atomic.Int64, len(options.Sinks))}
	r.failures.setOptions(options.Failures)
	return r, nil
}

// Pending is an event that is being done.
type Pending struct {
	recorder *Recorder
	id       string
	started  time.Time
	ended    atomic.Bool
}

// ID is the id of the event in the records.
func (p *Pending) ID() string { return p.id }

// Begin records the intent. Only when it returns no error may the event be done: the
// intent is durable then. The error wraps ErrUnavailable.
func (r *Recorder) Begin(ctx context.Context, e Event) (*Pending, error) {
	p := &Pending{recorder: r, id: rand.Text(), started: r.options.Now()}
	if err := r.append(ctx, Record{Kind: Intent, ID: p.id, Event: e.cut()}); err != nil {
		return nil, err
	}
	return p, nil
}

// End records the outcome, and how long it took since Begin. It must be called once,
// with a context that lives although the client has left. If it fails the event
// remains Unknown in the records, and may be tried again.
func (p *Pending) End(ctx context.Context, result Result) error {
	if p.ended.Swap(true) {
		return errors.New("the event has an outcome already")
	}
	if result.Micros == 0 {
		result.Micros = p.recorder.options.Now().Sub(p.started).Microseconds()
	}
	err := p.recorder.append(ctx, Record{Kind: Outcome, ID: p.id, Result: result.cut()})
	if err != nil {
		p.ended.Store(false)
	}
	return err
}

// Done records what changes nothing, with what came of it: a read, or a denial.
func (r *Recorder) Done(ctx context.Context, e Event, result Result) error {
	return r.append(ctx, Record{Kind: Done, ID: rand.Text(), Event: e.cut(), Result: result.cut()})
}

// Wait returns when every sink has what was recorded, or has failed. A record counts as soon
// as one sink has it: call it before sinks are closed, when nothing more is recorded.
func (r *Recorder) Wait() { r.giving.Wait() }

// append gives a record to all sinks and returns when the first has it. The others go on.
func (r *Recorder) append(ctx context.Context, record Record) error {
	results := make(chan error, len(r.options.Sinks))
	for i := range r.options.Sinks {
		if r.waiting[i].Add(1) > r.options.Waiting {
			r.waiting[i].Add(-1)
			err := errors.New("too many records wait for it")
			r.options.SinkFailed(i, err)
			results <- err
			continue
		}
		r.giving.Go(func() {
			defer r.waiting[i].Add(-1)
			// The client may leave; what was begun is recorded.
			limited, cancel := context.WithTimeout(context.WithoutCancel(ctx), r.options.Timeout)
			defer cancel()
			err := r.options.Sinks[i].Append(limited, record)
			if err != nil {
				r.options.SinkFailed(i, err)
			}
			results <- err
		})
	}
	var problems []error
	for i := range r.options.Sinks {
		err := <-results
		if err == nil {
			return nil
		}
		problems = append(problems, fmt.Errorf("sink %d: %w", i, err))
	}
	return fmt.Errorf("%w: %w", ErrUnavailable, errors.Join(problems...))
}
