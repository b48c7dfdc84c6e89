package consume_test

import (
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// tell publishes events of new versions, and returns them.
func tell(t *testing.T, p *bus.Publisher, cids ...string) map[string]events.Event {
	t.Helper()
	truth := make(map[string]events.Event)
	var batch []bus.Message
	for _, cid := range cids {
		e := pinEvent(cid, false)
		data, err := e.Encode()
		must(t, err)
		batch = append(batch, bus.Message{ID: e.ID(), At: e.Time(), Data: data})
		truth[e.Key()] = e
	}
	must(t, p.Publish(t.Context(), batch, time.Now()))
	must(t, p.Manifest(t.Context()))
	return truth
}

func cids(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprint("cid", i))
	}
	return out
}

// TestWhereItBegins shows which events a new consumer gets.
func TestWhereItBegins(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	begin := time.Now()
	w := newWorld(t, b, 1)
	w.load(100)
	w.more(100)
	earlier := w.quiet()
	eventually(t, func() string { return published(t, b, w) })
	stream, err := b.JetStream().Stream(t.Context(), b.Stream())
	must(t, err)
	must(t, stream.Purge(t.Context()))
	w.load(10_000)
	w.more(20)
	truth := w.quiet()
	later := make(map[string]events.Event)
	for key, e := range truth {
		if e.Version() != earlier[key].Version() {
			later[key] = e
		}
	}
	var all, some table
	rest := start(t, connect(t, cluster), "some", &memory{}, &some, nil)
	eventually(t, func() string { return some.differs(later) })
	whole := start(t, connect(t, cluster), "all", &memory{}, &all, func(o *consume.Options) { o.Since = begin })
	eventually(t, func() string { return all.differs(truth) })
	eventually(t, whole.missing)
	if s := whole.Stats(); s.Replays == 0 {
		t.Errorf("a consumer of all was told nothing again: %+v", s)
	}
	if s := rest.Stats(); s.Asked != 0 {
		t.Errorf("a consumer of what is in the stream has asked for more: %+v", s)
	}
}

// TestConsumerOfSomebodyElse shows that nothing is done with it.
func TestConsumerOfSomebodyElse(t *testing.T) {
	b := connect(t, natstest.Start(t, 1))
	must(t, b.Ensure(t.Context()))
	_, err := b.JetStream().CreateConsumer(t.Context(), b.Stream(), jetstream.ConsumerConfig{Durable: "c"})
	must(t, err)
	var tb table
	c, err := consume.New(consume.Options{Bus: b, Name: "c", State: &memory{}, Handler: tb.handle})
	must(t, err)
	if err := c.Run(t.Context()); !errors.Is(err, bus.ErrNotOurs) {
		t.Errorf("Run = %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	b := connect(t, natstest.Start(t, 1))
	var tb table
	for takeover, want := range map[time.Duration]string{0: "", time.Second: "", time.Second - 1: "after 999.999999ms: use 1s or more", -time.Minute: "after -1m0s: use 1s or more"} {
		_, err := consume.New(consume.Options{Bus: b, Name: "c", State: &memory{}, Handler: tb.handle, Takeover: takeover})
		if (err == nil) != (want == "") || err != nil && !strings.Contains(err.Error(), want) {
			t.Errorf("Takeover %s: %v, want %q", takeover, err, want)
		}
	}
	for _, o := range []consume.Options{
		{Name: "c", State: &memory{}, Handler: tb.handle}, {Bus: b, Name: "c", Handler: tb.handle}, {Bus: b, Name: "c", State: &memory{}},
		{Bus: b, State: &memory{}, Handler: tb.handle}, {Bus: b, Name: "a.b", State: &memory{}, Handler: tb.handle},
		{Bus: b, Name: strings.Repeat("x", 65), State: &memory{}, Handler: tb.handle},
	} {
		if _, err := consume.New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}
