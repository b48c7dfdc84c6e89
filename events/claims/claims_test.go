package claims_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/metrictest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// TestAllIsDelivered: what Publish has answered is delivered, in whole and once while nothing
// goes wrong, to each name, in batches, and is acknowledged when it is handled.
func TestAllIsDelivered(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b, all := connect(t, cluster), added(0, 1000)
	p := claims.NewPublisher(b, nil)
	must(t, p.Publish(t.Context(), all[:700]))
	must(t, p.Publish(t.Context(), all[600:])) // the stream drops doubles for some minutes
	var one, two ledger
	c, d := start(t, b, "one", one.handle), start(t, connect(t, cluster), "two", two.handle)
	for _, l := range []*ledger{&one, &two} {
		eventually(t, func() string { return l.lacks(all) })
	}
	idle(t, c)
	idle(t, d)
	if one.again != 0 || one.calls > len(all)/2 {
		t.Errorf("%d deliveries were not the first, %d calls", one.again, one.calls)
	}
	stream, err := b.FindClaims(t.Context())
	must(t, err)
	info, err := stream.Info(t.Context(), jetstream.WithSubjectFilter(">"))
	must(t, err)
	if info.State.Msgs != uint64(len(all)) || len(info.State.Subjects) != events.Shards || info.Config.MaxAge != bus.DefaultMaxAge || info.Config.MaxBytes != bus.DefaultMaxBytes {
		t.Errorf("the stream has %d messages in %v, %+v", info.State.Msgs, info.State.Subjects, info.Config)
	}
}

// TestHandlerFails: nothing of a batch is acknowledged whose handler has failed, and all of it
// comes again.
func TestHandlerFails(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b, all := connect(t, cluster), added(0, 50)
	m := claims.NewConsumerMetrics()
	before := metrictest.Values(t, m)
	var l ledger
	refused := make(map[uint64]bool)
	l.refuse = func(batch []claims.Delivery) error {
		for _, d := range batch { // each message is refused once, with all that came with it
			if d.Delivered == 1 {
				refused[d.Sequence] = true
			}
		}
		if batch[0].Delivered == 1 {
			return errRefused
		}
		return nil
	}
	must(t, claims.NewPublisher(b, nil).Publish(t.Context(), all))
	c := start(t, b, "c", l.handle, func(o *claims.Options) { o.Metrics = m })
	eventually(t, func() string { return l.lacks(all) })
	idle(t, c)
	c.stop()
	if len(refused) != len(all) {
		t.Errorf("%d messages were refused", len(refused))
	}
	moved := metrictest.Moved(t, m, before)
	if moved["ipfscluster_events_claims_handled_total"] != 50 || moved["ipfscluster_events_claims_redelivered_total"] < 50 || moved["ipfscluster_events_claims_handler_failures_total"] < 1 {
		t.Errorf("counted %v", moved)
	}
}

// TestShared: two processes share the work, and one that is gone with what it was given leaves
// it to the other.
func TestShared(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b, all := connect(t, cluster), added(0, 2000)
	p := claims.NewPublisher(b, nil)
	must(t, p.Publish(t.Context(), all[:1000]))
	var l ledger
	var mine, theirs atomic.Int64
	given, gone := make(chan struct{}), make(chan struct{})
	lost := start(t, connect(t, cluster), "c", func(ctx context.Context, batch []claims.Delivery) error {
		if theirs.Add(int64(len(batch))) == int64(len(batch)) {
			close(given)
		}
		<-gone
		return l.handle(ctx, batch)
	})
	<-given
	c := start(t, b, "c", func(ctx context.Context, batch []claims.Delivery) error {
		mine.Add(int64(len(batch)))
		return l.handle(ctx, batch)
	})
	eventually(t, func() string {
		if n := mine.Load() + theirs.Load(); n < 1000 {
			return fmt.Sprintf("%d messages were delivered", n)
		}
		return ""
	})
	if mine.Load() == 0 || theirs.Load() == 0 {
		t.Errorf("%d and %d messages", mine.Load(), theirs.Load())
	}
	must(t, p.Publish(t.Context(), all[1000:]))
	// Both are done with it: what one of them has, it handles late.
	close(gone)
	eventually(t, func() string { return l.lacks(all) })
	idle(t, c)
	lost.stop()
}

