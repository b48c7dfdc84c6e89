package consume_test

import (
	"fmt"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// TestSlowConsumer shows that one line names a consumer that reads less than the stream
// drops, and that it is told what it has missed.
func TestSlowConsumer(t *testing.T) {
	must(t, logging.SetLogLevel("events", "warn"))
	t.Cleanup(func() { must(t, logging.SetLogLevel("events", "error")) })
	cluster := natstest.Start(t, 1)
	// The replays have room in it: what is told again must not be dropped, too.
	small := func(cfg *bus.Config) { cfg.MaxBytes = 400 << 10 }
	b := connectWith(t, cluster, small)
	w := newWorld(t, b, 2)
	write := func() {
		for _, f := range w.feeds {
			for i := range 50 {
				f.write(fmt.Sprintf("cid%d-%d", f.shard, i), false)
			}
		}
		eventually(t, func() string { return published(t, b, w) })
	}
	var tb table
	var slow atomic.Bool
	called, gate := make(chan struct{}), make(chan struct{})
	call := sync.OnceFunc(func() { close(called) })
	tb.refuse = func(events.Event) error {
		if slow.Load() {
			call()
			<-gate
		}
		return nil
	}
	said := logtest.During(t, logging.LevelWarn, func() {
		c := start(t, connectWith(t, cluster, small), "sleepy", &memory{}, &tb, nil)
		// Before the first message of each shard it looks at the stream, which must be over.
		write()
		w.equal(map[*table][]*process{&tb: {c}})
		slow.Store(true)
		write()
		<-called
		for range 30 {
			write()
		}
		close(gate)
		w.equal(map[*table][]*process{&tb: {c}})
		if s := c.Stats(); s.Late != 1 || s.Replays == 0 {
			t.Errorf("it counted %+v", s)
		}
	})
	if n := strings.Count(said, "consumer sleepy is slower than the limits of stream ipfs-cluster-events"); n != 1 || strings.Contains(said, "misses events") {
		t.Errorf("a slow consumer is named in %d lines of\n%s", n, said)
	}
}

// TestConsumerAheadOfStream shows that a consumer that has read more than the stream has,
// as its end was lost, reads on.
func TestConsumerAheadOfStream(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	p := b.NewPublisher(0, 1, time.Now())
	m := &memory{}
	var tb table
	truth := tell(t, p, cids(20)...)
	c := start(t, connect(t, cluster), "c", m, &tb, nil)
	eventually(t, func() string { return tb.differs(truth) })
	c.stop()
	stream, err := b.JetStream().Stream(t.Context(), b.Stream())
	must(t, err)
	_, err = stream.ResetConsumerToSequence(t.Context(), "c", 1_000_000)
	must(t, err)
	start(t, connect(t, cluster), "c", m, &tb, nil)
	more := tell(t, p, cids(30)...)
	eventually(t, func() string { return tb.differs(more) })
}
