package wake_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	logging "github.com/ipfs/go-log/v2"
	"github.com/nats-io/nats-server/v2/server"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/wake"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// TestWithoutTheRight: where NATS refuses wake-ups, feeds are looked at as often as without
// it, and that is said once for each of them.
func TestWithoutTheRight(t *testing.T) {
	deny := &server.SubjectPermission{Deny: []string{"ipfs-cluster.wake.>"}}
	cluster := natstest.StartWith(t, 1, natstest.Options{Configure: func(o *server.Options) {
		o.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{Publish: deny}}}
	}})
	b, err := bus.Connect(bus.Config{URLs: []string{strings.Replace(cluster.URLs()[0], "nats://", "nats://u:p@", 1)}, Cluster: "test"})
	if err != nil {
		t.Fatal(err)
	}
	defer func() { _ = b.Close(context.Background()) }()
	f := newFeeds()
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	if err := logging.SetLogLevel("events", "warn"); err != nil {
		t.Fatal(err)
	}
	said := logtest.During(t, logging.LevelWarn, func() {
		go func() { ended <- wake.New(b, f).Run(ctx, "a") }()
		until(t, "connected", f.woken, true)
		for n := range 200 {
			f.wrote("b")
			if n == 100 {
				until(t, "refused", f.woken, false)
			}
			time.Sleep(time.Millisecond) // so that they are not told of together
		}
	})
	if n := strings.Count(said, "NATS: "); n != 1 || !strings.Contains(said, "ipfs-cluster.wake.b") {
		t.Errorf("it was said %d times: %s", n, said)
	}
	cancel()
	if err := <-ended; !errors.Is(err, context.Canceled) {
		t.Errorf("it ends with %v", err)
	}
}