// TestKilled: what a process was given that ends without an answer is given to another one.
func TestKilled(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b, all := connect(t, cluster), added(0, 300)
	must(t, claims.NewPublisher(b, nil).Publish(t.Context(), all))
	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	theirs, err := bus.Connect(bus.Config{URLs: cluster.URLs(), Cluster: "test", Name: "killed"})
	must(t, err)
	given := make(chan struct{}, 100)
	dead := start(t, theirs, "c", func(ctx context.Context, _ []claims.Delivery) error {
		given <- struct{}{}
		<-ctx.Done()
		must(t, theirs.Close(context.WithoutCancel(ctx))) // nothing that it says arrives any more
		return errRefused
	})
	<-given
	dead.stop()
	var l ledger
	c := start(t, b, "c", l.handle)
	eventually(t, func() string { return l.lacks(all) })
	idle(t, c)
	if l.again == 0 || ctx.Err() != nil {
		t.Errorf("%d deliveries were not the first", l.again)
	}
}

// TestSlowHandler: what is worked on for longer than AckWait is given to nobody else.
func TestSlowHandler(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b, all := connect(t, cluster), added(0, 20)
	must(t, claims.NewPublisher(b, nil).Publish(t.Context(), all))
	var l ledger
	given := make(chan struct{}, 100)
	slow := func(ctx context.Context, batch []claims.Delivery) error {
		given <- struct{}{}
		select { // it is slow
		case <-ctx.Done():
		case <-time.After(3 * ackWait):
		}
		return l.handle(ctx, batch)
	}
	start(t, b, "c", slow)
	<-given
	c := start(t, connect(t, cluster), "c", l.handle)
	eventually(t, func() string { return l.lacks(all) })
	idle(t, c)
	if l.again != 0 {
		t.Errorf("%d deliveries were not the first", l.again)
	}
}

// TestOutage: without a server Publish fails at once and Lag is not known; when it is back, all
// that is published again arrives, also what the outage has cut off on either side.
func TestOutage(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b, all := connect(t, cluster), added(0, 600)
	m := claims.NewPublisherMetrics()
	p := claims.NewPublisher(connect(t, cluster), m)
	must(t, p.Publish(t.Context(), all[:200]))
	var l ledger
	given, down := make(chan struct{}, 1000), make(chan struct{})
	c := start(t, b, "c", func(ctx context.Context, batch []claims.Delivery) error {
		given <- struct{}{}
		<-down
		return l.handle(ctx, batch) // what it acknowledges is not heard
	})
	<-given
	cluster.Kill(0)
	eventually(t, func() string {
		if b.Err() == nil {
			return "the connection is there"
		}
		return ""
	})
	close(down)
	if err := p.Publish(t.Context(), all[200:]); err == nil {
		t.Error("published without a server")
	}
	if lag, err := c.Lag(t.Context()); err == nil {
		t.Errorf("the lag without a server is %+v", lag)
	}
	cluster.Start(t, 0)
	eventually(t, func() string {
		if err := p.Publish(t.Context(), all[200:]); err != nil {
			return err.Error()
		}
		return ""
	})
	eventually(t, func() string { return l.lacks(all) })
	idle(t, c)
	counted := metrictest.Values(t, m)
	if counted["ipfscluster_events_claims_published_total"] != float64(len(all)) || counted["ipfscluster_events_claims_publish_failures_total"] == 0 {
		t.Errorf("counted %v", counted)
	}
}

// TestServerLost: with three servers one that dies loses nothing that was acknowledged.
func TestServerLost(t *testing.T) {
	cluster := natstest.Start(t, 3)
	b, all := connect(t, cluster), added(0, 600)
	p := claims.NewPublisher(connect(t, cluster), nil)
	must(t, p.Publish(t.Context(), all[:300]))
	var l ledger
	c := start(t, b, "c", l.handle)
	cluster.Kill(cluster.Leader(t, b.ClaimStream()))
	eventually(t, func() string {
		if err := p.Publish(t.Context(), all[300:]); err != nil {
			return err.Error()
		}
		return ""
	})
	eventually(t, func() string { return l.lacks(all) })
	idle(t, c)
}

