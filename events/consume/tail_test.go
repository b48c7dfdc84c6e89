package consume_test

import (
	"context"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

// encoded is an event as it is published.
func encoded(tb testing.TB, e events.Event) bus.Message {
	tb.Helper()
	data, err := e.Encode()
	must(tb, err)
	return bus.Message{ID: e.ID(), At: e.Time(), Data: data}
}

// TestToldAgain: what an operator has told again is handled again, in the same version, but
// nothing that is older than what was handled.
func TestToldAgain(t *testing.T) {
	b := connect(t, natstest.Start(t, 1))
	old, last := pinEvent("a", false), pinEvent("a", true)
	p := b.NewPublisher(3, 1, time.Now().Add(-time.Hour))
	must(t, p.Publish(t.Context(), []bus.Message{encoded(t, old), encoded(t, last)}, time.Now()))
	tb := new(table)
	start(t, b, "again", new(memory), tb, nil)
	calls := func(calls, again, older int) {
		t.Helper()
		eventually(t, func() string {
			tb.mu.Lock()
			defer tb.mu.Unlock()
			if tb.calls < calls {
				return "it was not handled"
			}
			return ""
		})
		tb.mu.Lock()
		defer tb.mu.Unlock()
		if tb.calls != calls || tb.again != again || tb.older != older {
			t.Errorf("%d calls, %d with the same version, %d with an older one; want %d, %d and %d", tb.calls, tb.again, tb.older, calls, again, older)
		}
	}
	calls(2, 0, 0)
	must(t, b.Again(t.Context(), 3, []bus.Message{encoded(t, old), encoded(t, last)}))
	calls(3, 1, 0)
	must(t, b.Again(t.Context(), 3, []bus.Message{encoded(t, last)}))
	calls(4, 2, 0)
}

// TestTail: who watches sees what is told from then on, or from a time on, and is told of
// what is not an event.
func TestTail(t *testing.T) {
	b := connect(t, natstest.Start(t, 1))
	if err := consume.Tail(t.Context(), b, time.Time{}, nil); err == nil || !strings.Contains(err.Error(), "there is no stream ipfs-cluster-events") {
		t.Errorf("without a stream: %v", err)
	}
	began := time.Now().Add(-time.Minute)
	p := b.NewPublisher(3, 1, began)
	first, second, third := pinEvent("a", false), pinEvent("b", false), pinEvent("c", false)
	must(t, p.Publish(t.Context(), []bus.Message{encoded(t, first)}, time.Now()))
	must(t, p.Manifest(t.Context()))
	_, err := b.JetStream().Publish(t.Context(), b.Subject(3), []byte("nonsense"))
	must(t, err)
	must(t, b.Again(t.Context(), 4, []bus.Message{encoded(t, second)}))
	var seen []string
	wrong := 0
	must(t, consume.Tail(t.Context(), b, began, func(e events.Event, data []byte, err error) bool {
		if err != nil {
			wrong++
			return true
		}
		if again, err := e.Encode(); err != nil || string(again) != string(data) {
			t.Errorf("it has %s", data)
		}
		seen = append(seen, e.Subject())
		return len(seen) < 2
	}))
	if strings.Join(seen, " ") != "a b" || wrong != 1 {
		t.Errorf("seen %v and %d messages that are not events", seen, wrong)
	}

	ctx, cancel := context.WithTimeout(t.Context(), patience)
	defer cancel()
	now := make(chan string, 1)
	ended := make(chan error, 1)
	go func() {
		ended <- consume.Tail(ctx, b, time.Time{}, func(e events.Event, _ []byte, _ error) bool {
			now <- e.Subject()
			return false
		})
	}()
	for done := false; !done; { // it may not watch yet
		must(t, p.Publish(ctx, []bus.Message{encoded(t, third)}, time.Now()))
		select {
		case got := <-now:
			if got != "c" {
				t.Errorf("from now on it has seen %s", got)
			}
			done = true
		case <-time.After(50 * time.Millisecond):
		}
	}
	must(t, <-ended)
	cancel()
	if err := consume.Tail(ctx, b, time.Time{}, nil); err == nil {
		t.Error("it does not end with its context")
	}
}
