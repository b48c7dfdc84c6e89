package consume_test

import (
	"fmt"
	"math/rand/v2"
	"os"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// longTests is how much more is tested with TEST_LONG=1.
func longTests() bool { return os.Getenv("TEST_LONG") == "1" }

// rounds is how often something is done, more often with TEST_LONG=1.
func rounds(t *testing.T, few, many int) int {
	t.Helper()
	if longTests() {
		return many
	}
	t.Logf("A SLICE ONLY: %d of %d rounds. TEST_LONG=1 tests the whole.", few, many)
	return few
}

// since is for consumers that want all that the test writes.
func since(o *consume.Options) { o.Since = time.Now().Add(-time.Hour) }

// more waits until some more changes were written.
func (w *world) more(n int) {
	w.t.Helper()
	want := w.written() + n
	eventually(w.t, func() string {
		if got := w.written(); got < want {
			return fmt.Sprintf("%d changes are written, want %d", got, want)
		}
		return ""
	})
}

// equal stops the writers, and waits until all tables are what was written and nothing is
// missing. Consumers that one process works for were handed it in order, and once.
func (w *world) equal(tables map[*table][]*process) {
	w.t.Helper()
	truth := w.quiet()
	for tb, processes := range tables {
		eventually(w.t, func() string { return tb.differs(truth) })
		eventually(w.t, processes[0].missing)
		tb.mu.Lock()
		w.t.Logf("%d changes of %d CIDs; %d calls, %d again, %d older", w.written(), len(truth), tb.calls, tb.again, tb.older)
		for _, p := range processes {
			w.t.Logf("  %+v", p.Stats())
		}
		if len(processes) == 1 && tb.older+tb.again > 0 {
			w.t.Errorf("a consumer was handed %d events again and %d after newer ones", tb.again, tb.older)
		}
		tb.mu.Unlock()
	}
}

// TestStreamDeletedUnderLoad shows that consumers are told again what a deleted stream had.
func TestStreamDeletedUnderLoad(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	w := newWorld(t, b, 3)
	w.load(1000)
	var tb table
	p := start(t, connect(t, cluster), "c", &memory{}, &tb, since)
	for range rounds(t, 2, 20) {
		w.more(300)
		must(t, b.JetStream().DeleteStream(t.Context(), b.Stream()))
	}
	w.more(300)
	w.equal(map[*table][]*process{&tb: {p}})
	if p.Stats().Replays == 0 {
		t.Error("nothing was replayed: the test has shown nothing")
	}
}

// TestMessagesLost shows that consumers are told again what a stream has acknowledged and
// lost: single messages, and the beginning.
func TestMessagesLost(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	w := newWorld(t, b, 2)
	for range rounds(t, 2, 20) {
		w.load(300)
		w.more(300)
		w.quiet()
		eventually(t, func() string { return published(t, b, w) })
		stream, err := b.JetStream().Stream(t.Context(), b.Stream())
		must(t, err)
		info := stream.CachedInfo().State
		for range 20 {
			seq := info.FirstSeq + rand.Uint64N(info.LastSeq-info.FirstSeq)
			if err := stream.DeleteMsg(t.Context(), seq); err != nil {
				t.Logf("message %d was deleted twice: %s", seq, err)
			}
		}
		if rand.IntN(2) == 0 {
			must(t, stream.Purge(t.Context(), jetstream.WithPurgeSequence(info.FirstSeq+(info.LastSeq-info.FirstSeq)/2)))
		}
		var tb table
		p := start(t, connect(t, cluster), "c", &memory{}, &tb, since)
		w.equal(map[*table][]*process{&tb: {p}})
		if s := p.Stats(); s.Gaps == 0 || s.Replays == 0 {
			t.Error("nothing was missing: the test has shown nothing")
		}
		p.stop()
		must(t, stream.DeleteConsumer(t.Context(), "c"))
	}
}

// published tells whether the stream has a message for each change of each shard's feed.
func published(t *testing.T, b *bus.Bus, w *world) string {
	t.Helper()
	for _, r := range w.relays {
		r.feed.mu.Lock()
		var last time.Time
		for _, row := range r.feed.rows {
			if row.at.After(last) {
				last = row.at
			}
		}
		r.feed.mu.Unlock()
		if through := r.through.Load(); through == nil || through.Before(last) {
			return fmt.Sprintf("shard %d is not told yet", r.feed.shard)
		}
	}
	return ""
}

// TestServersFail shows that consumers lose nothing, whatever happens to three servers under
// load, and to relays and to the processes that consume.
func TestServersFail(t *testing.T) {
	cluster := natstest.Start(t, 3)
	b := connect(t, cluster)
	must(t, b.Ensure(t.Context()))
	w := newWorld(t, b, 4)
	var one, two table
	p := start(t, connect(t, cluster), "one", &memory{}, &one, since)
	shared := &memory{}
	pair := []*process{start(t, connect(t, cluster), "two", shared, &two, since), start(t, connect(t, cluster), "two", shared, &two, since)}
	faults := map[string]func(){
		"the leader is killed": func() {
			leader := cluster.Leader(t, b.Stream())
			cluster.Kill(leader)
			w.more(500)
			cluster.Start(t, leader)
		},
		"the leader is cut off": func() {
			leader := cluster.Leader(t, b.Stream())
			cluster.Cut(leader)
			w.more(500)
			cluster.Heal(leader)
		},
		"all are restarted": func() {
			for i := range 3 {
				cluster.Kill(i)
			}
			w.more(200)
			for i := range 3 {
				cluster.Start(t, i)
			}
		},
		"the stream is deleted": func() {
			cluster.Leader(t, b.Stream())
			eventually(t, func() string { return said(b.JetStream().DeleteStream(t.Context(), b.Stream())) })
		},
		"relays die": func() {
			for _, r := range w.relays {
				r.die <- struct{}{}
			}
		},
		"a process is replaced": func() {
			i := rand.IntN(2)
			pair[i].stop()
			w.more(200)
			pair[i] = start(t, connect(t, cluster), "two", shared, &two, since)
		},
	}
	for i := range rounds(t, 1, 10) {
		w.load(300)
		for _, tb := range []*table{&one, &two} { // they have begun
			eventually(t, tb.empty)
		}
		for name, fault := range faults { // in any order
			t.Logf("round %d: %s", i, name)
			w.more(200)
			fault()
			w.more(200)
		}
		w.equal(map[*table][]*process{&one: {p}, &two: pair})
	}
}

func said(err error) string {
	if err != nil {
		return err.Error()
	}
	return ""
}
