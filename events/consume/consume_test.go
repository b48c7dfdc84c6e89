package consume_test

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/nats-io/nats.go"
	"github.com/nats-io/nats.go/jetstream"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// tell publishes events of new versions, and returns them.
func tell(t *testing.T, p *bus.Publisher, cids ...string) map[string]events.Event {
	t.Helper()
	truth := make(map[string]events.Event)
	var batch []bus.Message
	for _, cid := range cids {
		e := pinEvent(cid, false)
		data, err := e.Encode()
		must(t, err)
		batch = append(batch, bus.Message{ID: e.ID(), At: e.Time(), Data: data})
		truth[e.Key()] = e
	}
	must(t, p.Publish(t.Context(), batch, time.Now()))
	must(t, p.Manifest(t.Context()))
	return truth
}

func cids(n int) []string {
	var out []string
	for i := range n {
		out = append(out, fmt.Sprint("cid", i))
	}
	return out
}

// TestTakeover shows that the messages that a process has received and not handled are
// handled by the one that takes its place: in order, and without a relay that could tell
// them again.
func TestTakeover(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	p := b.NewPublisher(0, 1, time.Now())
	truth := tell(t, p, cids(2000)...)

	m := &memory{}
	var tb table
	stuck := make(chan struct{})
	calls := 0
	start(t, connect(t, cluster), "c", m, &tb, func(o *consume.Options) {
		o.Handler = func(ctx context.Context, e events.Event) error {
			if calls++; calls == 100 {
				close(stuck)
				<-t.Context().Done() // it hangs until the end of the test
				return t.Context().Err()
			}
			return tb.handle(ctx, e)
		}
	})
	<-stuck
	heir := start(t, connect(t, cluster), "c", m, &tb, nil)
	eventually(t, func() string { return tb.differs(truth) })
	if s := heir.Stats(); s.LookedAgain == 0 || s.Gaps != 0 || s.Asked != 0 {
		t.Errorf("it took over with %+v: it was to read the stream again", s)
	}
	if tb.older > 0 {
		t.Errorf("it was handed %d events after newer ones", tb.older)
	}
}

// TestGracefulStop shows that a process that stops leaves its work to another one at once,
// without an event that is handled twice.
func TestGracefulStop(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	p := b.NewPublisher(0, 1, time.Now())
	var tb table
	m := &memory{}
	truth := make(map[string]events.Event)
	for i := range 5 {
		c := start(t, connect(t, cluster), "c", m, &tb, func(o *consume.Options) { o.Takeover = time.Hour })
		for key, e := range tell(t, p, cids(100+i)...) {
			truth[key] = e
		}
		eventually(t, func() string { return tb.differs(truth) })
		c.stop()
	}
	if tb.older+tb.again > 0 {
		t.Errorf("%d events were handled again and %d after newer ones", tb.again, tb.older)
	}
}

// TestSavedBeforeAcknowledged shows that what was handled, and not saved, is handled again
// by the next process.
func TestSavedBeforeAcknowledged(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	truth := tell(t, b.NewPublisher(0, 1, time.Now()), cids(20)...)
	var fails atomic.Bool
	m := &memory{fail: func() error {
		if fails.Load() {
			return errors.New("the database is down")
		}
		return nil
	}}
	var first, second table
	first.refuse = func(events.Event) error { fails.Store(true); return nil }
	c := start(t, connect(t, cluster), "c", m, &first, nil)
	eventually(t, func() string {
		if c.Stats().Handled == 0 {
			return "nothing was handled"
		}
		return ""
	})
	c.stop()
	fails.Store(false)
	start(t, connect(t, cluster), "c", m, &second, nil)
	eventually(t, func() string { return second.differs(truth) })
}

// TestStateComesBack shows that a state that cannot be read or written for a while holds
// a consumer up and does no more.
func TestStateComesBack(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	truth := tell(t, b.NewPublisher(0, 1, time.Now()), cids(20)...)
	var calls atomic.Int32
	m := &memory{fail: func() error {
		if calls.Add(1)%3 != 0 {
			return errors.New("the database is down")
		}
		return nil
	}}
	var tb table
	c := start(t, connect(t, cluster), "c", m, &tb, nil)
	eventually(t, func() string { return tb.differs(truth) })
	eventually(t, func() string { return c.missing() })
	if tb.again+tb.older > 0 {
		t.Errorf("%d events were handled again, %d after newer ones", tb.again, tb.older)
	}
}

