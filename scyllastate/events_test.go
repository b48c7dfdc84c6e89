package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.opencensus.io/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// openEventful opens a store with events whose feeds settle within some seconds. A row that
// takes longer than its deadline is appended again, and told again, which these tests do
// not expect: it is longer than that of openQuick.
func openEventful(t *testing.T, conf *Config) *Store {
	t.Helper()
	return withEvents(t, openLimited(t, conf, limits{writeDeadline: 3 * time.Second, clockSkew: 100 * time.Millisecond}))
}

// listener remembers the events of a shard.
type listener struct {
	mu      sync.Mutex
	events  []state.Event
	through time.Time
	stop    func() error
}

// listen reads the events of a shard until the test ends or stop is called.
func listen(t *testing.T, s *Store, shard int) *listener {
	t.Helper()
	feed, err := s.OpenEvents(t.Context(), shard)
	must(t, err)
	l := &listener{}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- feed.Consume(ctx, l.handle) }()
	l.stop = sync.OnceValue(func() error {
		cancel()
		return <-done
	})
	t.Cleanup(func() { _ = l.stop() })
	return l
}

func (l *listener) handle(_ context.Context, events []state.Event, through time.Time) error {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.events = append(l.events, events...)
	l.through = through
	return nil
}

func (l *listener) all() []state.Event {
	l.mu.Lock()
	defer l.mu.Unlock()
	return slices.Clone(l.events)
}

// next waits for the n-th event.
func (l *listener) next(t *testing.T, n int) state.Event {
	t.Helper()
	waitFor(t, fmt.Sprintf("event %d", n), func() bool { return len(l.all()) > n })
	return l.all()[n]
}

// TestEvents shows what is told of what happens to a pin and to a peer.
func TestEvents(t *testing.T) {
	s := openEventful(t, testConfig(t))
	a, b := statetest.Peer("a"), statetest.Peer("b")
	pin := held("x", a)
	l := listen(t, s, state.EventShard(pin.Cid))
	n := 0
	next := func() state.Event {
		n++
		return l.next(t, n-1)
	}
	version := func() state.Revision {
		t.Helper()
		_, rev, err := s.GetVersion(t.Context(), pin.Cid)
		must(t, err)
		return rev
	}
	want := func(kind state.EventKind, allocations ...peer.ID) {
		t.Helper()
		rev, e := version(), next()
		if e.Kind != kind || e.Cid != pin.Cid || e.Rev != rev || (e.Pin == nil) != (allocations == nil) {
			t.Fatalf("event %+v of revision %x, want kind %d of %x", e, e.Rev, kind, rev)
		}
		if e.Pin != nil && !slices.Equal(e.Pin.Allocations, allocations) {
			t.Errorf("the pin is allocated to %q, want %q", e.Pin.Allocations, allocations)
		}
	}
	ctx, span := trace.StartSpan(t.Context(), "a write", trace.WithSampler(trace.AlwaysSample()))
	must(t, s.Add(ctx, pin))
	span.End()
	want(state.EventAccepted, a)
	if e := l.all()[0]; !strings.HasPrefix(e.Traceparent, "00-"+span.SpanContext().TraceID.String()) || time.Since(gocql.UUID(e.At).Time()).Abs() > time.Minute {
		t.Errorf("its trace is %q, of %s", e.Traceparent, gocql.UUID(e.At).Time())
	}
	must(t, s.Add(t.Context(), pin))
	want(state.EventUpdated, a)
	pin.Allocations = []peer.ID{b}
	must(t, s.PutIf(state.WithCause(t.Context(), state.CauseMove), pin, version()))
	want(state.EventReallocated, b)

	for _, status := range []state.StatusEvent{
		{Kind: state.EventFailed, Status: state.PlacementPinError, Error: "no room"},
		{Kind: state.EventPinned, Status: state.PlacementPinned, Size: 1 << 40},
		{Kind: state.EventSized, Status: state.PlacementPinned, Size: 7},
		{Kind: state.EventFailed, Status: state.PlacementUnpinError, Error: "busy"},
		{Kind: state.EventDropped, Traceparent: "a trace"},
	} {
		status.Cid, status.Peer, status.Rev = pin.Cid, b, version()
		must(t, s.LogStatus(t.Context(), status))
		if e := next(); e.Status == nil || *e.Status != status || e.Kind != status.Kind || e.Cid != pin.Cid || e.Rev != status.Rev || e.Traceparent != status.Traceparent || e.At == (state.Revision{}) {
			t.Errorf("%+v of %+v, want %+v", e, e.Status, status)
		}
	}

	must(t, s.DeleteIf(state.WithCause(t.Context(), state.CauseExpiry), pin.Cid, version()))
	want(state.EventExpired)
	must(t, s.Add(t.Context(), pin))
	want(state.EventAccepted, b)
	must(t, s.Rm(t.Context(), pin.Cid))
	want(state.EventUnpinned)

	began := l.through
	waitFor(t, "progress", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.through.After(began.Add(time.Second))
	})
	if len(l.all()) != n {
		t.Errorf("%d more events: %+v", len(l.all())-n, l.all()[n:])
	}
}

