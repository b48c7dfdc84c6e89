package natstest_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

func TestMain(m *testing.M) {
	goleak.VerifyTestMain(m)
}

const stream = "s"

// put stores a message, once there is a leader and the connection is back.
func put(t *testing.T, js jetstream.JetStream) {
	t.Helper()
	for t.Context().Err() == nil {
		ctx, cancel := context.WithTimeout(t.Context(), 2*time.Second)
		_, err := js.Publish(ctx, stream, []byte("x"))
		cancel()
		if err == nil {
			return
		}
		t.Log("not stored yet: ", err)
	}
}

// TestThreeServers shows that two go on without the third, whichever way it is lost, and
// that one of three does not.
func TestThreeServers(t *testing.T) {
	cluster := natstest.Start(t, 3)
	conn, err := nats.Connect(strings.Join(cluster.URLs(), ","), nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: stream, Replicas: 3}); err != nil {
		t.Fatal(err)
	}
	put(t, js)

	killed := cluster.Leader(t, stream)
	cluster.Kill(killed)
	put(t, js)
	cluster.Start(t, killed)

	cut := cluster.Leader(t, stream)
	cluster.Cut(cut)
	put(t, js)

	other := (cut + 1) % 3
	cluster.Cut(other)
	ctx, cancel := context.WithTimeout(t.Context(), 5*time.Second)
	defer cancel()
	if _, err := js.Publish(ctx, stream, []byte("x")); err == nil {
		t.Error("one server of three has stored a message")
	}
	cluster.Heal(other)
	put(t, js)
	cluster.Heal(cut)
	put(t, js)

	for i := range 3 {
		cluster.Kill(i)
	}
	for i := range 3 {
		cluster.Wipe(t, i)
		cluster.Start(t, i)
	}
	for {
		_, err := js.Stream(t.Context(), stream)
		if errors.Is(err, jetstream.ErrStreamNotFound) {
			return
		}
		if err == nil {
			t.Fatal("the stream is there after its data were wiped")
		}
		t.Log("no answer yet: ", err)
	}
}

// TestOneServer shows that a server that was killed comes back with its data.
func TestOneServer(t *testing.T) {
	cluster := natstest.Start(t, 1)
	conn, err := nats.Connect(cluster.URLs()[0], nats.MaxReconnects(-1), nats.ReconnectWait(50*time.Millisecond))
	if err != nil {
		t.Fatal(err)
	}
	defer conn.Close()
	js, err := jetstream.New(conn)
	if err != nil {
		t.Fatal(err)
	}
	if _, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: stream}); err != nil {
		t.Fatal(err)
	}
	put(t, js)
	cluster.Kill(0)
	cluster.Start(t, 0)
	put(t, js)
	got, err := js.Stream(t.Context(), stream)
	if err != nil {
		t.Fatal(err)
	}
	if n := got.CachedInfo().State.Msgs; n != 2 {
		t.Errorf("the stream has %d messages, want 2", n)
	}
}
