package consume_test

import (
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"math/rand/v2"
	"sync"
	"testing"
	"time"

	"go.uber.org/goleak"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

func TestMain(m *testing.M) { goleak.VerifyTestMain(m) }

// patience is how long tests wait for what must come.
const patience = 5 * time.Minute

// takeover is the Takeover of their consumers.
const takeover = 3 * time.Second

func must(tb testing.TB, err error) {
	tb.Helper()
	if err != nil {
		tb.Fatal(err)
	}
}

// connect returns a Bus that is closed with the test.
func connect(tb testing.TB, cluster *natstest.Cluster) *bus.Bus {
	tb.Helper()
	return connectWith(tb, cluster, func(*bus.Config) {})
}

// connectWith is connect with another configuration.
func connectWith(tb testing.TB, cluster *natstest.Cluster, change func(*bus.Config)) *bus.Bus {
	tb.Helper()
	cfg := bus.Config{URLs: cluster.URLs(), Cluster: "test", Name: tb.Name()}
	change(&cfg)
	b, err := bus.Connect(cfg)
	must(tb, err)
	tb.Cleanup(func() {
		ctx, cancel := context.WithTimeout(context.Background(), time.Minute)
		defer cancel()
		must(tb, b.Close(ctx))
	})
	return b
}

// eventually waits until f says nothing, and tells what it says if that takes too long.
func eventually(tb testing.TB, f func() string) {
	tb.Helper()
	for deadline := time.Now().Add(patience); ; time.Sleep(20 * time.Millisecond) {
		said := f()
		if said == "" {
			return
		}
		if time.Now().After(deadline) {
			tb.Fatalf("after %s: %s", patience, said)
		}
	}
}

// memory keeps states.
type memory struct {
	mu     sync.Mutex
	states map[string][]byte
	// fail, if set, is asked before each call.
	fail func() error
}

func (m *memory) Load(_ context.Context, name string) ([]byte, error) {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		if err := m.fail(); err != nil {
			return nil, err
		}
	}
	return m.states[name], nil
}

func (m *memory) Save(_ context.Context, name string, state []byte) error {
	m.mu.Lock()
	defer m.mu.Unlock()
	if m.fail != nil {
		if err := m.fail(); err != nil {
			return err
		}
	}
	if m.states == nil {
		m.states = make(map[string][]byte)
	}
	m.states[name] = state
	return nil
}

// table is what a consumer makes of events, idempotently.
type table struct {
	mu   sync.Mutex
	pins map[string]events.Event
	// calls counts the calls of handle, again those with the same version, older those with
	// an older one.
	calls, again, older int
	// refuse, if set, decides on the error of a call.
	refuse func(events.Event) error
}

func (tb *table) handle(_ context.Context, e events.Event) error {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	tb.calls++
	if tb.refuse != nil {
		if err := tb.refuse(e); err != nil {
			return err
		}
	}
	if tb.pins == nil {
		tb.pins = make(map[string]events.Event)
	}
	old, ok := tb.pins[e.Key()]
	switch {
	case ok && old.Version() == e.Version():
		tb.again++
	case ok && !events.Newer(e.Version(), old.Version()):
		tb.older++
	default:
		tb.pins[e.Key()] = e
	}
	return nil
}

// empty says that nothing was handled, and nothing else.
func (tb *table) empty() string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	if len(tb.pins) == 0 {
		return "nothing was handled"
	}
	return ""
}

// differs says how the table differs from the truth, nothing if it does not.
func (tb *table) differs(truth map[string]events.Event) string {
	tb.mu.Lock()
	defer tb.mu.Unlock()
	for key, want := range truth {
		got, ok := tb.pins[key]
		if !ok || got.Version() != want.Version() || got.Type != want.Type || (got.Pin.Pin == nil) != (want.Pin.Pin == nil) {
			return fmt.Sprintf("%s is %+v, want %+v (of %d)", key, got, want, len(truth))
		}
	}
	return ""
}

