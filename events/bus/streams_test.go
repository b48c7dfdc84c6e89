package bus_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats-server/v2/server"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// connect returns a Bus that is closed with the test.
func connect(tb testing.TB, cluster *natstest.Cluster, change func(*bus.Config)) *bus.Bus {
	tb.Helper()
	cfg := bus.Config{URLs: cluster.URLs(), Cluster: "test", Name: tb.Name()}
	if change != nil {
		change(&cfg)
	}
	b, err := bus.Connect(cfg)
	must(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		must(tb, b.Close(ctx))
	})
	return b
}

// configOf returns what JetStream says of a stream.
func configOf(t *testing.T, b *bus.Bus, name string) jetstream.StreamConfig {
	t.Helper()
	stream, err := b.JetStream().Stream(t.Context(), name)
	must(t, err)
	return stream.CachedInfo().Config
}

func TestEnsureMakesStreams(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster, nil)
	must(t, b.Ensure(t.Context()))
	must(t, b.Ensure(t.Context()))
	for _, name := range []string{"ipfs-cluster-events", "ipfs-cluster-dead"} {
		cfg := configOf(t, b, name)
		if cfg.Replicas != 1 || cfg.MaxAge != bus.DefaultMaxAge || cfg.MaxBytes != bus.DefaultMaxBytes ||
			cfg.Storage != jetstream.FileStorage || cfg.Discard != jetstream.DiscardOld {
			t.Errorf("%s was made as %+v", name, cfg)
		}
	}

	must(t, connect(t, cluster, func(cfg *bus.Config) { cfg.MaxAge, cfg.MaxBytes = time.Hour, 1<<20 }).Ensure(t.Context()))
	if cfg := configOf(t, b, b.Stream()); cfg.MaxAge != time.Hour || cfg.MaxBytes != 1<<20 {
		t.Errorf("with other limits it became %+v", cfg)
	}

	other := connect(t, cluster, func(cfg *bus.Config) { cfg.Prefix, cfg.Cluster = "other", "other" })
	must(t, other.Ensure(t.Context()))
	if other.Stream() != "other-events" {
		t.Errorf("with another prefix the stream is %s", other.Stream())
	}
}

func TestEnsureOnThreeServers(t *testing.T) {
	cluster := natstest.Start(t, 3)
	b := connect(t, cluster, nil)
	must(t, b.Ensure(t.Context()))
	if n := configOf(t, b, b.Stream()).Replicas; n != 3 {
		t.Errorf("the stream has %d replicas", n)
	}
	// A stream that was made when there was one server gets copies.
	single := connect(t, cluster, func(cfg *bus.Config) { cfg.Prefix, cfg.Replicas = "grows", 1 })
	must(t, single.Ensure(t.Context()))
	if n := configOf(t, single, single.Stream()).Replicas; n != 1 {
		t.Errorf("the stream for one server has %d replicas", n)
	}
	grown := connect(t, cluster, func(cfg *bus.Config) { cfg.Prefix = "grows" })
	must(t, grown.Ensure(t.Context()))
	if n := configOf(t, grown, grown.Stream()).Replicas; n != 3 {
		t.Errorf("the stream has grown to %d replicas", n)
	}
	// More copies than there are servers are refused.
	err := connect(t, cluster, func(cfg *bus.Config) { cfg.Prefix, cfg.Replicas = "five", 5 }).Ensure(t.Context())
	if err == nil || !strings.Contains(err.Error(), "five-events") {
		t.Errorf("five replicas on three servers: %v", err)
	}
}

