package scyllastate

import (
	"errors"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"
	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// withEventsOn is a configuration that has events.
func withEventsOn(conf *Config) *Config {
	c := *conf
	c.Events = true
	return &c
}

// TestEventsAreOfTheKeyspace shows that a keyspace has no events until the first store
// with them opens it, that every store that is opened then has them since that moment,
// and that one that is not configured so says it.
func TestEventsAreOfTheKeyspace(t *testing.T) {
	conf := testConfig(t)
	warnings(t)
	before := time.Now().Add(-time.Second)
	var without *Store
	if told := logtest.During(t, logging.LevelWarn, func() { without = openStore(t, conf) }); strings.Contains(told, "events") {
		t.Errorf("a store without events says:\n%s", told)
	}
	if since := without.EventsSince(); !since.IsZero() {
		t.Fatalf("a new keyspace has events since %s", since)
	}
	since := openStore(t, withEventsOn(conf)).EventsSince()
	if since.Before(before) || since.After(time.Now()) {
		t.Fatalf("it has events since %s", since)
	}
	if told := logtest.During(t, logging.LevelWarn, func() {
		if again := openStore(t, withEventsOn(conf)).EventsSince(); !again.Equal(since) {
			t.Errorf("the next store has events since %s, not %s", again, since)
		}
	}); strings.Contains(told, "events") {
		t.Errorf("a store that is to have events says:\n%s", told)
	}
	told := logtest.During(t, logging.LevelWarn, func() {
		if other := openStore(t, conf).EventsSince(); !other.Equal(since) {
			t.Errorf("a store that is configured without has events since %s", other)
		}
	})
	if want := "this process writes theirs, although it is not configured to have any"; strings.Count(told, want) != 1 {
		t.Errorf("the log lacks %q:\n%s", want, told)
	}
	tool, err := OpenExisting(t.Context(), conf)
	must(t, err)
	t.Cleanup(func() { _ = tool.Close() })
	if !tool.EventsSince().Equal(since) {
		t.Errorf("a tool has events since %s", tool.EventsSince())
	}
}

// TestEventsAtOnce lets stores make events at the same moment.
func TestEventsAtOnce(t *testing.T) {
	conf := withEventsOn(testConfig(t))
	got := make([]time.Time, 4)
	var wg sync.WaitGroup
	for i := range got {
		wg.Go(func() {
			s, err := Open(t.Context(), conf)
			if err != nil {
				t.Error(err)
				return
			}
			got[i] = s.EventsSince()
			if err := s.Close(); err != nil {
				t.Error(err)
			}
		})
	}
	wg.Wait()
	for _, since := range got[1:] {
		if !since.Equal(got[0]) {
			t.Errorf("they have events since %v", got)
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
