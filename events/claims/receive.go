package claims

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

const (
	// maxPending is how many messages may be delivered and not acknowledged, to all processes.
	maxPending = 16 * MaxBatch
	// maxWait is how long a request for messages may wait at the server.
	maxWait = 2 * time.Second
	// requestTimeout is how long a request about the stream or the consumer may take.
	requestTimeout = 10 * time.Second
	// checkEvery is how often the consumer in JetStream is looked at.
	checkEvery = 30 * time.Second
)

// receiving is a Consumer with its consumer in JetStream. One goroutine owns it.
type receiving struct {
	*Consumer
	stream   jetstream.Stream
	consumer jetstream.Consumer
	checked  time.Time
	wait     time.Duration // the pause after the next failure of the handler
}

// open looks for the stream, and makes the consumer if it is missing.
func (c *Consumer) open(ctx context.Context) (*receiving, error) {
	ctx, cancel := context.WithTimeout(ctx, 3*requestTimeout)
	defer cancel()
	stream, err := c.opts.Bus.FindClaims(ctx)
	if err != nil {
		return nil, err
	}
	r := &receiving{Consumer: c, stream: stream, wait: firstPause}
	if err := r.ensure(ctx); err != nil {
		return nil, err
	}
	return r, r.check(ctx)
}

// ensure makes the consumer, or gives it our settings.
func (r *receiving) ensure(ctx context.Context) error {
	what := "the consumer " + r.opts.Name + " of claims"
	start := time.Now()
	there, err := r.stream.Consumer(ctx, r.opts.Name)
	switch {
	case errors.Is(err, jetstream.ErrConsumerNotFound):
	case err != nil:
		return r.opts.Bus.Explain(err, start, "looking for %s", what)
	default:
		cfg := there.CachedInfo().Config
		if err := r.opts.Bus.CheckMark(what, cfg.Metadata); err != nil {
			return err
		}
		if cfg.AckWait == r.opts.AckWait && cfg.MaxAckPending == maxPending {
			r.consumer = there
			return nil
		}
	}
	start = time.Now()
	r.consumer, err = r.stream.CreateOrUpdateConsumer(ctx, jetstream.ConsumerConfig{
		Durable:       r.opts.Name,
		DeliverPolicy: jetstream.DeliverAllPolicy,
		AckPolicy:     jetstream.AckExplicitPolicy,
		AckWait:       r.opts.AckWait,
		MaxAckPending: maxPending,
		FilterSubject: r.opts.Bus.ClaimSubjects(),
		Metadata:      r.opts.Bus.Mark(),
	})
	if err != nil {
		return r.opts.Bus.Explain(err, start, "making %s", what)
	}
	return nil
}

// check returns an error if the consumer is not there. One that is ahead of the stream, which
// was made anew or has lost its end, would miss what comes: it is removed, to begin anew.
func (r *receiving) check(ctx context.Context) error {
	ctx, cancel := context.WithTimeout(ctx, requestTimeout)
	defer cancel()
	start := time.Now()
	consumer, err := r.consumer.Info(ctx)
	if err != nil {
		return r.opts.Bus.Explain(err, start, "looking at the consumer %s of claims", r.opts.Name)
	}
	stream, err := r.stream.Info(ctx)
	if err != nil {
		return r.opts.Bus.Explain(err, start, "looking at the stream of claims")
	}
	r.checked = time.Now()
	if last := stream.State.LastSeq; consumer.Delivered.Stream > last {
		if err := r.stream.DeleteConsumer(ctx, r.opts.Name); err != nil {
			return r.opts.Bus.Explain(err, start, "removing the consumer %s of claims", r.opts.Name)
		}
		return fmt.Errorf("the stream %s ends at %d, and has lost what was read behind that: all of it is read again", stream.Config.Name, last)
	}
	return nil
}

