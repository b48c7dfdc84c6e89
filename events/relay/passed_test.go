package relay_test

import (
	"fmt"
	"strings"
	"testing"
	"time"

	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/relay"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// TestPassedOverOnce: a row that cannot be told is counted and said once, however often its
// batch is tried again and told again, and what is beside it is told.
func TestPassedOverOnce(t *testing.T) {
	if err := logging.SetLogLevel("events", "error"); err != nil {
		t.Fatal(err)
	}
	cluster := natstest.Start(t, 1)
	f, b := newFakeEvents(), connect(t, cluster)
	said := logtest.During(t, logging.LevelError, func() {
		r, _ := start(t, relay.Options{Events: f, Bus: b, Holder: "a"})
		eventually(t, "the shards", func() string {
			if n := r.Stats().Shards; n != state.EventShards {
				return fmt.Sprintf("it has %d shards", n)
			}
			return ""
		})
		cluster.Cut(0)
		f.writeBad(t, 3)
		want := write(t, f, 1, 3)
		failures := r.Stats().Failures
		eventually(t, "failures", func() string {
			if n := r.Stats().Failures; n < failures+5 {
				return fmt.Sprintf("%d failures", n-failures)
			}
			return ""
		})
		cluster.Heal(0)
		eventually(t, "the connection", func() string { return errText(b.Err()) })
		eventually(t, "the event beside it", func() string { return missing(t, b, want) })
		eventually(t, "a replay", func() string {
			if _, err := b.AskReplay(t.Context(), 3, time.Now().Add(-time.Minute), time.Now()); err != nil {
				return err.Error()
			}
			return ""
		})
		eventually(t, "the event to be told again", func() string {
			if len(ids(stored(t, b), bus.KindReplay)) == 0 {
				return "it is not there"
			}
			return ""
		})
		if s := r.Stats(); s.Malformed != 1 {
			t.Errorf("it counts %d rows that cannot be told, want 1", s.Malformed)
		}
	})
	if n := strings.Count(said, "that cannot be told"); n != 1 {
		t.Errorf("it was said %d times: %s", n, said)
	}
}

// writeBad adds a row to a feed that cannot be told.
func (f *fakeEvents) writeBad(tb testing.TB, shard int) {
	tb.Helper()
	f.mu.Lock()
	defer f.mu.Unlock()
	f.feeds[shard].rows = append(f.feeds[shard].rows, state.Event{Kind: 99, Cid: cidOf(tb, shard), At: newRevision()})
}
