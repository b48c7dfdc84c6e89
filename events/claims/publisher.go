package claims

import (
	"context"
	"hash/fnv"
	"sync/atomic"
	"time"

	logging "github.com/ipfs/go-log/v2"
	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

var logger = logging.Logger("events")

const (
	// window is how many messages of a call are on their way at most.
	window = 64
	// stallWait is how long a message may wait until fewer are on their way.
	stallWait = 10 * time.Second
)

// Publisher publishes events of claims. It is safe for concurrent use.
type Publisher struct {
	bus     *bus.Bus
	metrics *PublisherMetrics
	ensured atomic.Bool
}

// NewPublisher returns a Publisher, which does not close b. Metrics may be nil.
func NewPublisher(b *bus.Bus, metrics *PublisherMetrics) *Publisher {
	return &Publisher{bus: b, metrics: metrics}
}

// Publish stores events in the stream, and returns when all are acknowledged. It makes the
// stream if it is missing, also for no events at all. After an error some of them may be in the
// stream: they are to be published again, which is harmless at any time. An event that cannot
// be encoded is passed over, and logged: it never could. Errors are those of Bus.Ensure, or of
// a connection that is not there, which takes no time to be seen, or that does not answer.
func (p *Publisher) Publish(ctx context.Context, all []events.Event) error {
	err := p.publish(ctx, all)
	if err != nil {
		p.ensured.Store(false) // it may have been removed
		p.metrics.failed()
	}
	return err
}

func (p *Publisher) publish(ctx context.Context, all []events.Event) error {
	if !p.ensured.Load() {
		if err := p.bus.EnsureClaims(ctx); err != nil {
			return err
		}
		p.ensured.Store(true)
	}
	start := time.Now()
	var waiting []jetstream.PubAckFuture
	for _, e := range all {
		data, err := e.Encode()
		if err != nil {
			p.metrics.passedOver()
			logger.Errorf("the event %s of a claim is not told: %s", e.ID(), err)
			continue
		}
		if len(waiting) == window {
			if err := p.wait(ctx, waiting[0]); err != nil {
				return p.bus.Explain(err, start, "publishing claims")
			}
			waiting = waiting[1:]
		}
		ack, err := p.bus.JetStream().PublishMsgAsync(&nats.Msg{Subject: p.bus.ClaimSubject(shardOf(e.Claim.RequestID)), Data: data},
			jetstream.WithMsgID(e.ID()), jetstream.WithExpectStream(p.bus.ClaimStream()), jetstream.WithStallWait(stallWait))
		if err != nil {
			return p.bus.Explain(err, start, "publishing claims")
		}
		waiting = append(waiting, ack)
	}
	for _, ack := range waiting {
		if err := p.wait(ctx, ack); err != nil {
			return p.bus.Explain(err, start, "publishing claims")
		}
	}
	return nil
}

// wait waits until the stream has a message. One that it has had already is there.
func (p *Publisher) wait(ctx context.Context, ack jetstream.PubAckFuture) error {
	select {
	case <-ack.Ok():
		p.metrics.told()
		return nil
	case err := <-ack.Err():
		return err
	case <-ctx.Done():
		return context.Cause(ctx)
	}
}

// shardOf is the shard of a request.
func shardOf(request string) int {
	h := fnv.New32a()
	_, _ = h.Write([]byte(request)) // it never fails
	return int(h.Sum32() % events.Shards)
}
