package claims

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// shortened is a stream that says that it has lost its end.
type shortened struct{ jetstream.Stream }

func (s shortened) Info(ctx context.Context, opts ...jetstream.StreamInfoOpt) (*jetstream.StreamInfo, error) {
	info, err := s.Stream.Info(ctx, opts...)
	if err == nil {
		info.State.LastSeq--
	}
	return info, err
}

// TestLostEnd: a consumer that has read what the stream does not have any more begins anew, or
// it would miss what gets these places.
func TestLostEnd(t *testing.T) {
	b, err := bus.Connect(bus.Config{URLs: natstest.Start(t, 1).URLs(), Cluster: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() {
		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	e := events.ClaimEvent("/", events.ClaimAdded, events.ClaimData{Cid: "c", Owner: "o", RequestID: "r", Accepted: time.UnixMilli(1)})
	if err := NewPublisher(b, nil).Publish(t.Context(), []events.Event{e}); err != nil {
		t.Fatal(err)
	}
	c, err := New(Options{Bus: b, Name: "c", Handler: func(context.Context, []Delivery) error { return nil }})
	if err != nil {
		t.Fatal(err)
	}
	r, err := c.open(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	if err := r.receive(t.Context()); err != nil {
		t.Fatal(err)
	}
	if err := r.check(t.Context()); err != nil {
		t.Errorf("a stream that is whole: %v", err)
	}
	r.stream = shortened{r.stream}
	if err := r.check(t.Context()); err == nil || !strings.Contains(err.Error(), "has lost") {
		t.Errorf("a stream that has lost its end: %v", err)
	}
	if _, err := r.stream.Consumer(t.Context(), "c"); !errors.Is(err, jetstream.ErrConsumerNotFound) {
		t.Errorf("its consumer: %v", err)
	}
}