// TestMalformed: what is no event of a claim comes to the handler with the reason, and is
// acknowledged with the rest.
func TestMalformed(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b, all := connect(t, cluster), added(0, 10)
	m := claims.NewConsumerMetrics()
	must(t, claims.NewPublisher(b, nil).Publish(t.Context(), all))
	pin, err := events.Event{Source: "/", Type: events.PeerCame, Peer: &events.PeerData{Peer: "p", Incarnation: "i", At: all[0].Claim.At}}.Encode()
	must(t, err)
	known, err := all[0].Encode()
	must(t, err)
	for _, data := range []string{"", "no event", string(pin), strings.Replace(string(known), "claim.added.v1", "claim.added.v2", 1)} {
		_, err := b.JetStream().Publish(t.Context(), b.ClaimSubject(3), []byte(data))
		must(t, err)
	}
	var l ledger
	c := start(t, b, "c", l.handle, func(o *claims.Options) { o.Metrics = m })
	eventually(t, func() string { return l.lacks(all) })
	idle(t, c)
	c.stop()
	if len(l.bad) != 4 {
		t.Fatalf("%d were malformed", len(l.bad))
	}
	slices.SortFunc(l.bad, func(a, b claims.Delivery) int { return int(a.Sequence) - int(b.Sequence) })
	for i, d := range l.bad {
		want := events.ErrMalformed
		if i == 3 {
			want = events.ErrUnknown
		}
		if !errors.Is(d.Err, want) || d.Event.Claim != nil || d.Sequence != uint64(11+i) || d.Stored.IsZero() {
			t.Errorf("%d: %+v", i, d)
		}
	}
	if string(l.bad[1].Data) != "no event" || metrictest.Values(t, m)["ipfscluster_events_claims_malformed_total"] != 4 {
		t.Errorf("%q, counted %v", l.bad[1].Data, metrictest.Values(t, m))
	}
}

// TestUnpublishable: an event that cannot be encoded holds up no other.
func TestUnpublishable(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b, all := connect(t, cluster), added(0, 3)
	m := claims.NewPublisherMetrics()
	all[1].Claim.Cid = "a/b"
	must(t, claims.NewPublisher(b, m).Publish(t.Context(), all))
	var l ledger
	start(t, b, "c", l.handle)
	eventually(t, func() string { return l.lacks([]events.Event{all[0], all[2]}) })
	if v := metrictest.Values(t, m); v["ipfscluster_events_claims_unpublishable_total"] != 1 || v["ipfscluster_events_claims_published_total"] != 2 {
		t.Errorf("counted %v", v)
	}
}

// TestStreamIsGone: a stream that was removed is made again by the next call that fails first,
// and consumers go on in it.
func TestStreamIsGone(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b, all := connect(t, cluster), added(0, 100)
	p := claims.NewPublisher(b, nil)
	must(t, p.Publish(t.Context(), all[:50]))
	var l ledger
	c := start(t, b, "c", l.handle)
	eventually(t, func() string { return l.lacks(all[:50]) })
	must(t, b.JetStream().DeleteStream(t.Context(), b.ClaimStream()))
	eventually(t, func() string {
		if err := p.Publish(t.Context(), all[50:]); err != nil {
			return err.Error()
		}
		return ""
	})
	eventually(t, func() string { return l.lacks(all) })
	idle(t, c)
}

// TestLag: the lag is what is not acknowledged, with the time of the oldest, and never nothing
// when it is not known.
func TestLag(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b, all := connect(t, cluster), added(0, 30)
	if lag, err := claims.LagOf(t.Context(), b, "c"); !errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Errorf("without a stream: %+v, %v", lag, err)
	}
	p := claims.NewPublisher(b, nil)
	must(t, p.Publish(t.Context(), nil)) // it makes the stream
	if lag, err := claims.LagOf(t.Context(), b, "c"); !errors.Is(err, jetstream.ErrConsumerNotFound) {
		t.Errorf("without a consumer: %+v, %v", lag, err)
	}
	var l ledger
	c := start(t, b, "c", l.handle)
	idle(t, c)
	l.mu.Lock()
	l.refuse = func([]claims.Delivery) error { return errRefused }
	l.mu.Unlock()
	must(t, p.Publish(t.Context(), all[:1]))
	must(t, p.Publish(t.Context(), all[1:]))
	stream, err := b.FindClaims(t.Context())
	must(t, err)
	first, err := stream.GetMsg(t.Context(), 1)
	must(t, err)
	consumer, err := stream.Consumer(t.Context(), "c")
	must(t, err)
	eventually(t, func() string {
		if info, err := consumer.Info(t.Context()); err != nil || info.NumPending > 0 {
			return fmt.Sprintf("not all are delivered: %+v, %v", info, err)
		}
		return ""
	})
	eventually(t, func() string {
		if lag, err := c.Lag(t.Context()); err != nil || lag.Waiting != 30 || !lag.Oldest.Equal(first.Time) {
			return fmt.Sprintf("the lag is %+v, %v, the first is of %s", lag, err, first.Time)
		}
		return ""
	})
	l.mu.Lock()
	l.refuse = nil
	l.mu.Unlock()
	eventually(t, func() string { return l.lacks(all) })
	idle(t, c)
}

