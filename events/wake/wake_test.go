package wake_test

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/wake"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// feeds is what a store has of feeds, and notes what it is told.
type feeds struct {
	mu    sync.Mutex
	write func([]string)
	told  chan string
	woken chan bool
}

func newFeeds() *feeds { return &feeds{told: make(chan string, 64), woken: make(chan bool, 64)} }

func (f *feeds) OnWrite(write func([]string)) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.write = write
}

func (f *feeds) Feeds(id peer.ID) []string { return []string{id.String()} }

func (f *feeds) Wake(names ...string) {
	for _, n := range names {
		f.told <- n
	}
}

func (f *feeds) SetWoken(woken bool) { f.woken <- woken }

// wrote is a write of this process. It returns false if nobody wants to know.
func (f *feeds) wrote(names ...string) bool {
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.write != nil {
		f.write(names)
	}
	return f.write != nil
}

// until waits for a value.
func until[T comparable](t *testing.T, what string, from <-chan T, want T) {
	t.Helper()
	timeout := time.After(time.Minute)
	for {
		select {
		case got := <-from:
			if got == want {
				return
			}
		case <-timeout:
			t.Fatalf("%s: %v did not come", what, want)
		}
	}
}

// start runs a Waker for a process that reads a feed, and returns its feeds and what ends it.
func start(t *testing.T, cluster *natstest.Cluster, reads string) (*feeds, func()) {
	t.Helper()
	b, err := bus.Connect(bus.Config{URLs: cluster.URLs(), Cluster: "test"})
	if err != nil {
		t.Fatal(err)
	}
	f, ended := newFeeds(), make(chan error)
	ctx, cancel := context.WithCancel(t.Context())
	go func() { ended <- wake.New(b, f).Run(ctx, reads) }()
	end := sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("the Waker has ended with %v", err)
		}
		_ = b.Close(context.Background())
	})
	t.Cleanup(end)
	return f, end
}

// TestOthersAreWoken: what one process writes wakes those that read it in another, and
// nobody else; also after the server was away.
func TestOthersAreWoken(t *testing.T) {
	cluster := natstest.Start(t, 1)
	reader, _ := start(t, cluster, "a")
	writer, _ := start(t, cluster, "b")
	until(t, "connected", reader.woken, true)
	until(t, "connected", writer.woken, true)
	wakes := func() {
		t.Helper()
		for done := false; !done; { // it may not listen yet
			writer.wrote("c", "a", "b")
			select {
			case got := <-reader.told:
				if got != "a" {
					t.Fatalf("%q was woken", got)
				}
				done = true
			case <-time.After(50 * time.Millisecond):
			}
		}
	}
	wakes()
	cluster.Kill(0)
	until(t, "without a server", reader.woken, false)
	until(t, "without a server", writer.woken, false)
	writer.wrote("a")
	cluster.Start(t, 0)
	until(t, "connected again", reader.woken, true)
	until(t, "connected again", writer.woken, true)
	wakes()
	if len(writer.told) > 0 {
		t.Errorf("the writer has woken itself for %q", <-writer.told)
	}
}

// TestEndOfWaker: feeds are looked at as often as before when a Waker has ended, and
// nobody is told of writes.
func TestEndOfWaker(t *testing.T) {
	f, end := start(t, natstest.Start(t, 1), "a")
	until(t, "connected", f.woken, true)
	end()
	var said []bool
	for len(f.woken) > 0 {
		said = append(said, <-f.woken)
	}
	if !slices.Contains(said, false) || said[len(said)-1] {
		t.Errorf("at the end SetWoken was called with %v", said)
	}
	if f.wrote("a") {
		t.Error("a write is told to a Waker that has ended")
	}
}
