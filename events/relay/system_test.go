package relay_test

import (
	"context"
	"fmt"
	"math/rand/v2"
	"os"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/relay"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// system is a pinset in a database, three NATS servers, relays and consumers.
type system struct {
	t     *testing.T
	conf  scyllastate.Config
	nats  *natstest.Cluster
	store *scyllastate.Store
	// holder is the peer that all pins are given to.
	holder peer.ID

	// What was acknowledged: the CIDs that were written to, and the IDs of what a peer did.
	mu       sync.Mutex
	cids     []api.Cid
	statuses []string
	rows     atomic.Int64
}

// newSystem makes one without events: the streams are made by whoever comes first.
func newSystem(t *testing.T) *system {
	t.Helper()
	server := cqltest.Start(t)
	s := &system{t: t, nats: natstest.Start(t, 3)}
	must(t, s.conf.Default())
	s.conf.Hosts, s.conf.Port, s.conf.Keyspace = server.Hosts(), server.Port(), server.Emptied(t)
	s.conf.Secret = []byte("the secret of the cluster under test")
	var err error
	s.holder, err = peer.Decode("12D3KooWQiK1sYbGNnD9XtWF1sP95cawwwNy3d2WUwtP71McwUfZ")
	must(t, err)
	s.store = s.open()
	return s
}

func (s *system) open() *scyllastate.Store {
	s.t.Helper()
	conf := s.conf
	store, err := scyllastate.Open(s.t.Context(), &conf)
	must(s.t, err)
	s.t.Cleanup(func() { _ = store.Close() })
	must(s.t, store.StartEvents(s.t.Context()))
	return store
}

// relay starts one that has a store and a connection of its own.
func (s *system) relay(name string) (stop func()) {
	s.t.Helper()
	_, stop = start(s.t, relay.Options{Events: s.open(), Bus: connect(s.t, s.nats), Holder: name, LeaseTTL: 3 * time.Second})
	return stop
}

// write makes pins, changes and removes them, and notes what a peer did with them, until
// stop is called.
func (s *system) write(writers int) (stop func()) {
	ctx, cancel := context.WithCancel(s.t.Context())
	var writing sync.WaitGroup
	for w := range writers {
		writing.Go(func() {
			for n := 0; ctx.Err() == nil; n++ {
				s.writeOne(fmt.Sprintf("pin %d of writer %d", n, w))
			}
		})
	}
	return func() { cancel(); writing.Wait() }
}

func (s *system) writeOne(name string) {
	pin := api.PinCid(cidOf(s.t, rand.IntN(state.EventShards))) //nolint:gosec // a test
	pin.Name, pin.ReplicationFactorMin, pin.ReplicationFactorMax = name, 1, 1
	pin.Allocations = []peer.ID{s.holder}
	s.mu.Lock()
	s.cids = append(s.cids, pin.Cid)
	s.mu.Unlock()
	ctx := s.t.Context()
	if err := s.store.Add(ctx, pin); err != nil {
		s.t.Errorf("adding: %v", err)
		return
	}
	s.rows.Add(1)
	if rand.IntN(3) == 0 { //nolint:gosec // a test
		pin.Name = "again " + name
		must(s.t, s.store.Add(ctx, pin))
	}
	_, rev, err := s.store.GetVersion(ctx, pin.Cid)
	must(s.t, err)
	must(s.t, s.store.LogStatus(ctx, state.StatusEvent{Kind: state.EventPinned, Status: state.PlacementPinned, Cid: pin.Cid, Peer: s.holder, Rev: rev, Size: 1}))
	s.mu.Lock()
	s.statuses = append(s.statuses, pin.Cid.String())
	s.mu.Unlock()
	if rand.IntN(3) == 0 { //nolint:gosec // a test
		must(s.t, s.store.Rm(ctx, pin.Cid))
	}
}

// reader is what a consumer has made of the events: the newest of each key. All processes of
// one name share it.
type reader struct {
	t    *testing.T
	name string

	mu     sync.Mutex
	newest map[string]events.Event
	text   []byte // its saved state
	calls  int
}

func newReader(t *testing.T, name string) *reader {
	return &reader{t: t, name: name, newest: make(map[string]events.Event)}
}

func (r *reader) Load(context.Context, string) ([]byte, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.text, nil
}

func (r *reader) Save(_ context.Context, _ string, text []byte) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.text = text
	return nil
}

