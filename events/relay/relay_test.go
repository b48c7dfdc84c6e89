package relay_test

import (
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/relay"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func idOf(tb testing.TB, e state.Event) string {
	tb.Helper()
	wire, err := relay.Wire("test", e)
	must(tb, err)
	return wire.ID()
}

// write adds pins to feeds and returns the IDs of their events.
func write(tb testing.TB, f *fakeEvents, n int, shards ...int) []string {
	tb.Helper()
	var want []string
	for range n {
		for _, s := range shards {
			want = append(want, idOf(tb, f.write(tb, s)))
		}
	}
	return want
}

func errText(err error) string {
	if err == nil {
		return ""
	}
	return err.Error()
}

// TestShared: relays share the shards, each has those that are its own, and all events are
// told once. One takes over what another leaves, under a larger epoch.
func TestShared(t *testing.T) {
	f, b := newFakeEvents(), connect(t, natstest.Start(t, 1))
	var alone atomic.Bool
	mine := func(rest int) func(int) (bool, int) {
		return func(shard int) (bool, int) { return alone.Load() || shard%2 == rest, 2 }
	}
	want := write(t, f, 3, 0, 1, 2, 15)
	first, _ := start(t, relay.Options{Events: f, Bus: b, Holder: "a", Mine: mine(0)})
	second, stopSecond := start(t, relay.Options{Events: f, Bus: b, Holder: "b", Mine: mine(1)})
	shares := func(a, b int) func() string {
		return func() string {
			if x, y := first.Stats().Shards, second.Stats().Shards; x != a || y != b {
				return fmt.Sprintf("they have %d and %d shards, want %d and %d", x, y, a, b)
			}
			return ""
		}
	}
	eventually(t, "the shards to be shared", shares(8, 8))
	eventually(t, "the events", func() string { return missing(t, b, want) })
	if got := ids(stored(t, b), bus.KindEvent); len(got) != len(want) {
		t.Errorf("%d events were told, want %d", len(got), len(want))
	}
	stopSecond()
	alone.Store(true)
	want = append(want, write(t, f, 2, 1, 2, 3)...)
	eventually(t, "one relay to have all", shares(16, 0))
	eventually(t, "the events", func() string { return missing(t, b, want) })
	epochs := make(map[int64]bool)
	for _, m := range stored(t, b) {
		if m.Kind == bus.KindEvent && m.Shard == 1 {
			epochs[m.Epoch] = true
		}
	}
	if len(epochs) != 2 {
		t.Errorf("the events of shard 1 have the epochs %v", epochs)
	}
}

// TestLeftToOthers: a relay leaves a shard when it becomes another's, once: if that does
// not take it, it has it again.
func TestLeftToOthers(t *testing.T) {
	f, b := newFakeEvents(), connect(t, natstest.Start(t, 1))
	var others atomic.Bool
	r, _ := start(t, relay.Options{Events: f, Bus: b, Holder: "a", Mine: func(int) (bool, int) { return !others.Load(), 2 }})
	all := func() string {
		if n := r.Stats().Shards; n != state.EventShards {
			return fmt.Sprintf("it has %d shards", n)
		}
		return ""
	}
	eventually(t, "all shards", all)
	others.Store(true)
	eventually(t, "a shard to be left", func() string {
		if f.holder("events/7") == "" {
			return ""
		}
		return "shard 7 is not free"
	})
	eventually(t, "all shards, as nobody else takes them", all)
	want := write(t, f, 1, 7)
	eventually(t, "the events", func() string { return missing(t, b, want) })
}

