package scyllastate

import (
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// eventRig reads a feed of events over tables in memory, in the bubble of a test.
type eventRig struct {
	*feedRig
	feed *eventFeed

	mu sync.Mutex
	// told are the events of the calls that the handler took, and tried those of all.
	told, tried []state.Event
	calls       int
	largest     int // number of events in a call
	through     time.Time
	refuse      func([]state.Event) error
}

const eventsName = eventsPrefix + "3"

// newEventRig reads the feed until the test ends. Before it begins it calls prepare.
func newEventRig(t *testing.T, prepare ...func(*eventRig)) *eventRig {
	t.Helper()
	r := &eventRig{feedRig: newTablesRig(t)}
	start := time.Now()
	r.store.eventsSince = start
	r.store.intents = newAppender(r.store)
	r.pins = make(map[string]row)
	r.feed = &eventFeed{feed: &Feed{store: r.store, name: eventsName, consumer: eventConsumer, now: time.Now, position: start}, from: start}
	for _, f := range prepare {
		f(r)
	}
	ctx, cancel := context.WithCancel(t.Context())
	ended := make(chan error, 1)
	go func() { ended <- r.feed.Consume(ctx, r.handle) }()
	r.end = sync.OnceFunc(func() {
		cancel()
		if err := <-ended; !errors.Is(err, context.Canceled) {
			t.Errorf("Consume ended with %v", err)
		}
	})
	t.Cleanup(r.end)
	time.Sleep(time.Millisecond) // what is written is newer than the position
	return r
}

func (r *eventRig) handle(_ context.Context, events []state.Event, through time.Time) error {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.calls++
	r.tried = append(r.tried, events...)
	if r.refuse != nil {
		if err := r.refuse(events); err != nil {
			return err
		}
	}
	if through.Before(r.through) {
		r.t.Errorf("it goes back from %s to %s", r.through, through)
	}
	r.told = append(r.told, events...)
	r.through, r.largest = through, max(r.largest, len(events))
	return nil
}

// announce appends the row of a write that is about to be made to a pin, and returns it.
func (r *eventRig) announce(kind int8, label string) changeRow {
	c := statetest.Cid(label)
	r.feedRig.mu.Lock()
	defer r.feedRig.mu.Unlock()
	at := newUUID(time.Now())
	old := r.pins[string(c.Bytes())]
	w := changeRow{at: at, cid: c.Bytes(), rev: nextRev(time.Now(), old.rev), prev: old.rev, kind: kind, traceparent: "trace of " + label}
	r.rows[eventsName] = append(r.rows[eventsName], w)
	return w
}

// make makes the write that was announced. It fails if another one was faster.
func (r *eventRig) make(w changeRow) bool {
	c, err := api.CastCid(w.cid)
	must(r.t, err)
	r.feedRig.mu.Lock()
	defer r.feedRig.mu.Unlock()
	old := r.pins[string(w.cid)]
	if old.rev != w.prev {
		return false
	}
	now := row{rev: w.rev, prev: w.prev}
	if w.kind != kindUnpinned && w.kind != kindExpired {
		pin := api.PinWithOpts(c, api.PinOptions{Name: w.rev.String()})
		now.pin, err = pin.ProtoMarshal()
		must(r.t, err)
	}
	r.pins[string(w.cid)] = now
	return true
}

// write announces and makes a write.
func (r *eventRig) write(kind int8, label string) changeRow {
	r.t.Helper()
	w := r.announce(kind, label)
	if !r.make(w) {
		r.t.Fatal("another write was faster")
	}
	time.Sleep(time.Microsecond)
	return w
}

// note appends a row that is not about the pinset.
func (r *eventRig) note(i intent) {
	r.feedRig.mu.Lock()
	defer r.feedRig.mu.Unlock()
	r.rows[eventsName] = append(r.rows[eventsName], changeRow{
		at: newUUID(time.Now()), cid: i.Cid, rev: i.Rev, kind: i.Kind, traceparent: i.Traceparent, peer: i.Peer, size: i.Size, text: i.Error,
	})
}

// settles waits until what was written has been read.
func (r *eventRig) settles() {
	time.Sleep(2 * pollEvery)
	synctest.Wait()
}

// passed is the time up to which all is told.
func (r *eventRig) passed() time.Time {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.through
}

// cursor has the positions that were saved.
func (r *eventRig) cursor() []time.Time {
	r.feedRig.mu.Lock()
	defer r.feedRig.mu.Unlock()
	return slices.Clone(r.saves)
}

// fences are the writers that were fenced.
func (r *eventRig) fences() int {
	r.feedRig.mu.Lock()
	defer r.feedRig.mu.Unlock()
	return len(r.fenced)
}

// of are the events that were told of a CID.
func (r *eventRig) of(label string) []state.Event {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.told), func(e state.Event) bool { return e.Cid != statetest.Cid(label) })
}

// want checks the kinds of the events that were told of a CID, the last of which tells of
// the pin as it is now.
func (r *eventRig) want(label string, kinds ...state.EventKind) {
	r.t.Helper()
	got := r.of(label)
	var is []state.EventKind
	for _, e := range got {
		is = append(is, e.Kind)
	}
	if !slices.Equal(is, kinds) {
		r.t.Fatalf("%v is told of %s, want %v", is, label, kinds)
	}
	if len(got) == 0 || got[len(got)-1].Status != nil {
		return
	}
	last := got[len(got)-1]
	r.feedRig.mu.Lock()
	defer r.feedRig.mu.Unlock()
	now := r.pins[string(last.Cid.Bytes())]
	if gocql.UUID(last.Rev) != now.rev || (last.Pin == nil) != (now.pin == nil) || last.Pin != nil && last.Pin.Name != now.rev.String() {
		r.t.Errorf("%+v is told of %s, whose revision is %s", last, label, now.rev)
	}
}