func TestBadStateIsRefused(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	tell(t, b.NewPublisher(0, 1, time.Now()), cids(1)...)
	for _, text := range []string{`{`, `{}`, `{"shards": [null]}`, `{"shards": [` + strings.Repeat(`{"epoch": 1, "n": 1, "solid": 2},`, 15) + `{}]}`} {
		var tb table
		c, err := consume.New(consume.Options{
			Bus: b, Name: "c", State: &memory{states: map[string][]byte{"c": []byte(text)}}, Handler: tb.handle, Takeover: time.Second,
		})
		must(t, err)
		if err := c.Run(t.Context()); err == nil || !strings.Contains(err.Error(), "state") || tb.calls > 0 {
			t.Errorf("state %s: %v after %d calls", text, err, tb.calls)
		}
	}
}

// TestWhereItBegins shows which events a new consumer gets.
func TestWhereItBegins(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	begin := time.Now()
	w := newWorld(t, b, 1)
	w.load(100)
	w.more(100)
	w.quiet()
	eventually(t, func() string { return published(t, b, w) })
	stream, err := b.JetStream().Stream(t.Context(), b.Stream())
	must(t, err)
	must(t, stream.Purge(t.Context()))
	w.load(10_000)
	w.more(20)
	w.quiet()
	eventually(t, func() string { return published(t, b, w) })
	var all, some table
	rest := start(t, connect(t, cluster), "some", &memory{}, &some, nil)
	eventually(t, func() string { // it has what is in the stream, which ends in manifests
		if info, err := stream.Consumer(t.Context(), "some"); err != nil || info.CachedInfo().NumPending+uint64(info.CachedInfo().NumAckPending) > 100 {
			return "it has not handled all of the stream"
		}
		return ""
	})
	got := rest.Stats()
	rest.stop()
	whole := start(t, connect(t, cluster), "all", &memory{}, &all, func(o *consume.Options) { o.Since = begin })
	truth := w.quiet()
	eventually(t, func() string { return all.differs(truth) })
	if s := whole.Stats(); s.Replays == 0 {
		t.Errorf("a consumer of all was told nothing again: %+v", s)
	}
	if got.Asked != 0 || len(some.pins) == 0 || len(some.pins) >= len(all.pins) {
		t.Errorf("a consumer of what is in the stream has %d CIDs of %d: %+v", len(some.pins), len(all.pins), got)
	}
}

// TestConsumerOfSomebodyElse shows that nothing is done with it.
func TestConsumerOfSomebodyElse(t *testing.T) {
	b := connect(t, natstest.Start(t, 1))
	must(t, b.Ensure(t.Context()))
	_, err := b.JetStream().CreateConsumer(t.Context(), b.Stream(), jetstream.ConsumerConfig{Durable: "c"})
	must(t, err)
	var tb table
	c, err := consume.New(consume.Options{Bus: b, Name: "c", State: &memory{}, Handler: tb.handle})
	must(t, err)
	if err := c.Run(t.Context()); !errors.Is(err, bus.ErrNotOurs) {
		t.Errorf("Run = %v", err)
	}
}

func TestOptionsAreChecked(t *testing.T) {
	b := connect(t, natstest.Start(t, 1))
	var tb table
	for _, o := range []consume.Options{
		{Name: "c", State: &memory{}, Handler: tb.handle}, {Bus: b, Name: "c", Handler: tb.handle}, {Bus: b, Name: "c", State: &memory{}},
		{Bus: b, State: &memory{}, Handler: tb.handle}, {Bus: b, Name: "a.b", State: &memory{}, Handler: tb.handle},
		{Bus: b, Name: strings.Repeat("x", 65), State: &memory{}, Handler: tb.handle},
	} {
		if _, err := consume.New(o); err == nil {
			t.Errorf("%+v is accepted", o)
		}
	}
}

