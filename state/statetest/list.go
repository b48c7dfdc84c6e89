package statetest

import (
	"context"
	"errors"
	"fmt"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func listTests() []test {
	return []test{
		{"empty", testListEmpty},
		{"few", testListFew},
		{"many", testListMany},
	}
}

func testListEmpty(t *testing.T, s Suite) {
	store := s.New(t)
	for range 2 {
		wantPinset(t, store)
	}
	add(t, store, named("a", "a"))
	rm(t, store, Cid("a"))
	wantPinset(t, store)
}

// testListFew needs no reader: everything fits into the channel.
func testListFew(t *testing.T, s Suite) {
	store := s.New(t)
	const n = 5
	add(t, store, numbered(t, n)...)
	out := make(chan api.Pin, n+1)
	if err := wait(t, startList(t.Context(), store, out)); err != nil {
		t.Fatalf("List: %v", err)
	}
	if len(out) != n {
		t.Fatalf("List left %d pins in the channel: want %d", len(out), n)
	}
	read(t, out, n)
	if !isClosed(out) {
		t.Fatal("List returned and left the channel open")
	}
}

func testListMany(t *testing.T, s Suite) {
	store := s.New(t)
	pins := numbered(t, s.ManyPins)
	addMany(t, store, pins)
	want := make([]api.Pin, len(pins))
	for i, p := range pins {
		want[i] = asStored(t, p)
	}
	for _, test := range []struct {
		name string
		run  func(*testing.T, state.Store, []api.Pin)
	}{
		{"complete", testListComplete},
		{"cancelled before", testListCancelledBefore},
		{"cancelled while reading", testListCancelledWhileReading},
		{"cancelled while it waits", testListCancelledWhileWaiting},
	} {
		t.Run(test.name, func(t *testing.T) { test.run(t, store, want) })
	}
	// A listing that ended early must not have hurt the ones after it.
	wantPinset(t, store, want...)
}

func testListComplete(t *testing.T, store state.Store, want []api.Pin) {
	wantPinset(t, store, want...)
}

func testListCancelledBefore(t *testing.T, store state.Store, want []api.Pin) {
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	sent := 0
	err := list(ctx, t, store, func(api.Pin) { sent++ })
	wantCutShort(t, err, sent, len(want))
}

func testListCancelledWhileReading(t *testing.T, store state.Store, want []api.Pin) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	sent := 0
	err := list(ctx, t, store, func(api.Pin) {
		if sent++; sent == 3 {
			cancel()
		}
	})
	wantCutShort(t, err, sent, len(want))
}

// testListCancelledWhileWaiting stops reading, cancels, and then drains the
// channel. A reader that does not even drain is in RunStrict.
func testListCancelledWhileWaiting(t *testing.T, store state.Store, want []api.Pin) {
	ctx, cancel := context.WithCancel(t.Context())
	defer cancel()
	out := make(chan api.Pin)
	returned := startList(ctx, store, out)
	sent := read(t, out, 1)
	cancel()
	sent += read(t, out, len(want))
	wantCutShort(t, wait(t, returned), sent, len(want))
}

// wantCutShort judges a listing whose context was cancelled before the end.
func wantCutShort(t *testing.T, err error, sent, all int) {
	t.Helper()
	if err == nil {
		t.Fatalf("List returned nil after %d of %d pins: its reader takes that for the whole pinset", sent, all)
	}
	if !errors.Is(err, context.Canceled) {
		t.Fatalf("List was cancelled but its error is %q: want one that matches context.Canceled", err)
	}
	if sent >= all {
		t.Fatalf("List went on to send all %d pins after its context was cancelled", all)
	}
}

// numbered returns n pins that differ in CID and name.
func numbered(t *testing.T, n int) []api.Pin {
	t.Helper()
	pins := make([]api.Pin, n)
	for i := range pins {
		pins[i] = named(fmt.Sprint("numbered ", i), fmt.Sprint("pin ", i))
	}
	return pins
}
