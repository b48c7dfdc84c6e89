package scyllastate

import (
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// withEvents lets the keyspace of s have events.
func withEvents(tb testing.TB, s *Store) *Store {
	tb.Helper()
	if err := s.StartEvents(tb.Context()); err != nil {
		tb.Fatal(err)
	}
	return s
}

// TestEventsAreOfTheKeyspace shows that a keyspace has no events until one store starts
// them, and that every store that is opened then has them since that moment.
func TestEventsAreOfTheKeyspace(t *testing.T) {
	conf := testConfig(t)
	before := time.Now().Add(-time.Second)
	for range 2 { // opening starts none
		if since := openStore(t, conf).EventsSince(); !since.IsZero() {
			t.Fatalf("a new keyspace has events since %s", since)
		}
	}
	since := withEvents(t, openStore(t, conf)).EventsSince()
	if since.Before(before) || since.After(time.Now()) {
		t.Fatalf("it has events since %s", since)
	}
	other := openStore(t, conf)
	if got := other.EventsSince(); !got.Equal(since) {
		t.Errorf("the next store has events since %s, not %s", got, since)
	}
	if got := withEvents(t, other).EventsSince(); !got.Equal(since) {
		t.Errorf("when it starts them they are since %s, not %s", got, since)
	}
	tool, err := OpenExisting(t.Context(), conf)
	must(t, err)
	t.Cleanup(func() { _ = tool.Close() })
	if !tool.EventsSince().Equal(since) {
		t.Errorf("a tool has events since %s", tool.EventsSince())
	}
}

// TestEventsAtOnce lets stores start events at the same moment.
func TestEventsAtOnce(t *testing.T) {
	conf := testConfig(t)
	stores, got := make([]*Store, 4), make([]time.Time, 4)
	for i := range stores {
		stores[i] = openStore(t, conf)
	}
	var wg sync.WaitGroup
	for i, s := range stores {
		wg.Go(func() {
			if err := s.StartEvents(t.Context()); err != nil {
				t.Error(err)
			}
			got[i] = s.EventsSince()
		})
	}
	wg.Wait()
	for _, since := range got {
		if since.IsZero() || !since.Equal(got[0]) {
			t.Fatalf("they have events since %v", got)
		}
	}
}

// TestNothingIsWrittenWithoutEvents: a store without events has no rows of them, and
// says that they are off.
func TestNothingIsWrittenWithoutEvents(t *testing.T) {
	s := newTestStore(t)
	doEverything(t, s)
	if feeds := eventFeeds(t, s); len(feeds) > 0 {
		t.Errorf("there are rows in %q", feeds)
	}
	if _, err := s.OpenEvents(t.Context(), 0); !errors.Is(err, state.ErrEventsOff) {
		t.Errorf("OpenEvents: %v", err)
	}
	if err := s.ReadEvents(t.Context(), 0, time.Now(), time.Now(), func([]state.Event) error { return nil }); !errors.Is(err, state.ErrEventsOff) {
		t.Errorf("ReadEvents: %v", err)
	}
}

// doEverything does what there are events of.
func doEverything(t *testing.T, s *Store) {
	t.Helper()
	a, b := statetest.Peer("a"), statetest.Peer("b")
	pin := held("x", a)
	must(t, s.Add(t.Context(), pin))
	_, rev, err := s.GetVersion(t.Context(), pin.Cid)
	must(t, err)
	status := state.StatusEvent{Kind: state.EventPinned, Cid: pin.Cid, Peer: a, Rev: rev, Status: state.PlacementPinned, Size: 7}
	must(t, s.LogStatus(t.Context(), status))
	pin.Allocations[0] = b
	must(t, s.PutIf(state.WithCause(t.Context(), state.CauseMove), pin, rev))
	must(t, s.LogPeer(t.Context(), state.PeerEvent{Kind: state.EventPeerCame, ID: a, Name: "peer a", Incarnation: state.Incarnation{1}, At: time.Now()}))
	_, rev, err = s.GetVersion(t.Context(), pin.Cid)
	must(t, err)
	must(t, s.DeleteIf(state.WithCause(t.Context(), state.CauseExpiry), pin.Cid, rev))
	old, err := s.readRow(t.Context(), pin.Cid, gocql.Quorum)
	must(t, err)
	_, err = s.fence(t.Context(), pin.Cid, old)
	must(t, err)
}

// eventFeeds are the feeds of events with rows.
func eventFeeds(t *testing.T, s *Store) []string {
	t.Helper()
	var out []string
	iter := s.db.Session.Query("SELECT DISTINCT feed, slot FROM changes").Iter()
	var feed string
	var slot int64
	for iter.Scan(&feed, &slot) {
		if isEventFeed(feed) {
			out = append(out, feed)
		}
	}
	must(t, iter.Close())
	return out
}
