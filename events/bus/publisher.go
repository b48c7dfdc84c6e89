package bus

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

// ackTimeout is how long the stream may take to acknowledge a message.
const ackTimeout = 10 * time.Second

// Publisher publishes the events of one shard in one epoch, and numbers them. An epoch
// has one Publisher, ever: the numbers of a second one would be taken for those of the
// first. A Publisher is used by one goroutine at a time.
type Publisher struct {
	bus   *Bus
	shard int
	epoch int64

	// announced is whether the stream has a Resume that says what follows last.
	announced bool
	last      uint64 // the last number that was used
	// stored is the last number up to which all messages that count are in the stream.
	// through is how far they tell, latest the latest time among them.
	stored          uint64
	through, latest time.Time
}

// NewPublisher begins an epoch of a shard. What the feed has until from was published
// in earlier epochs.
func (b *Bus) NewPublisher(shard int, epoch int64, from time.Time) *Publisher {
	return &Publisher{bus: b, shard: shard, epoch: epoch, through: from}
}

// Publish stores a batch in the stream, and returns when all of it is acknowledged.
// What the feed has until through is then in the stream, by this batch and what was
// published before.
//
// After an error some of the batch may be in the stream. The whole batch is then published
// again, by another call: it gets new numbers, and consumers are told that the old
// ones do not count. A stream that was deleted is made again by that call.
func (p *Publisher) Publish(ctx context.Context, batch []Message, through time.Time) error {
	if err := p.announce(ctx); err != nil {
		return err
	}
	start := time.Now()
	err := publishAll(ctx, batch, func(m Message) (jetstream.PubAckFuture, error) {
		p.last++
		return p.bus.publishAsync(Header{Kind: KindEvent, Shard: p.shard, Epoch: p.epoch, N: p.last}, m)
	})
	if err != nil {
		p.announced = false
		return p.bus.Explain(err, start, "publishing %d events of shard %d", len(batch), p.shard)
	}
	p.stored = p.last
	if through.After(p.through) {
		p.through = through
	}
	for _, m := range batch {
		if m.At.After(p.latest) {
			p.latest = m.At
		}
	}
	return nil
}

// Manifest tells consumers how far the events are told. It may be published again after
// an error, or be left out: the next one says more.
func (p *Publisher) Manifest(ctx context.Context) error {
	if err := p.announce(ctx); err != nil {
		return err
	}
	m := events.Manifest{Shard: p.shard, Epoch: p.epoch, N: p.stored, Through: p.through, Latest: p.latest}
	data, err := m.Encode()
	if err != nil {
		return fmt.Errorf("encoding the manifest of shard %d: %w", p.shard, err)
	}
	err = p.bus.publish(ctx, Header{Kind: KindManifest, Shard: p.shard}, data,
		fmt.Sprintf("manifest/%d@%d.%d.%d", p.shard, p.epoch, p.stored, p.through.UnixNano()))
	if err != nil {
		p.announced = false // the stream may be gone, and is made again with a Resume
	}
	return err
}

// Through returns how far the events are told in the stream.
func (p *Publisher) Through() time.Time { return p.through }

// Latest returns the latest time among the events that are in the stream.
func (p *Publisher) Latest() time.Time { return p.latest }

// announce tells consumers what the next number follows, if they do not know: at the
// beginning, and when numbers are left out. It makes the streams if they are missing.
func (p *Publisher) announce(ctx context.Context) error {
	if p.announced {
		return nil
	}
	if err := p.bus.Ensure(ctx); err != nil {
		return err
	}
	r := events.Resume{Shard: p.shard, Epoch: p.epoch, N: p.last, After: p.stored, From: p.through}
	data, err := r.Encode()
	if err != nil {
		return fmt.Errorf("encoding the resume of shard %d: %w", p.shard, err)
	}
	err = p.bus.publish(ctx, Header{Kind: KindResume, Shard: p.shard}, data,
		fmt.Sprintf("resume/%d@%d.%d.%d", p.shard, p.epoch, p.last, p.stored))
	if err != nil {
		return err
	}
	p.stored = p.last
	p.announced = true
	return nil
}

// publish stores one message and waits for it.
func (b *Bus) publish(ctx context.Context, h Header, data []byte, id string) error {
	start := time.Now()
	_, err := b.js.PublishMsg(ctx, b.message(h, data), jetstream.WithMsgID(id), jetstream.WithExpectStream(b.Stream()))
	if err != nil {
		return b.Explain(err, start, "publishing a %s of shard %d", h.Kind, h.Shard)
	}
	return nil
}

// Retry hands an encoded event to one consumer again, that was published to a shard's
// subject. letter is the name of what the consumer has put aside: JetStream drops
// copies for as long as its window of duplicates.
func (b *Bus) Retry(ctx context.Context, subject, consumer, letter string, data []byte) error {
	shard, ok := b.shardOf(subject)
	if !ok {
		return fmt.Errorf("%.200q is not the subject of a shard", subject)
	}
	return b.publish(ctx, Header{Kind: KindRetry, Shard: shard, Consumer: consumer, Letter: letter}, data, "retry/"+consumer+"/"+letter)
}

// publishAsync sends one numbered message. The number is in its ID, so that JetStream
// drops what its client sends twice and nothing else. The client does not send again
// by itself: it would arrive behind the numbers that follow.
func (b *Bus) publishAsync(h Header, m Message) (jetstream.PubAckFuture, error) {
	id := fmt.Sprintf("%s@%d.%d", m.ID, h.Epoch, h.N)
	if h.Replay != "" {
		id = fmt.Sprintf("%s@%s.%d", m.ID, h.Replay, h.N)
	}
	return b.js.PublishMsgAsync(b.message(h, m.Data), jetstream.WithMsgID(id), jetstream.WithExpectStream(b.Stream()),
		jetstream.WithRetryAttempts(0), jetstream.WithStallWait(ackTimeout))
}

// errDuplicate says that a number was used by another Publisher.
var errDuplicate = errors.New("the stream has had this number before: the epoch is somebody else's")

// window is how many messages of a batch are on their way at most. All shards together must
// not have more than a slow disk takes within ackTimeout.
const window = 64

// publishAll publishes a batch, and returns when all of it is acknowledged, or a message
// is not.
func publishAll(ctx context.Context, batch []Message, publish func(Message) (jetstream.PubAckFuture, error)) error {
	acks := make([]jetstream.PubAckFuture, 0, len(batch))
	wait := func(ack jetstream.PubAckFuture) error {
		select {
		case got := <-ack.Ok():
			if got.Duplicate {
				return errDuplicate
			}
			return nil
		case err := <-ack.Err():
			return err
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	for i, m := range batch {
		if i >= window {
			if err := wait(acks[i-window]); err != nil {
				return err
			}
		}
		ack, err := publish(m)
		if err != nil {
			return err
		}
		acks = append(acks, ack)
	}
	for _, ack := range acks[max(0, len(acks)-window):] {
		if err := wait(ack); err != nil {
			return err
		}
	}
	return nil
}
