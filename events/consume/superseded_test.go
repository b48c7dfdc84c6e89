package consume_test

import (
	"fmt"
	"maps"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// TestSuperseded shows that what a relay tells after another one has told events of its shard
// is dropped, counted, and said once; and that it is not counted when the stream is read
// again by another process.
func TestSuperseded(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	replaced, now := b.NewPublisher(3, 7, time.Now()), b.NewPublisher(3, 8, time.Now())
	truth := tell(t, replaced, "a", "b")
	maps.Copy(truth, tell(t, now, "b", "c"))
	tell(t, replaced, "a", "d")                                              // two events and a manifest
	must(t, b.NewReplay(3, 7, "r", time.Now(), time.Now()).End(t.Context())) // and this
	maps.Copy(truth, tell(t, now, "e"))

	said := warnings(t)
	var tb table
	m := &memory{}
	c := start(t, connect(t, cluster), "c", m, &tb, nil)
	eventually(t, func() string { return tb.differs(truth) })
	if n := c.Stats().Superseded; n != 4 {
		t.Fatalf("%d messages are superseded, want 4", n)
	}
	if len(tb.pins) != len(truth) {
		t.Errorf("it was handed %d CIDs, want %d", len(tb.pins), len(truth))
	}
	want := "consumer c drops messages of shard 3 that are of epoch 7, after those of epoch 8"
	eventually(t, func() string { return lacks(said(), want) })
	if n := strings.Count(said(), "drops messages"); n != 1 {
		t.Errorf("it was said %d times: %s", n, said())
	}
	eventually(t, func() string { return acknowledged(t, b, "c") })
	c.stop()

	stream, err := b.JetStream().Stream(t.Context(), b.Stream())
	must(t, err)
	_, err = stream.ResetConsumerToSequence(t.Context(), "c", 1)
	must(t, err)
	c = start(t, connect(t, cluster), "c", m, &tb, nil)
	maps.Copy(truth, tell(t, now, "f"))
	eventually(t, func() string { return tb.differs(truth) })
	if n := c.Stats().Superseded; n != 0 {
		t.Errorf("%d messages that were read before are counted", n)
	}
}

// acknowledged says what of the stream a consumer has not acknowledged, nothing if it has all.
func acknowledged(t *testing.T, b *bus.Bus, name string) string {
	t.Helper()
	stream, err := b.JetStream().Stream(t.Context(), b.Stream())
	must(t, err)
	consumer, err := stream.Consumer(t.Context(), name)
	must(t, err)
	if info := consumer.CachedInfo(); info.AckFloor.Stream < stream.CachedInfo().State.LastSeq {
		return fmt.Sprintf("it has acknowledged %d of %d", info.AckFloor.Stream, stream.CachedInfo().State.LastSeq)
	}
	return ""
}
