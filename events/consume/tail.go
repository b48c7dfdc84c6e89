package consume

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

// Tail calls f with the events that are told from now on, or after since if that is not zero
// and as far as the stream keeps them, until ctx ends or f returns false. It is for people
// who watch: it keeps no state, may leave out what the stream loses, and f may see an event
// twice. What is no event that this build knows it tells of by an error, with data.
func Tail(ctx context.Context, b *bus.Bus, since time.Time, f func(e events.Event, data []byte, err error) bool) error {
	cfg := jetstream.OrderedConsumerConfig{FilterSubjects: []string{b.Subjects()}, DeliverPolicy: jetstream.DeliverNewPolicy}
	if !since.IsZero() {
		cfg.DeliverPolicy, cfg.OptStartTime = jetstream.DeliverByStartTimePolicy, &since
	}
	consumer, err := b.JetStream().OrderedConsumer(ctx, b.Stream(), cfg)
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return fmt.Errorf("there is no stream %s: no peer with events has made it yet", b.Stream())
	}
	if err != nil {
		return fmt.Errorf("reading the stream %s: %w", b.Stream(), err)
	}
	messages, err := consumer.Messages()
	if err != nil {
		return fmt.Errorf("reading the stream %s: %w", b.Stream(), err)
	}
	defer messages.Stop()
	defer context.AfterFunc(ctx, messages.Stop)() // it waits for a stream that is gone
	for {
		m, err := messages.Next(jetstream.NextContext(ctx))
		switch {
		case ctx.Err() != nil:
			return context.Cause(ctx)
		case errors.Is(err, jetstream.ErrMsgIteratorClosed):
			return fmt.Errorf("reading the stream %s: %w", b.Stream(), err)
		case err != nil: // an outage: the iterator goes on
			if !pause(ctx, firstPause) {
				return context.Cause(ctx)
			}
			continue
		}
		if !tailOne(b, m.Subject(), m.Headers(), m.Data(), f) {
			return nil
		}
	}
}

func tailOne(b *bus.Bus, subject string, headers nats.Header, data []byte, f func(events.Event, []byte, error) bool) bool {
	h, err := b.Header(subject, headers)
	if err == nil && h.Kind != bus.KindEvent && h.Kind != bus.KindAgain {
		return true
	}
	var e events.Event
	if err == nil {
		e, err = events.Parse(data)
	}
	return f(e, data, err)
}
