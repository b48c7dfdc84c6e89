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

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

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
	c := start(t, connect(t, cluster), "c", &memory{}, &tb, nil)
	goodEvent, err := events.Parse(good)
	must(t, err)
	truth := map[string]events.Event{goodEvent.Key(): goodEvent}
	eventually(t, func() string { return tb.differs(truth) })
	var got []string
	must(t, consume.DeadLetters(t.Context(), b, "", 0, func(l consume.DeadLetter) bool {
		got = append(got, fmt.Sprintf("%d %s %s %d %d", l.ID, l.Reason, l.N, len(l.Data), l.Size))
		if l.Error == "" || l.At.IsZero() || l.Consumer != "c" || !strings.HasPrefix(l.Subject, "ipfs-cluster.events.") {
			t.Errorf("dead letter %+v", l)
		}
		return true
	}))
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
	eventually(t, func() string { // a letter is dropped when it was handled
		left := ""
		must(t, consume.DeadLetters(t.Context(), b, "", 0, func(l consume.DeadLetter) bool {
			left += fmt.Sprintf("left is %+v ", l)
			return true
		}))
		return left
	})
	for _, f := range []func(context.Context, *bus.Bus, uint64) error{consume.RetryDeadLetter, consume.DropDeadLetter} {
		for _, id := range []uint64{1, 4, 99} {
			if err := f(t.Context(), b, id); !errors.Is(err, consume.ErrNoDeadLetter) {
				t.Errorf("dead letter %d: %v", id, err)
			}
		}
	}
	if one.older+one.again+two.older+two.again > 0 || two.calls != 5 {
		t.Errorf("handed again: %d, %d; older: %d, %d; %d calls of the other consumer", one.again, two.again, one.older, two.older, two.calls)
	}
}

// TestRetryIsLost shows that a dead letter whose retry is lost, with the stream, is still
// there.
func TestRetryIsLost(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	m := &memory{}
	var refusing, tb table
	refusing.refuse = func(events.Event) error { return consume.ErrRefused }
	c := start(t, connect(t, cluster), "c", m, &refusing, nil)
	truth := tell(t, b.NewPublisher(0, 1, time.Now()), "cid")
	eventually(t, func() string {
		if c.Stats().Dead == 0 {
			return "nothing is put aside"
		}
		return ""
	})
	c.stop()
	must(t, consume.RetryDeadLetter(t.Context(), b, 1))
	must(t, b.JetStream().DeleteStream(t.Context(), b.Stream()))
	must(t, b.Ensure(t.Context())) // as relays do
	start(t, connect(t, cluster), "c", m, &tb, nil)
	eventually(t, func() string {
		// Until there is a stream again; copies are dropped.
		if err := consume.RetryDeadLetter(t.Context(), b, 1); err != nil && !errors.Is(err, consume.ErrNoDeadLetter) {
			return err.Error()
		}
		return tb.differs(truth)
	})
}

// TestPutAsideBeforeAcknowledged shows that nothing is acknowledged that is not among the
// dead letters, whose stream may be gone.
func TestPutAsideBeforeAcknowledged(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	p := b.NewPublisher(0, 1, time.Now())
	var tb table
	tb.refuse = func(e events.Event) error {
		if e.Subject() == "bad" {
			return consume.ErrRefused
		}
		return nil
	}
	c := start(t, connect(t, cluster), "c", &memory{}, &tb, nil)
	truth := tell(t, p, "good")
	eventually(t, func() string { return tb.differs(truth) })
	must(t, b.JetStream().DeleteStream(t.Context(), b.DeadStream()))
	said := warnings(t)
	tell(t, p, "bad")
	truth = tell(t, p, "good")
	eventually(t, func() string { // it has tried, before there is a stream for it again
		if c.Stats().Dead == 0 && !strings.Contains(said(), "putting a message aside") {
			return "nothing was tried"
		}
		return ""
	})
	eventually(t, func() string {
		said := tb.differs(truth)
		if said != "" {
			must(t, b.Ensure(t.Context())) // as relays do
		}
		return said
	})
	if letter, err := consume.GetDeadLetter(t.Context(), b, 1); err != nil || letter.Reason != consume.Failed || c.Stats().Dead != 1 {
		t.Errorf("the dead letter is %+v: %v", letter, err)
	}
}