// TestPeerEvents shows what is told of peers, in the shards of their IDs.
func TestPeerEvents(t *testing.T) {
	s := openEventful(t, testConfig(t))
	for i, kind := range []state.EventKind{state.EventPeerCame, state.EventPeerDied, state.EventPeerLeft} {
		id := statetest.Peer(fmt.Sprint("peer ", i))
		want := state.PeerEvent{Kind: kind, ID: id, Name: "a name with spaces", Incarnation: state.Incarnation{byte(i), 0x2f}, At: time.Now().Truncate(time.Microsecond)}
		must(t, s.LogPeer(t.Context(), want))
		e := listen(t, s, state.EventShard(api.NewCid(peer.ToCid(id)))).next(t, 0)
		if e.Peer == nil || !e.Peer.At.Equal(want.At) {
			t.Fatalf("%+v of %+v, want %+v", e, e.Peer, want)
		}
		got := *e.Peer
		got.At = want.At
		if got != want || e.Kind != kind || e.Cid.Defined() {
			t.Errorf("%+v of %+v, want %+v", e, got, want)
		}
	}
}

// TestWrongEventsAreRefused: what is no event is not written.
func TestWrongEventsAreRefused(t *testing.T) {
	s := openEventful(t, testConfig(t))
	c, p, rev := statetest.Cid("x"), statetest.Peer("p"), state.Revision{1}
	for name, e := range map[string]state.StatusEvent{
		"no CID":             {Kind: state.EventPinned, Peer: p, Rev: rev},
		"no peer":            {Kind: state.EventPinned, Cid: c, Rev: rev},
		"no revision":        {Kind: state.EventPinned, Cid: c, Peer: p},
		"another kind":       {Kind: state.EventAccepted, Cid: c, Peer: p, Rev: rev},
		"a failure of what?": {Kind: state.EventFailed, Cid: c, Peer: p, Rev: rev},
	} {
		if err := s.LogStatus(t.Context(), e); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	for name, e := range map[string]state.PeerEvent{
		"no ID":        {Kind: state.EventPeerCame, At: time.Now()},
		"no time":      {Kind: state.EventPeerCame, ID: p},
		"another kind": {Kind: state.EventPinned, ID: p, At: time.Now()},
	} {
		if err := s.LogPeer(t.Context(), e); err == nil {
			t.Errorf("%s: it was taken", name)
		}
	}
	if feeds := eventFeeds(t, s); len(feeds) > 0 {
		t.Errorf("there are rows in %q", feeds)
	}
}

// TestEventsGoOnWhereTheyWereLeft: the first reader begins where the events do, the next
// where the one before has ended, and tells what happened between.
func TestEventsGoOnWhereTheyWereLeft(t *testing.T) {
	conf := testConfig(t)
	s := openEventful(t, conf)
	pin := held("x", statetest.Peer("a"))
	shard := state.EventShard(pin.Cid)
	s.eventsSince = s.eventsSince.Add(-time.Hour)
	must(t, s.Add(t.Context(), pin)) // nobody has read this feed so far
	first, err := s.OpenEvents(t.Context(), shard)
	must(t, err)
	if from := first.From(); from.After(s.EventsSince()) || s.EventsSince().Sub(from) > time.Minute {
		t.Errorf("the first one begins at %s, events do at %s", from, s.EventsSince())
	}
	l := listen(t, s, shard)
	l.next(t, 0)
	told := time.Now()
	waitFor(t, "the position to pass it", func() bool {
		l.mu.Lock()
		defer l.mu.Unlock()
		return l.through.After(told)
	})
	if err := l.stop(); !errors.Is(err, context.Canceled) {
		t.Fatalf("Consume ended with %v", err)
	}
	if busy, err := reading(t.Context(), s.db); busy != "" || err != nil {
		t.Errorf("the reader of %q counts as a peer, %v", busy, err)
	}
	must(t, s.Rm(t.Context(), pin.Cid))
	other := openEventful(t, conf)
	second, err := other.OpenEvents(t.Context(), shard)
	must(t, err)
	if from := second.From(); from.Before(told) {
		t.Errorf("the second one begins at %s, the first one had passed %s", from, told)
	}
	if e := listen(t, other, shard).next(t, 0); e.Kind != state.EventUnpinned {
		t.Errorf("it tells %+v first", e)
	}
}

// TestEventsHaveOneReader: who has read a feed before ends when another one takes it.
func TestEventsHaveOneReader(t *testing.T) {
	conf := testConfig(t)
	one, two := openEventful(t, conf), openEventful(t, conf)
	pin := held("x", statetest.Peer("a"))
	shard := state.EventShard(pin.Cid)
	feed, err := one.OpenEvents(t.Context(), shard)
	must(t, err)
	ended := make(chan error, 1)
	go func() {
		ended <- feed.Consume(t.Context(), func(context.Context, []state.Event, time.Time) error { return nil })
	}()
	listen(t, two, shard)
	must(t, two.Add(t.Context(), pin)) // the first one has something to save
	select {
	case err := <-ended:
		if !errors.Is(err, ErrSuperseded) {
			t.Fatalf("the first reader ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the first reader goes on")
	}
	for _, shard := range []int{-1, state.EventShards} {
		if _, err := one.OpenEvents(t.Context(), shard); err == nil {
			t.Errorf("there is a shard %d", shard)
		}
	}
}

// TestReadEvents tells again what happened in a time, and nothing else.
func TestReadEvents(t *testing.T) {
	s := openEventful(t, testConfig(t))
	a := statetest.Peer("a")
	pin := held("x", a)
	shard := state.EventShard(pin.Cid)
	read := func(after, upTo time.Time) (out []state.EventKind) {
		t.Helper()
		must(t, s.ReadEvents(t.Context(), shard, after, upTo, func(events []state.Event) error {
			for _, e := range events {
				out = append(out, e.Kind)
			}
			return nil
		}))
		return out
	}
	began := time.Now()
	must(t, s.Add(t.Context(), pin))
	must(t, s.Add(t.Context(), pin))
	_, rev, err := s.GetVersion(t.Context(), pin.Cid)
	must(t, err)
	must(t, s.LogStatus(t.Context(), state.StatusEvent{Kind: state.EventPinned, Cid: pin.Cid, Peer: a, Rev: rev}))
	middle := time.Now()
	must(t, s.Rm(t.Context(), pin.Cid))
	for _, tt := range []struct {
		after, upTo time.Time
		want        []state.EventKind
	}{
		{began, time.Now(), []state.EventKind{state.EventUnpinned, state.EventPinned}},
		{began, middle, []state.EventKind{state.EventUnpinned, state.EventPinned}}, // the truth of now
		{middle, time.Now().Add(24 * time.Hour), []state.EventKind{state.EventUnpinned}},
		{time.Now(), time.Now(), nil},
	} {
		if got := read(tt.after, tt.upTo); !slices.Equal(got, tt.want) {
			t.Errorf("from %s to %s: %v, want %v", tt.after, tt.upTo, got, tt.want)
		}
	}
	enough := errors.New("enough")
	if err := s.ReadEvents(t.Context(), shard, began, time.Now(), func([]state.Event) error { return enough }); !errors.Is(err, enough) {
		t.Errorf("the error of f became %v", err)
	}
	// There were none before they were turned on, so that all of them are there.
	longAgo := time.Now().Add(-feedTTL - time.Minute)
	if got := read(longAgo, time.Now()); len(got) != 2 {
		t.Errorf("after %s: %v", longAgo, got)
	}
	s.eventsSince = longAgo
	if err := s.ReadEvents(t.Context(), shard, longAgo, time.Now(), func([]state.Event) error { return nil }); !errors.Is(err, state.ErrEventsGone) {
		t.Errorf("events of last week: %v", err)
	}
	if got := read(time.Time{}, time.Now()); len(got) != 2 {
		t.Errorf("all that there are: %v", got)
	}
	at, err := s.tables.readCursor(t.Context(), state.EventFeedName(shard), eventConsumer)
	if err != nil || !at.position.IsZero() {
		t.Errorf("there is a cursor: %+v, %v", at, err)
	}
}

// costTables count the statements that are sent.
type costTables struct {
	tables
	mu       sync.Mutex
	appended map[string]int // by feed
	others   int
}

func (c *costTables) appendChanges(ctx context.Context, rows []intent, at time.Time) error {
	c.mu.Lock()
	c.appended[rows[0].Feed]++
	c.mu.Unlock()
	return c.tables.appendChanges(ctx, rows, at)
}

func (c *costTables) swap(ctx context.Context, w *write) (bool, row, error) {
	c.other()
	return c.tables.swap(ctx, w)
}

func (c *costTables) readPin(ctx context.Context, cid api.Cid, cons gocql.Consistency) (row, error) {
	c.other()
	return c.tables.readPin(ctx, cid, cons)
}

func (c *costTables) other() {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.others++
}

// TestWhatEventsCost: a write has one statement more with events, and what a peer does
// with a pin has one.
func TestWhatEventsCost(t *testing.T) {
	a, b := statetest.Peer("a"), statetest.Peer("b")
	pin := held("x", a, b)
	for name, tt := range map[string]struct {
		on   bool
		want map[string]int // appends by feed
	}{
		"off": {false, map[string]int{a.String(): 2, b.String(): 2}},
		"on":  {true, map[string]int{a.String(): 2, b.String(): 2, state.EventFeedName(state.EventShard(pin.Cid)): 3}},
	} {
		t.Run(name, func(t *testing.T) {
			s := newTestStore(t)
			if tt.on {
				withEvents(t, s)
			}
			c := &costTables{tables: s.tables, appended: make(map[string]int)}
			s.tables, s.intents.tables = c, c
			must(t, s.Add(t.Context(), pin))
			_, rev, err := s.GetVersion(t.Context(), pin.Cid)
			must(t, err)
			must(t, s.LogStatus(t.Context(), state.StatusEvent{Kind: state.EventPinned, Cid: pin.Cid, Peer: a, Rev: rev}))
			must(t, s.Rm(t.Context(), pin.Cid))
			if fmt.Sprint(c.appended) != fmt.Sprint(tt.want) {
				t.Errorf("appended to %v, want %v", c.appended, tt.want)
			}
			if c.others != 5 { // Add: read, write; GetVersion; Rm: read, write
				t.Errorf("%d other statements", c.others)
			}
		})
	}
}