// TestHandlerErrors shows what becomes of events that the handler does not handle.
func TestHandlerErrors(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	attempts := make(map[string]int)
	var tb table
	tb.refuse = func(e events.Event) error {
		attempts[e.Subject()]++
		switch n := attempts[e.Subject()]; {
		case e.Subject() == "cid1":
			return fmt.Errorf("%w: it is one", consume.ErrRefused)
		case e.Subject() == "cid2":
			return errors.New("this always fails")
		case e.Subject() == "cid3" && n < 3:
			return errors.New("this fails twice")
		case e.Subject() == "cid4" && n < 5:
			return fmt.Errorf("%w: the database", consume.ErrUnavailable)
		}
		return nil
	}
	c := start(t, connect(t, cluster), "c", &memory{}, &tb, func(o *consume.Options) { o.Attempts = 3 })
	truth := tell(t, b.NewPublisher(0, 1, time.Now()), cids(7)...)
	delete(truth, "pin/cid1")
	delete(truth, "pin/cid2")
	eventually(t, func() string { return tb.differs(truth) })
	want := map[string]int{"cid0": 1, "cid1": 1, "cid2": 3, "cid3": 3, "cid4": 5, "cid5": 1, "cid6": 1}
	if fmt.Sprint(attempts) != fmt.Sprint(want) {
		t.Errorf("the handler was called %v times, want %v", attempts, want)
	}
	if s := c.Stats(); s.Dead != 2 || s.Handled != 5 || s.Retries != 2+2+4 {
		t.Errorf("counted %+v", s)
	}
	var got []string
	must(t, consume.DeadLetters(t.Context(), b, "c", 0, func(l consume.DeadLetter) bool {
		got = append(got, fmt.Sprintf("%d %s %s %s %s %s.%s: %s", l.ID, l.Consumer, l.Reason, l.Subject, l.Kind, l.Epoch, l.N, l.Error))
		return true
	}))
	letters := []string{
		"1 c failed ipfs-cluster.events.0 event 1.2: the event is refused: it is one",
		"2 c failed ipfs-cluster.events.0 event 1.3: this always fails",
	}
	if !slices.Equal(got, letters) {
		t.Errorf("put aside are %q, want %q", got, letters)
	}
}

