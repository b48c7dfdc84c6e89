package told_test

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/notice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/notice/told"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

func connect(tb testing.TB, cluster *natstest.Cluster) *bus.Bus {
	tb.Helper()
	b, err := bus.Connect(bus.Config{URLs: cluster.URLs(), Cluster: "test", Name: tb.Name()})
	must(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		must(tb, b.Close(ctx))
	})
	return b
}

// Notices are in a stream of their own, by their kinds, each once, and a stream that was removed is
// made again.
func TestPublish(t *testing.T) {
	b := connect(t, natstest.Start(t, 1))
	p := told.New(b)
	reached := notice.Notice{Source: "/billing/test", Type: notice.LimitReached, Time: time.UnixMilli(1_800_000_000_000).UTC(), Limit: &notice.Limit{
		Owner: "acme", Period: "2026-12", Percent: 100, Limit: "1.00", Total: "1.01", Currency: "USD",
	}}
	crossed := reached
	crossed.Type, crossed.Limit = notice.ThresholdCrossed, &notice.Limit{Owner: "acme", Period: "2026-12", Percent: 80, Limit: "1.00", Total: "1.01", Currency: "USD"}
	for range 2 {
		must(t, p.Publish(t.Context(), []notice.Notice{crossed, reached}))
	}
	stream, err := b.JetStream().Stream(t.Context(), b.BillingStream())
	must(t, err)
	info, err := stream.Info(t.Context())
	must(t, err)
	if info.State.Msgs != 2 {
		t.Errorf("it has %d messages", info.State.Msgs)
	}
	m, err := stream.GetLastMsgForSubject(t.Context(), b.BillingSubject("limit.reached"))
	must(t, err)
	if n, err := notice.Parse(m.Data); err != nil || n.ID() != reached.ID() {
		t.Errorf("it has %s, %v", m.Data, err)
	}
	if err := p.Publish(t.Context(), []notice.Notice{{}}); err == nil {
		t.Error("a notice that is none was told")
	}
	must(t, p.Publish(t.Context(), []notice.Notice{reached}))
	must(t, b.JetStream().DeleteStream(t.Context(), b.BillingStream()))
	if err := p.Publish(t.Context(), []notice.Notice{reached}); err == nil {
		t.Error("it was told to no stream")
	} else {
		must(t, p.Publish(t.Context(), []notice.Notice{reached}))
	}
	if _, err := b.JetStream().Stream(t.Context(), b.BillingStream()); errors.Is(err, jetstream.ErrStreamNotFound) {
		t.Error("the stream was not made again")
	}
}