// TestOpenedTooLate: a relay that has opened a feed after another one took the lease and
// the feed does not read it: what it would tell nobody would take, and the cursor would
// pass it.
func TestOpenedTooLate(t *testing.T) {
	f, b := newFakeEvents(), connect(t, natstest.Start(t, 1))
	var late *fakeFeed
	var once sync.Once
	f.opening = func(shard int) {
		if shard != 5 {
			return
		}
		once.Do(func() { // the relay has the lease, and is paused until another has it
			eventually(t, "the lease to be free", func() string {
				_, held, err := f.TryLease(t.Context(), "events/5", "another", time.Hour)
				if err != nil || !held {
					return "it is not"
				}
				return ""
			})
			f.mu.Lock()
			late = &fakeFeed{events: f, shard: 5}
			f.feeds[5].last = late // the other one has opened the feed
			f.mu.Unlock()
		})
	}
	want := write(t, f, 3, 5, 6)
	_, stop := start(t, relay.Options{Events: f, Bus: b, Holder: "a"})
	eventually(t, "the events of another shard", func() string { return missing(t, b, want[1:2]) })
	eventually(t, "the feed to be opened", func() string {
		f.mu.Lock()
		defer f.mu.Unlock()
		if late == nil || f.feeds[5].last == late {
			return "it is not"
		}
		return ""
	})
	stop()
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.feeds[5].last.read || f.feeds[5].done > 0 {
		t.Errorf("the feed was read, up to row %d, under a lease that another relay has", f.feeds[5].done)
	}
}

// TestOutage: without NATS the events wait, and the shards are left to others. When it is
// back everything is told that was not.
func TestOutage(t *testing.T) {
	cluster := natstest.Start(t, 1)
	f, b := newFakeEvents(), connect(t, cluster)
	want := write(t, f, 2, 3, 4)
	_, _ = start(t, relay.Options{Events: f, Bus: b, Holder: "a"})
	eventually(t, "the events", func() string { return missing(t, b, want) })
	cluster.Kill(0)
	want = append(want, write(t, f, 2, 3, 4)...)
	eventually(t, "the shards to be left to others", func() string {
		if a, b := f.holder("events/3"), f.holder("events/4"); a != "" || b != "" {
			return fmt.Sprintf("%q and %q have them", a, b)
		}
		return ""
	})
	if f.done(3) != 2 {
		t.Errorf("the cursor has passed %d rows, of which 2 are told", f.done(3))
	}
	cluster.Start(t, 0)
	eventually(t, "a connection", func() string { return errText(b.Err()) })
	eventually(t, "the events", func() string { return missing(t, b, want) })
}

// TestForeignStream: a stream that somebody else has made is left alone, and so are the
// shards, until it is gone.
func TestForeignStream(t *testing.T) {
	f, b := newFakeEvents(), connect(t, natstest.Start(t, 1))
	eventually(t, "a stream of somebody else", func() string {
		_, err := b.JetStream().CreateStream(t.Context(), jetstream.StreamConfig{Name: b.Stream(), Subjects: []string{"theirs"}})
		return errText(err)
	})
	want := write(t, f, 2, 3)
	r, _ := start(t, relay.Options{Events: f, Bus: b, Holder: "a"})
	eventually(t, "the streams to be looked at", func() string {
		if r.Stats().Refused == 0 {
			return "they were not"
		}
		return ""
	})
	if r.Stats().Usable || f.holder("events/3") != "" {
		t.Fatal("the relay uses a stream that is not ours")
	}
	must(t, b.JetStream().DeleteStream(t.Context(), b.Stream()))
	eventually(t, "the events", func() string { return missing(t, b, want) })
}

// TestStop: what is being published when a relay is stopped is published to the end, and
// not once more by the next.
func TestStop(t *testing.T) {
	f, b := newFakeEvents(), connect(t, natstest.Start(t, 1))
	var want []string
	for range 20 {
		want = append(want, write(t, f, 50, 3)...)
		_, stop := start(t, relay.Options{Events: f, Bus: b, Holder: "a"})
		eventually(t, "the first events to be published", func() string {
			if missing(t, b, want[:1]) != "" {
				return "there are none"
			}
			return ""
		})
		stop()
	}
	_, _ = start(t, relay.Options{Events: f, Bus: b, Holder: "z"})
	eventually(t, "the events", func() string { return missing(t, b, want) })
	if got := ids(stored(t, b), bus.KindEvent); len(got) != len(want) || !slices.Equal(got, want) {
		t.Errorf("%d events were told, want these %d once, in order", len(got), len(want))
	}
	// Each turn but the last one has said how far it has come, behind its last event.
	last := make(map[int64]bus.Kind)
	for _, m := range stored(t, b) {
		if m.Shard != 3 {
			continue
		}
		switch m.Kind {
		case bus.KindEvent:
			last[m.Epoch] = m.Kind
		case bus.KindManifest:
			for epoch := range last {
				last[epoch] = m.Kind
			}
		default:
		}
	}
	for epoch, kind := range last {
		if kind != bus.KindManifest && epoch < int64(len(last)) {
			t.Errorf("epoch %d ends with a message of kind %s", epoch, kind)
		}
	}
}

