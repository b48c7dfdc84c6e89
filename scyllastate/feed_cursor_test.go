package scyllastate

import (
	"context"
	"errors"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestFeedWaitsForTheClock shows that a peer whose clock is wrong neither takes
// a position nor moves it: what lies before a position is never read again.
func TestFeedWaitsForTheClock(t *testing.T) {
	s := openQuick(t, testConfig(t))
	self := statetest.Peer("self")
	wrong := func(by time.Duration) {
		s.clock.mu.Lock()
		defer s.clock.mu.Unlock()
		s.clock.skew = by
	}
	wrong(time.Hour)
	ctx, cancel := context.WithTimeout(t.Context(), time.Second)
	defer cancel()
	var clockErr *ClockError
	if _, err := s.OpenFeed(ctx, self); !errors.As(err, &clockErr) {
		t.Fatalf("Feed = %v", err)
	}
	s.stop() // nobody measures from here on
	s.done.Wait()
	wrong(0)
	feed := openFeed(t, s, self)
	tail := newTail(feed, newDispatcher(feed, nil))
	feed.now = func() time.Time { return time.Now().Add(time.Hour) }
	wrong(time.Hour)
	for _, source := range tail.sources {
		source.next = time.Time{}
	}
	for range 2 {
		if _, err := tail.look(t.Context()); err != nil {
			t.Fatal(err)
		}
	}
	if p := tail.position(); !p.Equal(feed.position) {
		t.Errorf("a wrong clock moved the position by %s", p.Sub(feed.position))
	}
}

// TestFeedPositionInTheFuture: a clock was wrong when the cursor was written.
// All changes are read again, none is passed.
func TestFeedPositionInTheFuture(t *testing.T) {
	s := newTestStore(t)
	self := statetest.Peer("self")
	feed := openFeed(t, s, self)
	pin := held("a", self)
	must(t, s.Add(t.Context(), pin))
	must(t, feed.save(t.Context(), time.Now().Add(time.Hour)))
	again := openFeed(t, s, self)
	if back := time.Since(again.position); back < feedTTL-time.Minute {
		t.Errorf("the feed goes on %s back", back)
	}
}

// TestFeedMissed: a peer whose feed goes on where it was left has missed nothing. One
// that never read it, was away for longer than changes are kept, or had a wrong clock,
// may have.
func TestFeedMissed(t *testing.T) {
	s := openQuick(t, testConfig(t))
	self := statetest.Peer("self")
	for _, tt := range []struct {
		name string
		ago  time.Duration
		want bool
	}{{"never", 0, true}, {"now", 0, false}, {"just in time", feedTTL - time.Hour, false}, {"too late", feedTTL + time.Hour, true}, {"the future", -time.Hour, true}} {
		if tt.name != "never" {
			setCursor(t, s, self, time.Now().Add(-tt.ago))
		}
		feed := openFeed(t, s, self)
		if feed.Missed() != tt.want {
			t.Errorf("%s: changes were missed: %t", tt.name, feed.Missed())
		}
		must(t, feed.Compared(t.Context()))
	}
}

// TestMissedUntilCompared: what was missed is made up for by the process that has found
// it, or by the next one, wherever the cursor is by then. One that was replaced does not
// speak for the one that runs.
func TestMissedUntilCompared(t *testing.T) {
	s := openQuick(t, testConfig(t))
	self := statetest.Peer("self")
	opened := func(want bool, when string) *Feed {
		t.Helper()
		feed := openFeed(t, s, self)
		if feed.Missed() != want {
			t.Errorf("%s: changes were missed: %t", when, feed.Missed())
		}
		must(t, feed.save(t.Context(), s.now()))
		return feed
	}
	for _, ago := range []time.Duration{0, feedTTL + time.Hour, -time.Hour} {
		if ago != 0 { // else it was never read
			setCursor(t, s, self, time.Now().Add(-ago))
		}
		replaced := opened(true, "at first")
		opened(true, "after a restart")
		must(t, replaced.Compared(t.Context()))
		feed := opened(true, "after one that was replaced")
		if feed.Lagging() {
			t.Error("a peer that has yet to compare lags")
		}
		must(t, feed.Compared(t.Context()))
		must(t, feed.Compared(t.Context()))
		must(t, opened(false, "after the comparison").Compared(t.Context()))
	}
	opened(false, "at the end")
}

// TestFeedHasOneReader starts a second process with the same peer ID.
func TestFeedHasOneReader(t *testing.T) {
	conf := testConfig(t)
	self := statetest.Peer("self")
	one, two := openQuick(t, conf), openQuick(t, conf)
	feed := openFeed(t, one, self)
	ended := make(chan error, 1)
	go func() {
		ended <- feed.Consume(t.Context(), func(context.Context, state.Change) error { return nil })
	}()
	consume(t, two, self)
	must(t, two.Add(t.Context(), held("x", self))) // the first one has something to save
	select {
	case err := <-ended:
		if !errors.Is(err, ErrSuperseded) {
			t.Fatalf("the first reader ended with %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("the first reader goes on")
	}
}

// TestFeedOfPeerThatHasNotStarted: what was allocated to a peer before it first
// started, by an import for one, reaches it.
func TestFeedOfPeerThatHasNotStarted(t *testing.T) {
	s := newTestStore(t)
	id := statetest.Peer("not yet")
	pin := held("a", id)
	must(t, s.Add(t.Context(), pin))
	at, err := s.tables.readCursor(t.Context(), id.String(), id.String())
	must(t, err)
	if at.holder != nil || time.Since(at.position) > s.lim.window()+time.Minute {
		t.Fatalf("the cursor is %+v", at)
	}
	// Long ago, within the time for which changes are kept.
	was := at.position.Add(-10 * time.Minute)
	must(t, s.db.Session.Query("UPDATE cursors SET position = ? WHERE feed = ? AND consumer = ? IF incarnation = null", was, id.String(), id.String()).Exec())
	feed := openFeed(t, s, id)
	if feed.position.After(was.Add(time.Second)) {
		t.Errorf("the feed begins at %s, the first change is of %s", feed.position, was)
	}
	consumeFeed(t, feed, nil).wait(t, pin.Cid, &pin)
	if own := listOwn(t, s, id, state.Place{}); len(own) != 1 || own[0].Cid != pin.Cid {
		t.Errorf("the peer's own are %v", own)
	}
}