// process starts one that consumes under the reader's name. What one process is handed of
// a key never goes back.
func (r *reader) process(s *system) (stop func()) {
	r.t.Helper()
	last := make(map[string]events.Version)
	c, err := consume.New(consume.Options{
		Bus: connect(r.t, s.nats), Name: r.name, State: r, Takeover: 3 * time.Second, AskAgain: 3 * time.Second,
		Since: s.store.EventsSince().Add(-time.Minute),
		Handler: func(_ context.Context, e events.Event) error {
			r.mu.Lock()
			defer r.mu.Unlock()
			r.calls++
			key := e.Key()
			if before, ok := last[key]; ok && !events.Newer(e.Version(), before) {
				r.t.Errorf("%s: %s of version %s came after version %s", r.name, e.Type, e.Version(), before)
			}
			last[key] = e.Version()
			if old, ok := r.newest[key]; !ok || events.Newer(e.Version(), old.Version()) {
				r.newest[key] = e
			}
			return nil
		},
	})
	must(r.t, err)
	ctx, cancel := context.WithCancel(context.Background())
	ended := make(chan struct{})
	go func() { _ = c.Run(ctx); close(ended) }()
	stop = sync.OnceFunc(func() { cancel(); <-ended })
	r.t.Cleanup(stop)
	return stop
}

// differs says what a reader has otherwise than the database.
func (s *system) differs(r *reader) string {
	r.mu.Lock()
	defer r.mu.Unlock()
	s.mu.Lock()
	defer s.mu.Unlock()
	for _, c := range s.cids {
		pin, rev, err := s.store.GetVersion(s.t.Context(), c)
		must(s.t, err)
		e, ok := r.newest["pin/"+c.String()]
		switch {
		case !ok && rev == (state.Revision{}):
		case !ok:
			return fmt.Sprintf("%s has nothing of %s", r.name, c)
		case e.Version() != events.VersionOf(rev):
			return fmt.Sprintf("%s has version %s of %s (%s), want %s", r.name, e.Version(), c, e.Type, events.VersionOf(rev))
		case (pin != nil) != (e.Pin.Pin != nil):
			return fmt.Sprintf("%s has the pin of %s: %v", r.name, c, e.Pin.Pin != nil)
		case pin != nil && pin.Name != e.Pin.Pin.Name:
			return fmt.Sprintf("%s has the name %q of %s, want %q", r.name, e.Pin.Pin.Name, c, pin.Name)
		}
	}
	for _, c := range s.statuses {
		if _, ok := r.newest["status/"+c+"/"+s.holder.String()]; !ok {
			return fmt.Sprintf("%s does not know that %s was pinned", r.name, c)
		}
	}
	return ""
}

func (s *system) agree(readers ...*reader) {
	s.t.Helper()
	for _, r := range readers {
		eventually(s.t, r.name+" to be equal to the database", func() string { return s.differs(r) })
		r.mu.Lock()
		s.t.Logf("%s: %d calls for %d pins and %d statuses", r.name, r.calls, len(s.cids), len(s.statuses))
		r.mu.Unlock()
	}
}

// wrote waits until so many more pins are made.
func (s *system) wrote(n int64) {
	s.t.Helper()
	until := s.rows.Load() + n
	eventually(s.t, "pins to be made", func() string {
		if got := s.rows.Load(); got < until {
			return fmt.Sprintf("%d of %d", got, until)
		}
		return ""
	})
}

// TestFaults: whatever becomes of NATS while pins are made, every consumer ends with what the
// database has: the server that leads the stream is killed, all are restarted, the stream is
// deleted, one server is cut off.
func TestFaults(t *testing.T) {
	s := newSystem(t)
	rounds, pins := 1, int64(25)
	if os.Getenv("TEST_LONG") == "1" {
		rounds, pins = 3, 300
	} else {
		t.Log("A SLICE ONLY: one round. TEST_LONG=1 tests three, with more pins.")
	}
	s.relay("relay 1")
	s.relay("relay 2")
	first, second := newReader(t, "first"), newReader(t, "second")
	first.process(s)
	first.process(s) // stands by
	second.process(s)
	stop := s.write(3)
	defer stop()
	s.wrote(pins)
	stream := bus.DefaultPrefix + "-events"
	for range rounds {
		leader := s.nats.Leader(t, stream)
		t.Logf("killing server %d, which leads the stream", leader)
		s.nats.Kill(leader)
		s.wrote(pins)
		s.nats.Start(t, leader)
		s.wrote(pins)
		t.Log("deleting the stream")
		eyes := connect(t, s.nats)
		eventually(t, "the stream to be deleted", func() string { return errText(eyes.JetStream().DeleteStream(t.Context(), stream)) })
		s.wrote(pins)
		t.Log("restarting all servers")
		for i := range 3 {
			s.nats.Kill(i)
		}
		s.wrote(pins)
		for i := range 3 {
			s.nats.Start(t, i)
		}
		s.wrote(pins)
		t.Log("cutting one server off")
		s.nats.Cut(0)
		s.wrote(pins)
		s.nats.Heal(0)
		s.wrote(pins)
	}
	stop()
	s.agree(first, second)
}
