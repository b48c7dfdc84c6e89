package consume_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	logging "github.com/ipfs/go-log/v2"
	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// TestConsumerChangesNoStream: a consumer that is configured otherwise than the peers leaves
// their streams as they are, also where there is no room for its own limits.
func TestConsumerChangesNoStream(t *testing.T) {
	cluster := natstest.StartWith(t, 1, natstest.Options{MaxStore: 64 << 20})
	b := connectWith(t, cluster, func(c *bus.Config) { c.MaxBytes, c.MaxAge = 16<<20, time.Hour })
	truth := tell(t, b.NewPublisher(3, 1, time.Now()), cids(3)...)
	var tb table
	start(t, connect(t, cluster), "c", new(memory), &tb, nil)
	eventually(t, func() string { return tb.differs(truth) })
	s, err := b.JetStream().Stream(t.Context(), b.Stream())
	must(t, err)
	if cfg := s.CachedInfo().Config; cfg.MaxBytes != 16<<20 || cfg.MaxAge != time.Hour {
		t.Errorf("the stream has %d bytes and %s now", cfg.MaxBytes, cfg.MaxAge)
	}
}

// TestHugeHeaders: a message whose headers have no room beside ours is put aside, and holds
// up nothing.
func TestHugeHeaders(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	must(t, b.Ensure(t.Context()))
	_, err := b.JetStream().PublishMsg(t.Context(), &nats.Msg{Subject: b.Subject(3), Data: []byte("x"), Header: nats.Header{
		bus.KindHeader: {"x"}, "Ics-Pad": {strings.Repeat("a", 65535-60)},
	}})
	must(t, err)
	truth := tell(t, b.NewPublisher(4, 1, time.Now()), cids(3)...)
	var tb table
	c := start(t, connect(t, cluster), "c", new(memory), &tb, nil)
	eventually(t, func() string { return tb.differs(truth) })
	if c.Stats().Dead == 0 {
		t.Error("no message was put aside")
	}
}

// TestTailEnds: who watches can stop while the stream is gone.
func TestTailEnds(t *testing.T) {
	b := connect(t, natstest.Start(t, 1))
	tell(t, b.NewPublisher(3, 1, time.Now()), cids(3)...)
	ctx, cancel := context.WithCancel(t.Context())
	ended, seen := make(chan error, 1), make(chan struct{}, 100)
	go func() {
		ended <- consume.Tail(ctx, b, time.Now().Add(-time.Minute), func(events.Event, []byte, error) bool { seen <- struct{}{}; return true })
	}()
	<-seen
	must(t, b.JetStream().DeleteStream(t.Context(), b.Stream()))
	cancel()
	select {
	case err := <-ended:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("it ends with %v", err)
		}
	case <-time.After(patience):
		t.Error("it does not end with its context")
	}
}

// TestNoSecretIsShown: the token in a URL is neither logged nor reported.
func TestNoSecretIsShown(t *testing.T) {
	const secret = "s3cr3ttoken"
	cluster := natstest.StartWith(t, 1, natstest.Options{Configure: func(o *server.Options) { o.Authorization = secret }})
	must(t, logging.SetLogLevel("events", "debug"))
	defer func() { must(t, logging.SetLogLevel("events", "error")) }()
	var shown []string
	said := logtest.During(t, logging.LevelDebug, func() {
		b := connectWith(t, cluster, func(c *bus.Config) {
			for i, u := range c.URLs {
				c.URLs[i] = strings.Replace(u, "nats://", "nats://"+secret+"@", 1)
			}
			c.MonitorURLs = []string{"http://u:" + secret + "@127.0.0.1:1"}
		})
		must(t, b.Ensure(t.Context()))
		report, err := b.Report(t.Context())
		must(t, err)
		shown = append(b.URLs(), report.Server, report.Sync[0].URL)
		if report.Server == "" || report.Sync[0].Err == nil {
			t.Errorf("the report is %+v", report)
		}
	})
	if all := said + strings.Join(shown, " "); strings.Contains(all, secret) {
		t.Errorf("the secret is shown: %s", all)
	}
}