// TestRefusals shows which error each NATS gets that cannot be used.
func TestRefusals(t *testing.T) {
	for _, test := range []struct {
		name    string
		options natstest.Options
		// prepare makes streams before.
		prepare func(*testing.T, jetstream.JetStream)
		change  func(*bus.Config)
		want    error
		says    string
	}{
		{
			name: "no JetStream", options: natstest.Options{NoJetStream: true},
			want: bus.ErrNoJetStream, says: "enable it",
		},
		{
			name: "no room", options: natstest.Options{MaxStore: 1 << 20},
			want: bus.ErrNoStorage, says: "ipfs-cluster-events",
		},
		{
			name: "no rights", options: natstest.Options{Configure: func(opts *server.Options) {
				opts.Users = []*server.User{{Username: "u", Password: "p", Permissions: &server.Permissions{
					Publish: &server.SubjectPermission{Deny: []string{"$JS.API.STREAM.CREATE.>"}},
				}}}
			}},
			change: func(cfg *bus.Config) {
				for i, u := range cfg.URLs {
					cfg.URLs[i] = strings.Replace(u, "nats://", "nats://u:p@", 1)
				}
			},
			want: bus.ErrNoRights, says: "STREAM.CREATE.ipfs-cluster-events",
		},
		{
			name: "a stream of somebody else",
			prepare: func(t *testing.T, js jetstream.JetStream) {
				_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{Name: "ipfs-cluster-dead", Subjects: []string{"x"}})
				must(t, err)
			},
			want: bus.ErrNotOurs, says: "ipfs-cluster-dead is not ours",
		},
		{
			name: "a stream of another cluster",
			prepare: func(t *testing.T, js jetstream.JetStream) {
				_, err := js.CreateStream(t.Context(), jetstream.StreamConfig{
					Name: "ipfs-cluster-events", Subjects: []string{"x"},
					Metadata: map[string]string{"owner": "ipfs-cluster-scylla", "cluster": "neighbours"},
				})
				must(t, err)
			},
			want: bus.ErrNotOurs, says: `"neighbours"`,
		},
	} {
		t.Run(test.name, func(t *testing.T) {
			cluster := natstest.StartWith(t, 1, test.options)
			b := connect(t, cluster, test.change)
			if test.prepare != nil {
				test.prepare(t, b.JetStream())
			}
			ctx, cancel := context.WithTimeout(t.Context(), 30*time.Second)
			defer cancel()
			if err := b.Ensure(ctx); !errors.Is(err, test.want) || !strings.Contains(err.Error(), test.says) {
				t.Errorf("Ensure = %v, want %v that says %q", err, test.want, test.says)
			}
		})
	}
}

// TestConnectLater shows that a Bus waits for servers, and says that it does.
func TestConnectLater(t *testing.T) {
	cluster := natstest.Start(t, 1)
	cluster.Kill(0)
	b := connect(t, cluster, nil)
	if err := b.Ensure(t.Context()); err == nil || !strings.Contains(err.Error(), "not connected") {
		t.Errorf("without a server: %v", err)
	}
	if b.Err() == nil {
		t.Error("it says that it is connected")
	}
	cluster.Start(t, 0)
	for b.Ensure(t.Context()) != nil {
		if t.Context().Err() != nil {
			t.Fatal("it has not connected")
		}
		time.Sleep(50 * time.Millisecond)
	}
	must(t, b.Err())
}

func TestConfigIsRefused(t *testing.T) {
	for _, test := range []struct {
		cfg  bus.Config
		says string
	}{
		{bus.Config{Prefix: "a.b"}, `"a.b"`},
		{bus.Config{Prefix: "*"}, `"*"`},
		{bus.Config{Replicas: 2}, "2 replicas"},
		{bus.Config{Replicas: 7}, "7 replicas"},
		{bus.Config{MaxAge: -1}, "negative"},
		{bus.Config{CredentialsFile: "a", NKeyFile: "b"}, "give one"},
		{bus.Config{NKeyFile: "missing.nk"}, "missing.nk"},
		{bus.Config{TLS: bus.TLS{CAFile: "missing.pem"}}, "missing.pem"},
		{bus.Config{TLS: bus.TLS{CAFile: "streams_test.go"}}, "no certificate"},
		{bus.Config{TLS: bus.TLS{CertFile: "missing.pem", KeyFile: "missing.pem"}}, "missing.pem"},
		{bus.Config{URLs: []string{"://"}}, "connecting"},
	} {
		b, err := bus.Connect(test.cfg)
		if err == nil || !strings.Contains(err.Error(), test.says) {
			t.Errorf("%+v: %v, want an error that says %q", test.cfg, err, test.says)
		}
		if b != nil {
			must(t, b.Close(t.Context()))
		}
	}
}

// TestSmallMessages: a server that takes smaller messages than events may be is refused by
// name, before one of them holds up a shard.
func TestSmallMessages(t *testing.T) {
	cluster := natstest.StartWith(t, 1, natstest.Options{Configure: func(o *server.Options) { o.MaxPayload = 64 << 10 }})
	b := connect(t, cluster, nil)
	if err := b.Ensure(t.Context()); !errors.Is(err, bus.ErrNoStorage) || !strings.Contains(err.Error(), "max_payload") {
		t.Errorf("the streams are made on it: %v", err)
	}
}