// TestNotOurs: streams and consumers of somebody else are left alone, and named.
func TestNotOurs(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	theirs, err := b.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: b.ClaimStream(), Subjects: []string{"x"}})
	must(t, err)
	var l ledger
	if err := claims.NewPublisher(b, nil).Publish(t.Context(), added(0, 1)); !errors.Is(err, bus.ErrNotOurs) || !strings.Contains(err.Error(), "ipfs-cluster-claims is not ours") {
		t.Errorf("published: %v", err)
	}
	if err := <-start(t, b, "c", l.handle).ended; !errors.Is(err, bus.ErrNotOurs) {
		t.Errorf("consumed: %v", err)
	}
	if _, err := claims.LagOf(t.Context(), b, "c"); !errors.Is(err, bus.ErrNotOurs) {
		t.Errorf("the lag: %v", err)
	}
	if info, err := theirs.Info(t.Context()); err != nil || info.Config.Subjects[0] != "x" || info.State.Msgs != 0 {
		t.Errorf("it became %+v, %v", info, err)
	}
	must(t, b.JetStream().DeleteStream(t.Context(), b.ClaimStream()))
	must(t, claims.NewPublisher(b, nil).Publish(t.Context(), added(0, 1)))
	stream, err := b.FindClaims(t.Context())
	must(t, err)
	_, err = stream.CreateConsumer(t.Context(), jetstream.ConsumerConfig{Durable: "c", AckPolicy: jetstream.AckExplicitPolicy})
	must(t, err)
	if err := <-start(t, b, "c", l.handle).ended; !errors.Is(err, bus.ErrNotOurs) {
		t.Errorf("a consumer of somebody else: %v", err)
	}
	if _, err := claims.LagOf(t.Context(), b, "c"); !errors.Is(err, bus.ErrNotOurs) {
		t.Errorf("its lag: %v", err)
	}
	if l.calls != 0 {
		t.Error("the handler was called")
	}
}

func TestOptionsAreRefused(t *testing.T) {
	b := connect(t, natstest.Start(t, 1))
	handle := new(ledger).handle
	for says, opts := range map[string]claims.Options{
		"needs a bus":         {Name: "c", Handler: handle},
		"needs a bus and":     {Name: "c", Bus: b},
		`the name "a.b"`:      {Name: "a.b", Bus: b, Handler: handle},
		`the name ""`:         {Bus: b, Handler: handle},
		"silent for 1ms only": {Name: "c", Bus: b, Handler: handle, AckWait: time.Millisecond},
	} {
		if _, err := claims.New(opts); err == nil || !strings.Contains(err.Error(), says) {
			t.Errorf("%v, want an error that says %q", err, says)
		}
	}
}

func TestMetricsFollowTheRules(t *testing.T) {
	metrictest.Check(t, claims.NewPublisherMetrics(), "ipfscluster_events_claims_", nil)
	metrictest.Check(t, claims.NewConsumerMetrics(), "ipfscluster_events_claims_", nil)
	var publisher *claims.PublisherMetrics
	var consumer *claims.ConsumerMetrics
	registry := prometheus.NewRegistry()
	registry.MustRegister(publisher, consumer)
	if families, err := registry.Gather(); err != nil || len(families) != 0 {
		t.Errorf("%v, %v", families, err)
	}
}
