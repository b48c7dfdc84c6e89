package relay_test

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/relay"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

func TestMain(m *testing.M) { os.Exit(cqltest.Main(m)) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// patience is how long these tests wait for what has to happen.
const patience = 2 * time.Minute

// eventually waits until problem returns nothing.
func eventually(tb testing.TB, what string, problem func() string) {
	tb.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		last := problem()
		if last == "" {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("waited in vain for %s: %s", what, last)
		}
	}
}

// connect opens a Bus that is closed with the test.
func connect(tb testing.TB, cluster *natstest.Cluster) *bus.Bus {
	tb.Helper()
	b, err := bus.Connect(bus.Config{URLs: cluster.URLs(), Cluster: "test"})
	must(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), 5*time.Second)
		defer cancel()
		_ = b.Close(ctx)
	})
	return b
}

// start runs a relay, and returns what ends it as SIGTERM does.
func start(tb testing.TB, opts relay.Options) (*relay.Relay, func()) {
	tb.Helper()
	if opts.Cluster == "" {
		opts.Cluster = "test"
	}
	if opts.LeaseTTL == 0 {
		opts.LeaseTTL = time.Second
	}
	r, err := relay.New(opts)
	must(tb, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { r.Run(ctx); close(ended) }()
	stop := sync.OnceFunc(func() { cancel(); <-ended })
	tb.Cleanup(stop)
	return r, stop
}

// message is one of the stream.
type message struct {
	bus.Header
	id string // of an event
}

// stored returns all messages of the stream, in order.
func stored(tb testing.TB, b *bus.Bus) []message {
	tb.Helper()
	ctx, cancel := context.WithTimeout(tb.Context(), patience)
	defer cancel()
	stream, err := b.JetStream().Stream(ctx, b.Stream())
	if errors.Is(err, jetstream.ErrStreamNotFound) {
		return nil
	}
	must(tb, err)
	var all []message
	for seq := uint64(1); ; seq++ {
		m, err := stream.GetMsg(ctx, seq, jetstream.WithGetMsgSubject(b.Subjects()))
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			return all
		}
		must(tb, err)
		seq = m.Sequence
		h, err := b.Header(m.Subject, m.Header)
		must(tb, err)
		got := message{Header: h}
		if h.Kind == bus.KindEvent || h.Kind == bus.KindReplay {
			e, err := events.Parse(m.Data)
			must(tb, err)
			got.id = e.ID()
		}
		all = append(all, got)
	}
}

// ids are those of the events among messages, as often as they are there.
func ids(all []message, kind bus.Kind) []string {
	var out []string
	for _, m := range all {
		if m.Kind == kind {
			out = append(out, m.id)
		}
	}
	return out
}

// missing says which of some events are not in the stream.
func missing(tb testing.TB, b *bus.Bus, want []string) string {
	tb.Helper()
	got := ids(stored(tb, b), bus.KindEvent)
	var lacks []string
	for _, id := range want {
		if !slices.Contains(got, id) {
			lacks = append(lacks, id)
		}
	}
	if len(lacks) == 0 {
		return ""
	}
	return fmt.Sprintf("%d of %d events are missing: %s", len(lacks), len(want), strings.Join(lacks[:1], ""))
}
