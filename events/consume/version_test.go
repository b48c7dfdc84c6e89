package consume_test

import (
	"errors"
	"testing"
	"time"

	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// TestOldServerIsRefused shows that a consumer makes nothing at a server that says that it is
// too old, which is a fake of one, that it says which version it has found and which it needs,
// and that it goes on when the server is upgraded.
func TestOldServerIsRefused(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	truth := tell(t, b.NewPublisher(0, 1, time.Now()), cids(20)...)
	cluster.SayVersion("2.12.1")
	old := connect(t, cluster)
	eventually(t, func() string {
		if err := old.Err(); err != nil {
			return err.Error()
		}
		return ""
	})
	if err := old.CheckVersion(); !errors.Is(err, bus.ErrTooOld) {
		t.Errorf("the check says %v", err)
	}
	var tb table
	said := warnings(t)
	start(t, old, "c", &memory{}, &tb, nil)
	eventually(t, func() string {
		return lacks(said(), "is NATS 2.12.1, and a consumer needs "+bus.ConsumerVersion+" or later")
	})
	if _, err := b.JetStream().Consumer(t.Context(), b.Stream(), "c"); !errors.Is(err, jetstream.ErrConsumerNotFound) {
		t.Errorf("looking for the consumer: %v", err)
	}
	cluster.SayVersion("")
	cluster.Cut(0)
	cluster.Heal(0)
	eventually(t, func() string { return tb.differs(truth) })
}
