package membership

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// teller remembers what peers tell.
type teller struct {
	mu     sync.Mutex
	told   []string
	events []state.PeerEvent
	fails  bool
}

// by is the Tell of one peer.
func (l *teller) by(id peer.ID) func(context.Context, state.PeerEvent) error {
	return func(_ context.Context, e state.PeerEvent) error {
		l.mu.Lock()
		defer l.mu.Unlock()
		if l.fails {
			return errors.New("nobody listens")
		}
		what := map[state.EventKind]string{state.EventPeerCame: "came", state.EventPeerDied: "died", state.EventPeerLeft: "left"}[e.Kind]
		l.told = append(l.told, fmt.Sprint(string(e.ID), " ", what))
		l.events = append(l.events, e)
		return nil
	}
}

func (l *teller) fail(fails bool) {
	l.mu.Lock()
	defer l.mu.Unlock()
	l.fails = fails
}

// since is what was told since the last call, in some order.
func (l *teller) since() []string {
	l.mu.Lock()
	defer l.mu.Unlock()
	told := slices.Sorted(slices.Values(l.told))
	l.told = nil
	return told
}

// want checks what was told since the last call.
func (l *teller) want(t *testing.T, want ...string) {
	t.Helper()
	if told := l.since(); !slices.Equal(told, want) {
		t.Errorf("told %q, want %q", told, want)
	}
}

// of is what was told last of a peer.
func (l *teller) of(id peer.ID) (last state.PeerEvent) {
	l.mu.Lock()
	defer l.mu.Unlock()
	for _, e := range l.events {
		if e.ID == id {
			last = e
		}
	}
	return last
}

func startTelling(t *testing.T, db *table, l *teller, id peer.ID) *Monitor {
	t.Helper()
	opts := options(db, id)
	opts.Tell = l.by(id)
	return startPeer(t, opts)
}

// TestPeersAreTold: that a peer has come, died, come back and left is told once each.
func TestPeersAreTold(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		l := &teller{}
		startTelling(t, db, l, "A")
		b := startTelling(t, db, l, "B")
		startTelling(t, db, l, "C")
		after(settled)
		l.want(t, "A came", "B came", "C came")
		if e := l.of("B"); e.Name != "name-B" || e.Incarnation != b.incarnation || e.At.IsZero() {
			t.Errorf("told %+v", e)
		}
		stop(t, b)
		after(2 * settled)
		l.want(t, "B died")
		if e := l.of("B"); e.Kind != state.EventPeerDied || e.Name != "name-B" || e.Incarnation != b.incarnation || time.Since(e.At) > 2*settled {
			t.Errorf("told %+v", e)
		}
		after(time.Hour)
		l.want(t)
		b = startTelling(t, db, l, "B")
		after(settled)
		c := db.row("C").Incarnation
		// Also by the one who has told of its death.
		if told := l.since(); len(told) > 2 || !slices.Equal(slices.Compact(slices.Clone(told)), []string{"B came"}) {
			t.Errorf("told %q", told)
		}
		if err := b.Remove(t.Context(), "C"); err != nil {
			t.Fatal(err)
		}
		after(settled)
		l.want(t, "C left")
		if e := l.of("C"); e.Name != "name-C" || e.Incarnation != c {
			t.Errorf("told %+v, and %s was removed", e, c)
		}
		after(time.Hour)
		l.want(t)
	})
}

// TestReturnIsTold: a process that others took for dead, as its heartbeats did not come,
// has come again when they do.
func TestReturnIsTold(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		l := &teller{}
		startTelling(t, db, l, "A")
		after(settled)
		db.edit("B", func(m *state.Member) { *m = holder("B") })
		after(settled)
		l.want(t, "A came")
		after(2 * settled)
		l.want(t, "B died")
		db.edit("B", func(m *state.Member) { m.Beat++ })
		after(interval)
		after(interval)
		l.want(t, "B came")
	})
}

// TestDeathsAreToldByOthers: where the one dies that was to tell of a death, another does.
func TestDeathsAreToldByOthers(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		l := &teller{}
		a, b := startTelling(t, db, l, "A"), startTelling(t, db, l, "B")
		startTelling(t, db, l, "C")
		after(settled)
		l.since()
		stop(t, a)
		stop(t, b)
		after(3 * settled)
		l.want(t, "A died", "B died")
	})
}

// TestRemovalsAreToldOnceMade: a removal that was not written is not told, and one is whose
// writer has died right after it.
func TestRemovalsAreToldOnceMade(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		l := &teller{}
		a := startTelling(t, db, l, "A")
		startTelling(t, db, l, "B")
		startTelling(t, db, l, "C")
		after(settled)
		l.since()
		db.set(func(db *table) { db.putErr = errDown })
		if err := a.Remove(t.Context(), "C"); err == nil {
			t.Fatal("a peer was removed without the database")
		}
		db.set(func(db *table) { db.putErr = nil })
		after(settled)
		l.want(t)
		db.edit("C", func(m *state.Member) {
			if err := markRemoved(m); err != nil {
				t.Error(err)
			}
		})
		after(settled)
		l.want(t, "C left")
	})
}

// TestPeersAreToldLater: what cannot be told is told when it can, as it is then.
func TestPeersAreToldLater(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		l := &teller{fails: true}
		a := startTelling(t, db, l, "A")
		b := startTelling(t, db, l, "B")
		c := startTelling(t, db, l, "C")
		after(settled)
		if err := a.Remove(t.Context(), "C"); err != nil {
			t.Fatal(err)
		}
		wantPeers(t, a, "A", "B")
		stop(t, c)
		stop(t, b)
		after(2 * settled)
		l.want(t)
		l.fail(false)
		after(settled)
		l.want(t, "A came", "B died", "C left")
	})
}