// receive asks for messages and has them handled.
func (r *receiving) receive(ctx context.Context) error {
	if time.Since(r.checked) > checkEvery {
		if err := r.check(ctx); err != nil {
			return err
		}
	}
	all, err := r.fetch(MaxBatch, jetstream.Consumer.FetchNoWait)
	if err == nil && len(all) == 0 {
		all, err = r.fetch(1, func(c jetstream.Consumer, n int) (jetstream.MessageBatch, error) {
			return c.Fetch(n, jetstream.FetchMaxWait(maxWait))
		})
		if err == nil && len(all) > 0 { // those that came with it
			var more []jetstream.Msg
			more, err = r.fetch(MaxBatch-1, jetstream.Consumer.FetchNoWait)
			all = append(all, more...)
		}
	}
	if len(all) > 0 {
		if !r.handle(ctx, all) {
			return context.Cause(ctx)
		}
	}
	if err != nil {
		return err
	}
	return context.Cause(ctx)
}

// fetch asks for n messages, and returns those that came, also with an error.
func (r *receiving) fetch(n int, ask func(jetstream.Consumer, int) (jetstream.MessageBatch, error)) (all []jetstream.Msg, err error) {
	start := time.Now()
	batch, err := ask(r.consumer, n)
	if err == nil {
		for m := range batch.Messages() {
			all = append(all, m)
		}
		err = batch.Error()
	}
	if err != nil {
		return all, r.opts.Bus.Explain(err, start, "receiving claims as %s", r.opts.Name)
	}
	return all, nil
}

// handle has messages handled, and reports false if ctx ended while it waited.
func (r *receiving) handle(ctx context.Context, all []jetstream.Msg) bool {
	batch, waiting := deliveries(all)
	r.opts.Metrics.delivered(batch, waiting)
	stop := keep(all, r.opts.AckWait/3)
	err := r.opts.Handler(ctx, batch)
	stop()
	r.opts.Metrics.ended(batch, err)
	if err == nil {
		r.wait, r.said = firstPause, ""
		for _, m := range all {
			if err := m.Ack(); err != nil {
				logger.Debugf("consumer %s of claims: a message comes again: %s", r.opts.Name, err)
			}
		}
		return true
	}
	if ctx.Err() == nil {
		r.say(fmt.Errorf("handling %d claims: %w", len(all), err))
	}
	for _, m := range all {
		if err := m.NakWithDelay(r.wait); err != nil {
			logger.Debugf("consumer %s of claims: a message comes again in %s: %s", r.opts.Name, r.opts.AckWait, err)
		}
	}
	ok := pause(ctx, r.wait)
	r.wait = min(2*r.wait, maxPause)
	return ok
}

// deliveries reads messages, and returns how many wait behind them.
func deliveries(all []jetstream.Msg) (batch []Delivery, waiting uint64) {
	for _, m := range all {
		d := Delivery{Data: m.Data()}
		d.Event, d.Err = events.Parse(d.Data)
		if d.Err == nil && d.Event.Claim == nil {
			d.Event, d.Err = events.Event{}, fmt.Errorf("%w: an event of type %s among claims", events.ErrMalformed, d.Event.Type)
		}
		if meta, err := m.Metadata(); err == nil { // it is a message of JetStream
			d.Sequence, d.Delivered, d.Stored = meta.Sequence.Stream, meta.NumDelivered, meta.Timestamp
			waiting = meta.NumPending
		}
		batch = append(batch, d)
	}
	return batch, waiting
}

// keep tells the server now and then that messages are worked on, until stop is called.
func keep(all []jetstream.Msg, every time.Duration) (stop func()) {
	ended := make(chan struct{})
	var running sync.WaitGroup
	running.Go(func() {
		ticker := time.NewTicker(every)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
			}
			for _, m := range all {
				if err := m.InProgress(); err != nil {
					logger.Debugf("that a claim is worked on is not known: %s", err)
				}
			}
		}
	})
	return func() {
		close(ended)
		running.Wait()
	}
}
