package consume_test

import (
	"context"
	"errors"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// TestTakeover shows that the messages that a process has received and not handled when it
// is cut off are handled by the one that takes its place: in order, and without a relay that
// could tell them again.
func TestTakeover(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	p := b.NewPublisher(0, 1, time.Now())
	truth := tell(t, p, cids(2000)...)

	m := &memory{}
	var tb table
	stuck := make(chan struct{})
	calls := 0
	first := connect(t, cluster)
	start(t, first, "c", m, &tb, func(o *consume.Options) {
		o.Handler = func(ctx context.Context, e events.Event) error {
			if calls++; calls == 100 {
				first.JetStream().Conn().Close()
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
	if s := heir.Stats(); s.Gaps != 0 || s.Asked != 0 {
		t.Errorf("it took over with %+v: nothing was missing", s)
	}
	if tb.older > 0 {
		t.Errorf("it was handed %d events after newer ones", tb.older)
	}
}

// TestSlowHandler shows that no other process is handed anything while a handler takes longer
// than Takeover, that this is said, and that nothing is handled twice after it.
func TestSlowHandler(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	truth := tell(t, b.NewPublisher(0, 1, time.Now()), cids(50)...)
	var slow, other table
	m := &memory{}
	said := warnings(t)
	slowed, release := make(chan struct{}), make(chan struct{})
	calls := 0
	start(t, connect(t, cluster), "c", m, &slow, func(o *consume.Options) {
		o.Handler = func(ctx context.Context, e events.Event) error {
			if calls++; calls == 10 {
				close(slowed)
				<-release
			}
			return slow.handle(ctx, e)
		}
	})
	<-slowed
	heir := start(t, connect(t, cluster), "c", m, &other, nil)
	eventually(t, func() string { return lacks(said(), "consumer c waits for its handler, which has not returned for") })
	long := time.NewTimer(2 * takeover) // another process would have taken over long ago
	defer long.Stop()
	for waits := true; waits; {
		select {
		case <-long.C:
			waits = false
		case <-time.After(takeover / 10):
			waits = other.empty() != ""
		}
	}
	close(release)
	if other.empty() == "" {
		t.Fatal("another process was handed events")
	}
	eventually(t, func() string { return slow.differs(truth) })
	eventually(t, func() string { return acknowledged(t, b, "c") })
	if s := heir.Stats(); s != (consume.Stats{}) {
		t.Errorf("the other process has done %+v", s)
	}
	if slow.again+slow.older > 0 {
		t.Errorf("%d events were handled again, %d after newer ones", slow.again, slow.older)
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

// TestStateSetBack shows that a state that is older than what was acknowledged makes a
// consumer read the stream again, and ask for nothing. A process that hangs may
// save such a state behind one that has taken its place.
func TestStateSetBack(t *testing.T) {
	cluster := natstest.Start(t, 1)
	b := connect(t, cluster)
	p := b.NewPublisher(0, 1, time.Now())
	m := &memory{}
	var tb table
	truth := tell(t, p, cids(20)...)
	c := start(t, connect(t, cluster), "c", m, &tb, nil)
	eventually(t, func() string { return tb.differs(truth) })
	c.stop()
	old := m.states["c"]
	between := tell(t, p, cids(40)...)
	c = start(t, connect(t, cluster), "c", m, &tb, nil)
	eventually(t, func() string { return tb.differs(between) })
	c.stop()
	m.states["c"] = old
	last := tell(t, p, "last")
	var second table
	c = start(t, connect(t, cluster), "c", m, &second, nil)
	eventually(t, func() string { return second.differs(last) })
	if said := second.differs(between); said != "" {
		t.Error(said)
	}
	if s := c.Stats(); s.LookedAgain == 0 || s.Gaps+s.Asked > 0 {
		t.Errorf("it counted %+v", s)
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