// TestDeadLetters shows what is put aside because it cannot be read, and what can be done
// with it.
func TestDeadLetters(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	must(t, b.Ensure(t.Context()))
	good, err := pinEvent("good", false).Encode()
	must(t, err)
	later := strings.Replace(string(good), "accepted.v1", "accepted.v2", 1)
	event := func(n, epoch string) nats.Header {
		return nats.Header{"Ics-Kind": {"event"}, "Ics-N": {n}, "Ics-Epoch": {epoch}}
	}
	for _, m := range []*nats.Msg{
		{Subject: b.Subject(0), Header: event("1", "1"), Data: []byte(later)},
		{Subject: b.Subject(0), Header: event("2", "1"), Data: []byte("{")},
		{Subject: b.Subject(0), Header: event("3", "1"), Data: []byte(strings.Repeat("x", 900<<10))},
		{Subject: b.Subject(0), Header: event("0", "1"), Data: good},
		{Subject: b.Subject(0), Header: nats.Header{"Ics-Kind": {"new"}}, Data: good},
		{Subject: b.Subject(0), Header: nats.Header{"Ics-Kind": {"manifest"}}, Data: good},
		{Subject: b.Subject(0), Header: nats.Header{"Ics-Kind": {"resume"}}, Data: []byte("{")},
		{Subject: b.Subject(0), Header: nats.Header{"Ics-Kind": {"replayed"}}, Data: good},
		{Subject: b.Subject(0), Data: good},
		{Subject: b.Subject(99), Header: event("1", "1"), Data: good},
		{Subject: b.Subject(0), Header: event("4", "1"), Data: good},
	} {
		_, err := b.JetStream().PublishMsg(t.Context(), m)
		must(t, err)
	}
	var tb table
	m := &memory{}
	c := start(t, connect(t, cluster), "c", m, &tb, nil)
	goodEvent, err := events.Parse(good)
	must(t, err)
	truth := map[string]events.Event{goodEvent.Key(): goodEvent}
	eventually(t, func() string { return tb.differs(truth) })
	var got []string
	list := func() {
		got = nil
		must(t, consume.DeadLetters(t.Context(), b, "", 0, func(l consume.DeadLetter) bool {
			got = append(got, fmt.Sprintf("%d %s %s %d %d", l.ID, l.Reason, l.N, len(l.Data), l.Size))
			if l.Error == "" || l.At.IsZero() || l.Consumer != "c" || !strings.HasPrefix(l.Subject, "ipfs-cluster.events.") {
				t.Errorf("dead letter %+v", l)
			}
			return true
		}))
	}
	list()
	size := len(good)
	want := []string{
		fmt.Sprintf("1 unknown 1 %d %d", size, size), "2 malformed 2 1 1", fmt.Sprintf("3 malformed 3 %d %d", 512<<10, 900<<10),
		fmt.Sprintf("4 malformed 0 %d %d", size, size), fmt.Sprintf("5 unknown  %d %d", size, size),
		fmt.Sprintf("6 unknown  %d %d", size, size), "7 malformed  1 1", fmt.Sprintf("8 unknown  %d %d", size, size),
		fmt.Sprintf("9 malformed  %d %d", size, size), fmt.Sprintf("10 malformed 1 %d %d", size, size),
	}
	slices.Sort(got)
	slices.Sort(want)
	if sortedKinds(got) != sortedKinds(want) {
		t.Errorf("put aside are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	if s := c.Stats(); s.Dead != 10 || s.Unknown != 4 || s.Malformed != 6 || s.Gaps != 0 {
		t.Errorf("counted %+v", s)
	}
	c.stop()
	_, _ = m, list
}

// sortedKinds is a list of dead letters without their IDs.
func sortedKinds(letters []string) string {
	var out []string
	for _, l := range letters {
		_, rest, _ := strings.Cut(l, " ")
		out = append(out, rest)
	}
	slices.Sort(out)
	return strings.Join(out, "\n")
}

// TestRetryAndDrop shows what can be done with dead letters.
func TestRetryAndDrop(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	p := b.NewPublisher(0, 1, time.Now())
	var broken atomic.Bool
	broken.Store(true)
	var one, two table
	one.refuse = func(events.Event) error {
		if broken.Load() {
			return consume.ErrRefused
		}
		return nil
	}
	c := start(t, connect(t, cluster), "one", &memory{}, &one, nil)
	start(t, connect(t, cluster), "two", &memory{}, &two, nil)
	truth := tell(t, p, cids(4)...)
	eventually(t, func() string { return two.differs(truth) })
	eventually(t, func() string {
		if n := c.Stats().Dead; n != 4 {
			return fmt.Sprintf("%d are put aside", n)
		}
		return ""
	})
	letter, err := consume.GetDeadLetter(t.Context(), b, 2)
	must(t, err)
	e, err := events.Parse(letter.Data)
	must(t, err)
	if e.Subject() != "cid1" || letter.Reason != consume.Failed {
		t.Errorf("the second dead letter is %+v", letter)
	}

	must(t, consume.RetryDeadLetter(t.Context(), b, 1)) // in vain
	eventually(t, func() string {
		if n := c.Stats().Dead; n != 5 {
			return fmt.Sprintf("%d are put aside", n)
		}
		return ""
	})
	broken.Store(false)
	newer := tell(t, p, "cid2")
	eventually(t, func() string { return one.differs(newer) })
	truth["pin/cid2"] = newer["pin/cid2"]
	for _, id := range []uint64{2, 3, 5} { // 3 is an old version of cid2
		must(t, consume.RetryDeadLetter(t.Context(), b, id))
	}
	delete(truth, "pin/cid3")
	eventually(t, func() string { return one.differs(truth) })
	must(t, consume.DropDeadLetter(t.Context(), b, 4))
	for _, f := range []func(context.Context, *bus.Bus, uint64) error{consume.RetryDeadLetter, consume.DropDeadLetter} {
		for _, id := range []uint64{1, 4, 99} {
			if err := f(t.Context(), b, id); !errors.Is(err, consume.ErrNoDeadLetter) {
				t.Errorf("dead letter %d: %v", id, err)
			}
		}
	}
	must(t, consume.DeadLetters(t.Context(), b, "", 0, func(l consume.DeadLetter) bool {
		t.Errorf("left is %+v", l)
		return true
	}))
	if one.older+one.again+two.older+two.again > 0 || two.calls != 5 {
		t.Errorf("handed again: %d, %d; older: %d, %d; %d calls of the other consumer", one.again, two.again, one.older, two.older, two.calls)
	}
}
