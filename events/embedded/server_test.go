package embedded_test

import (
	"context"
	"errors"
	"fmt"
	"net"
	"os"
	"path/filepath"
	"strings"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"
	"go.uber.org/goleak"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/embedded"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// start starts a server on a free port, which ends with the test.
func start(t *testing.T, folder string) *embedded.Server {
	t.Helper()
	s, err := embedded.Start(t.Context(), embedded.Config{Folder: folder, Listen: "127.0.0.1:0"})
	must(t, err)
	t.Cleanup(func() { stop(t, s) })
	return s
}

func stop(t *testing.T, s *embedded.Server) {
	t.Helper()
	ctx, cancel := context.WithTimeout(context.WithoutCancel(t.Context()), time.Minute)
	defer cancel()
	must(t, s.Close(ctx))
}

// use calls f with a bus over a server, with its streams.
func use(t *testing.T, s *embedded.Server, f func(*bus.Bus)) {
	t.Helper()
	b, err := bus.Connect(bus.Config{URLs: []string{s.URL()}, Cluster: "test", Replicas: 1})
	must(t, err)
	defer func() {
		if err := b.Close(context.WithoutCancel(t.Context())); err != nil {
			t.Error(err)
		}
	}()
	must(t, b.Ensure(t.Context()))
	f(b)
}

func publish(t *testing.T, b *bus.Bus, epoch int64, data string) {
	t.Helper()
	now := time.Unix(1_000_000, 0)
	must(t, b.NewPublisher(0, epoch, now).Publish(t.Context(), []bus.Message{{ID: data, At: now, Data: []byte(data)}}, now))
}

// events returns the data of the events in the stream, separated by spaces.
func events(t *testing.T, b *bus.Bus) string {
	t.Helper()
	stream, err := b.JetStream().Stream(t.Context(), b.Stream())
	must(t, err)
	var found []string
	for seq := uint64(1); seq <= stream.CachedInfo().State.LastSeq; seq++ {
		m, err := stream.GetMsg(t.Context(), seq)
		if errors.Is(err, jetstream.ErrMsgNotFound) {
			continue // lost
		}
		must(t, err)
		if h, err := b.Header(m.Subject, m.Header); err == nil && h.Kind == bus.KindEvent {
			found = append(found, string(m.Data))
		}
	}
	return strings.Join(found, " ")
}

// TestStartsAgain: what was acknowledged is there after each start in the same folder,
// and is found by the URL.
func TestStartsAgain(t *testing.T) {
	folder := filepath.Join(t.TempDir(), "peer", "events")
	want := ""
	for i := range 3 {
		s := start(t, folder)
		use(t, s, func(b *bus.Bus) {
			if got := events(t, b); got != want {
				t.Errorf("start %d: the stream has %q, want %q", i, got, want)
			}
			event := fmt.Sprint("event", i)
			publish(t, b, int64(i+1), event)
			want = strings.TrimSpace(want + " " + event)
		})
		stop(t, s)
	}
	info, err := os.Stat(folder)
	must(t, err)
	if info.Mode().Perm() != 0o700 {
		t.Errorf("the folder is open to others: %s", info.Mode())
	}
}

// TestStopsUnderLoad stops a server while somebody publishes: what was acknowledged is
// there afterwards.
func TestStopsUnderLoad(t *testing.T) {
	folder := t.TempDir()
	s := start(t, folder)
	acknowledged := make(chan int)
	use(t, s, func(b *bus.Bus) {
		started := make(chan struct{})
		go func() {
			n := 0
			for t.Context().Err() == nil {
				if _, err := b.JetStream().Publish(t.Context(), b.Subject(0), []byte("x")); err != nil {
					break
				}
				if n++; n == 20 {
					close(started)
				}
			}
			acknowledged <- n
		}()
		<-started
		stop(t, s)
		n := <-acknowledged
		again := start(t, folder)
		use(t, again, func(b *bus.Bus) {
			stream, err := b.JetStream().Stream(t.Context(), b.Stream())
			must(t, err)
			// The last one may be stored and not acknowledged.
			if got := int(stream.CachedInfo().State.Msgs); got < n || got > n+1 {
				t.Errorf("the stream has %d messages, and %d were acknowledged", got, n)
			}
		})
	})
}

// TestListen: the server can be reached at the address that it was told, which belongs to
// this machine only, and says so when it cannot have it.
func TestListen(t *testing.T) {
	for _, tc := range []struct{ listen, want string }{
		{"0.0.0.0:4222", "starting NATS: 0.0.0.0:4222 is not a loopback address: this server asks nobody for a password. Use one as 127.0.0.1:4222, or run NATS servers of your own"},
		{"10.0.0.1:4222", "starting NATS: 10.0.0.1:4222 is not a loopback address: this server asks nobody for a password. Use one as 127.0.0.1:4222, or run NATS servers of your own"},
		{"[::]:4222", "starting NATS: [::]:4222 is not a loopback address: this server asks nobody for a password. Use one as 127.0.0.1:4222, or run NATS servers of your own"},
		{"localhost:4222", `starting NATS: "localhost:4222" is not an IP address with a port: write it as in 127.0.0.1:4222`},
		{"127.0.0.1", `starting NATS: "127.0.0.1" is not an IP address with a port: write it as in 127.0.0.1:4222`},
		{":4222", `starting NATS: ":4222" is not an IP address with a port: write it as in 127.0.0.1:4222`},
		{"127.0.0.1:65536", `starting NATS: "127.0.0.1:65536" is not an IP address with a port: write it as in 127.0.0.1:4222`},
	} {
		folder := filepath.Join(t.TempDir(), "events")
		_, err := embedded.Start(t.Context(), embedded.Config{Folder: folder, Listen: tc.listen})
		if err == nil || err.Error() != tc.want {
			t.Errorf("%s:\n got %v\nwant %s", tc.listen, err, tc.want)
		}
		if _, err := os.Stat(folder); err == nil {
			t.Errorf("%s: the folder was made", tc.listen)
		}
	}

	s := start(t, t.TempDir())
	listen := strings.TrimPrefix(s.URL(), "nats://")
	folder := t.TempDir()
	_, err := embedded.Start(t.Context(), embedded.Config{Folder: folder, Listen: listen})
	if want := "starting NATS: cannot listen on " + listen + ": another program does. Stop it, or use another port"; !errors.Is(err, embedded.ErrListen) || err.Error() != want {
		t.Errorf("a port in use:\n got %v\nwant %s", err, want)
	}
	stop(t, s)
	again, err := embedded.Start(t.Context(), embedded.Config{Folder: folder, Listen: listen}) // the failure left nothing behind
	must(t, err)
	defer stop(t, again)
	if again.URL() != "nats://"+listen {
		t.Errorf("the URL is %s, want that of %s", again.URL(), listen)
	}
	conn, err := nats.Connect(again.URL())
	must(t, err)
	conn.Close()
}

func TestIPv6(t *testing.T) {
	probe, err := net.Listen("tcp", "[::1]:0")
	if err != nil {
		t.Skip("this machine has no IPv6: ", err)
	}
	must(t, probe.Close())
	s, err := embedded.Start(t.Context(), embedded.Config{Folder: t.TempDir(), Listen: "[::1]:0"})
	must(t, err)
	defer stop(t, s)
	conn, err := nats.Connect(s.URL())
	must(t, err)
	conn.Close()
}

// TestOneServerInAFolder: the first one goes on when a second one is refused.
func TestOneServerInAFolder(t *testing.T) {
	folder := t.TempDir()
	first := start(t, folder)
	_, err := embedded.Start(t.Context(), embedded.Config{Folder: folder, Listen: "127.0.0.1:0"})
	want := "starting NATS in " + folder + ": the folder is in use by another server: stop it first, or use another folder"
	if !errors.Is(err, embedded.ErrFolderInUse) || err.Error() != want {
		t.Errorf("\n got %v\nwant %s", err, want)
	}
	use(t, first, func(b *bus.Bus) { publish(t, b, 1, "event") })
	stop(t, first)
	use(t, start(t, folder), func(b *bus.Bus) {
		if got := events(t, b); got != "event" {
			t.Errorf("the stream has %q", got)
		}
	})
}

// TestLimit: streams that promise more than the server may store are refused.
func TestLimit(t *testing.T) {
	s, err := embedded.Start(t.Context(), embedded.Config{Folder: t.TempDir(), Listen: "127.0.0.1:0", MaxBytes: 2 << 20})
	must(t, err)
	defer stop(t, s)
	for bytes, fits := range map[int64]bool{1 << 20: true, 1<<20 + 1: false} {
		b, err := bus.Connect(bus.Config{URLs: []string{s.URL()}, Cluster: "test", Prefix: fmt.Sprint("p", bytes), Replicas: 1, MaxBytes: bytes})
		must(t, err)
		err = b.Ensure(t.Context())
		if (err == nil) != fits || err != nil && !errors.Is(err, bus.ErrNoStorage) {
			t.Errorf("two streams of %d bytes: %v", bytes, err)
		}
		for _, name := range []string{b.Stream(), b.DeadStream()} {
			if err := b.JetStream().DeleteStream(t.Context(), name); err != nil && !errors.Is(err, jetstream.ErrStreamNotFound) {
				t.Error(err)
			}
		}
		must(t, b.Close(t.Context()))
	}
	for _, cfg := range []embedded.Config{{Folder: t.TempDir(), MaxBytes: -1}, {Folder: t.TempDir(), SyncInterval: -1}} {
		if _, err := embedded.Start(t.Context(), cfg); err == nil || !strings.HasSuffix(err.Error(), cfg.Folder+": a limit is negative") {
			t.Errorf("%+v: %v", cfg, err)
		}
	}
}

// TestStopped: a context that has ended starts nothing, and Close says that the server has
// not stopped yet.
func TestStopped(t *testing.T) {
	cause := errors.New("stopped by a signal")
	ctx, cancel := context.WithCancelCause(t.Context())
	cancel(cause)
	folder := t.TempDir()
	if _, err := embedded.Start(ctx, embedded.Config{Folder: folder, Listen: "127.0.0.1:0"}); !errors.Is(err, cause) {
		t.Errorf("starting: %v", err)
	}
	s := start(t, folder)
	if err := s.Close(ctx); err != nil && !errors.Is(err, cause) { // it may have been fast
		t.Errorf("closing: %v", err)
	}
	stop(t, s) // waits
	start(t, folder)
}
