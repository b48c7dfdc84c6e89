// Package told tells notices on NATS JetStream: in a stream of their own, with a subject for each
// kind. What is told again within the stream's window of duplicates, two minutes, is there once;
// after it consumers know it by its ID.
package told

import (
	"context"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/notice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
)

// Publisher publishes notices. It is safe for concurrent use.
type Publisher struct {
	bus     *bus.Bus
	ensured atomic.Bool
}

// New returns a Publisher, which does not close b.
func New(b *bus.Bus) *Publisher { return &Publisher{bus: b} }

// Publish stores notices in the stream, and returns when all are acknowledged. It makes the
// stream if it is missing. After an error some may be in it: they are to be published again,
// which is harmless.
func (p *Publisher) Publish(ctx context.Context, all []notice.Notice) error {
	err := p.publish(ctx, all)
	if err != nil {
		p.ensured.Store(false) // it may have been removed
	}
	return err
}

func (p *Publisher) publish(ctx context.Context, all []notice.Notice) error {
	if !p.ensured.Load() {
		if err := p.bus.EnsureBilling(ctx); err != nil {
			return err
		}
		p.ensured.Store(true)
	}
	start := time.Now()
	for _, n := range all {
		data, err := n.Encode()
		if err != nil {
			return fmt.Errorf("telling %s: %w", n.ID(), err)
		}
		// Nats-Msg-Id is unique in the stream; the source is that of who has it.
		_, err = p.bus.JetStream().PublishMsg(ctx, &nats.Msg{Subject: p.bus.BillingSubject(n.Type.Kind()), Data: data},
			jetstream.WithMsgID(n.Source+" "+n.ID()), jetstream.WithExpectStream(p.bus.BillingStream()))
		if err != nil {
			return p.bus.Explain(err, start, "telling %s", n.ID())
		}
	}
	return nil
}