// world is a database with relays and writers, beside NATS.
type world struct {
	t      *testing.T
	feeds  []*feed
	relays []*relay
	group  sync.WaitGroup
	// writers are stopped first.
	stopWriters context.CancelFunc
	writers     sync.WaitGroup
}

// newWorld starts relays for as many shards, and nobody who writes.
func newWorld(t *testing.T, b *bus.Bus, shards int) *world {
	t.Helper()
	w := &world{t: t, stopWriters: func() {}}
	ctx, cancel := context.WithCancel(t.Context())
	t.Cleanup(func() {
		w.stopWriters()
		w.writers.Wait()
		cancel()
		w.group.Wait()
	})
	for i := range shards {
		f := newFeed(i)
		r := newRelay(b, f)
		w.feeds, w.relays = append(w.feeds, f), append(w.relays, r)
		w.group.Go(func() { r.run(ctx, t) })
	}
	return w
}

// load writes to all shards until quiet is called, a few hundred changes a second of as many
// CIDs as it is told.
func (w *world) load(cids int) {
	ctx, cancel := context.WithCancel(w.t.Context())
	w.stopWriters = cancel
	for _, f := range w.feeds {
		w.writers.Go(func() {
			for tick := time.NewTicker(10 * time.Millisecond); ; {
				select {
				case <-ctx.Done():
					tick.Stop()
					return
				case <-tick.C:
					f.write(fmt.Sprintf("cid%d-%d", f.shard, rand.IntN(cids)), rand.IntN(5) == 0)
				}
			}
		})
	}
}

// quiet stops the writers, and returns the truth.
func (w *world) quiet() map[string]events.Event {
	w.stopWriters()
	w.writers.Wait()
	truth := make(map[string]events.Event)
	for _, f := range w.feeds {
		f.mu.Lock()
		for _, e := range f.truth {
			truth[e.Key()] = e
		}
		f.mu.Unlock()
	}
	return truth
}

// written is how many changes there were.
func (w *world) written() int {
	n := 0
	for _, f := range w.feeds {
		f.mu.Lock()
		n += len(f.rows)
		f.mu.Unlock()
	}
	return n
}

// process is a consumer that runs.
type process struct {
	*consume.Consumer
	name   string
	memory *memory
	stop   func()
}

// missing tells what the saved state says is missing.
func (p *process) missing() string {
	text, err := p.memory.Load(context.Background(), p.name)
	if err != nil {
		return err.Error()
	}
	var state struct {
		Shards []struct {
			Missing json.RawMessage `json:"missing"`
		} `json:"shards"`
	}
	if err := json.Unmarshal(text, &state); err != nil {
		return err.Error()
	}
	for i, s := range state.Shards {
		if s.Missing != nil {
			return fmt.Sprintf("shard %d has missing %s", i, s.Missing)
		}
	}
	return ""
}

// errStopped ends a consumer.
var errStopped = errors.New("stopped by the test")

// start runs a consumer until it is stopped or the test ends. change may be nil.
func start(t *testing.T, b *bus.Bus, name string, m *memory, tb *table, change func(*consume.Options)) *process {
	t.Helper()
	opts := consume.Options{
		Bus: b, Name: name, State: m, Handler: tb.handle,
		Workers: 4, Takeover: takeover, AskAgain: 2 * time.Second,
	}
	if change != nil {
		change(&opts)
	}
	c, err := consume.New(opts)
	must(t, err)
	ctx, cancel := context.WithCancelCause(context.Background())
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		if err := c.Run(ctx); !errors.Is(err, errStopped) {
			t.Errorf("consumer %s ended: %v", name, err)
		}
	}()
	p := &process{Consumer: c, name: name, memory: m, stop: sync.OnceFunc(func() { cancel(errStopped); <-ended })}
	t.Cleanup(p.stop)
	return p
}