// TestReplays: what is asked for is told again under the name that was promised; what
// is not kept any more is refused; and one replay does for several who ask.
func TestReplays(t *testing.T) {
	f, b := newFakeEvents(), connect(t, natstest.Start(t, 1))
	rows := []state.Event{f.write(t, 3), f.write(t, 3), f.write(t, 3)}
	_, _ = start(t, relay.Options{Events: f, Bus: b, Holder: "a"})
	ask := func(from, to time.Time) (name string, err error) {
		t.Helper()
		eventually(t, "the relay to answer", func() string {
			name, err = b.AskReplay(t.Context(), 3, from, to)
			if errors.Is(err, bus.ErrNoRelay) {
				return err.Error()
			}
			return ""
		})
		return name, err
	}
	name, err := ask(timeOf(rows[0]), timeOf(rows[2]))
	must(t, err)
	eventually(t, "the replay", func() string {
		all := stored(t, b)
		if got := ids(all, bus.KindReplay); !slices.Equal(got, []string{idOf(t, rows[1]), idOf(t, rows[2])}) {
			return fmt.Sprintf("it has %v", got)
		}
		for i, m := range all {
			if m.Kind == bus.KindReplay && m.Replay != name {
				t.Fatalf("message %d is of replay %s, want %s", i, m.Replay, name)
			}
		}
		if all[len(all)-1].Kind != bus.KindReplayed && len(ids(all, bus.KindReplayed)) == 0 {
			return "it has no end"
		}
		return ""
	})
	f.mu.Lock()
	f.gone = timeOf(rows[1])
	f.mu.Unlock()
	if _, err := ask(timeOf(rows[0]), timeOf(rows[2])); !errors.Is(err, bus.ErrGone) {
		t.Errorf("asked for what is gone: %v", err)
	}
	if _, err := ask(timeOf(rows[1]), timeOf(rows[1]).Add(time.Hour+time.Minute)); !errors.Is(err, bus.ErrRefused) {
		t.Errorf("asked for more than an hour: %v", err)
	}
	if _, err := ask(time.Time{}, timeOf(rows[2])); err != nil {
		t.Errorf("asked for all that there is: %v", err)
	}
	if _, err := ask(timeOf(rows[2]), timeOf(rows[2])); !errors.Is(err, bus.ErrRefused) {
		t.Errorf("asked for no time at all: %v", err)
	}
}

// TestNew: what a relay needs is asked for.
func TestNew(t *testing.T) {
	if _, err := relay.New(relay.Options{Events: newFakeEvents(), Cluster: "test", Holder: "a"}); err == nil {
		t.Error("a relay without a bus was made")
	}
	b := connect(t, natstest.Start(t, 1))
	for ttl, want := range map[time.Duration]string{0: "", time.Second: "", time.Second - 1: "a lease of 999.999999ms cannot be used: use 1s or more", -time.Minute: "a lease of -1m0s"} {
		_, err := relay.New(relay.Options{Events: newFakeEvents(), Bus: b, Cluster: "test", Holder: "a", LeaseTTL: ttl})
		if (err == nil) != (want == "") || !strings.Contains(errText(err), want) {
			t.Errorf("LeaseTTL %s: %v, want %q", ttl, err, want)
		}
	}
}
