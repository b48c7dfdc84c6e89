package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// recorder remembers the changes that a feed delivers.
type recorder struct {
	mu   sync.Mutex
	last map[api.Cid]*api.Pin
	n    map[api.Cid]int
	// fail is asked before a change counts; it may be nil.
	fail func(state.Change) error
	stop func() error
}

// consume reads the feed of a peer until the test ends or stop is called.
func consume(t *testing.T, s *Store, id peer.ID) *recorder {
	t.Helper()
	return consumeFailing(t, s, id, nil)
}

func consumeFailing(t *testing.T, s *Store, id peer.ID, fail func(state.Change) error) *recorder {
	t.Helper()
	return consumeFeed(t, openFeed(t, s, id), fail)
}

func openFeed(t *testing.T, s *Store, id peer.ID) *Feed {
	t.Helper()
	feed, err := s.OpenFeed(t.Context(), id)
	must(t, err)
	return feed.(*Feed)
}

func consumeFeed(t *testing.T, feed *Feed, fail func(state.Change) error) *recorder {
	t.Helper()
	r := &recorder{last: make(map[api.Cid]*api.Pin), n: make(map[api.Cid]int), fail: fail}
	ctx, cancel := context.WithCancel(context.Background())
	done := make(chan error, 1)
	go func() { done <- feed.Consume(ctx, r.handle) }()
	var once sync.Once
	var err error
	r.stop = func() error {
		once.Do(func() {
			cancel()
			err = <-done
		})
		return err
	}
	t.Cleanup(func() { _ = r.stop() })
	return r
}

func (r *recorder) handle(_ context.Context, ch state.Change) error {
	if r.fail != nil {
		if err := r.fail(ch); err != nil {
			return err
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.last[ch.Cid] = ch.Pin
	r.n[ch.Cid]++
	return nil
}

func (r *recorder) seen(c api.Cid) (*api.Pin, int) {
	r.mu.Lock()
	defer r.mu.Unlock()
	return r.last[c], r.n[c]
}

// wait until the newest delivery for c shows want.
func (r *recorder) wait(t *testing.T, c api.Cid, want *api.Pin) {
	t.Helper()
	waitFor(t, fmt.Sprintf("the change of %s", c), func() bool {
		got, n := r.seen(c)
		if n == 0 || (got == nil) != (want == nil) {
			return false
		}
		return want == nil || got.Name == want.Name
	})
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

// TestFeedTellsWhoMustKnow shows that a change reaches the peers that hold the
// pin before or after it, and nobody else.
func TestFeedTellsWhoMustKnow(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	a, b, other := statetest.Peer("a"), statetest.Peer("b"), statetest.Peer("other")
	atA, atB, atOther := consume(t, s, a), consume(t, s, b), consume(t, s, other)

	pin := held("x", a)
	must(t, s.Add(ctx, pin))
	atA.wait(t, pin.Cid, &pin)

	moved := held("x", b)
	moved.Name = "moved"
	must(t, s.Add(ctx, moved))
	atA.wait(t, pin.Cid, &moved) // it holds the pin no more and must let go of it
	atB.wait(t, pin.Cid, &moved)

	must(t, s.Rm(ctx, pin.Cid))
	atB.wait(t, pin.Cid, nil)

	everywhere := api.PinWithOpts(statetest.Cid("everywhere"), api.PinOptions{ReplicationFactorMin: -1, ReplicationFactorMax: -1, Name: "everywhere"})
	must(t, s.Add(ctx, everywhere))
	for _, r := range []*recorder{atA, atB, atOther} {
		r.wait(t, everywhere.Cid, &everywhere)
	}
	if _, n := atOther.seen(pin.Cid); n > 0 {
		t.Errorf("a peer that never held %s was told %d times", pin.Cid, n)
	}
}

// TestFeedGoesOnWhereItWasLeft shows that changes made while nobody reads are
// delivered later, and that a delivery that failed comes again, also to the
// next process.
func TestFeedGoesOnWhereItWasLeft(t *testing.T) {
	conf := testConfig(t)
	self := statetest.Peer("self")
	first := openStore(t, conf)
	ctx := t.Context()
	stuck := held("stuck", self)
	asked := make(chan struct{}, 1)
	r := consumeFailing(t, first, self, func(ch state.Change) error {
		if ch.Cid == stuck.Cid {
			select {
			case asked <- struct{}{}:
			default:
			}
			return errors.New("not now")
		}
		return nil
	})
	before := held("before", self)
	must(t, first.Add(ctx, stuck))
	must(t, first.Add(ctx, before))
	r.wait(t, before.Cid, &before)
	<-asked
	<-asked // it was asked for again
	if err := r.stop(); !errors.Is(err, context.Canceled) {
		t.Fatalf("Consume ended with %v", err)
	}

	between := held("between", self)
	must(t, first.Add(ctx, between))
	again := consume(t, openStore(t, conf), self)
	again.wait(t, stuck.Cid, &stuck)
	again.wait(t, between.Cid, &between)
}

// TestFeedCursorStaysBehindOpenChanges shows that neither a failing nor a
// pending change is passed by the cursor, however long the reader goes on.
func TestFeedCursorStaysBehindOpenChanges(t *testing.T) {
	conf := testConfig(t)
	s := openQuick(t, conf)
	self := statetest.Peer("self")
	stuck, fine := held("stuck", self), held("fine", self)
	feed := openFeed(t, s, self)
	r := consumeFeed(t, feed, func(ch state.Change) error {
		if ch.Cid == stuck.Cid {
			return errors.New("not now")
		}
		return nil
	})
	must(t, s.Add(t.Context(), stuck))
	var open time.Time
	must(t, s.db.Session.Query("SELECT toTimestamp(MIN(at)) FROM changes WHERE feed = ? AND slot IN (?, ?)",
		self.String(), slotOf(time.Now())-1, slotOf(time.Now())).Scan(&open))
	must(t, s.Add(t.Context(), fine))
	r.wait(t, fine.Cid, &fine)
	// The cursor comes up to the open change and stays there.
	waitFor(t, "the cursor to come up to the open change", func() bool {
		at, err := s.tables.readCursor(t.Context(), feed.name, feed.name)
		must(t, err)
		position := at.position
		if position.After(open) {
			t.Fatalf("the cursor (%s) passed an open change (%s)", position, open)
		}
		return open.Sub(position) < 100*time.Millisecond
	})
}

// TestFeedFindsLateRows puts a row into the feed with a time that lies well
// behind the newest one, as a slow append or a slow clock does.
func TestFeedFindsLateRows(t *testing.T) {
	s := newTestStore(t)
	self := statetest.Peer("self")
	late, fine := held("late", self), held("fine", self)
	// The pin is there already, and its own feed row is not.
	must(t, s.Add(t.Context(), late))
	must(t, s.db.Session.Query("TRUNCATE changes").Exec())
	feed := openFeed(t, s, self)
	r := consumeFeed(t, feed, nil)
	must(t, s.Add(t.Context(), fine))
	r.wait(t, fine.Cid, &fine)

	at := time.Now().Add(-s.lim.writeDeadline)
	if at.Before(feed.position) {
		at = feed.position.Add(time.Millisecond)
	}
	must(t, s.db.Session.Query(s.tables.(*cqlTables).insert, values(intent{
		Feed: self.String(), Cid: late.Cid.Bytes(), Rev: newUUID(at), Kind: kindPin,
	}, slotOf(at), at)...).Exec())
	r.wait(t, late.Cid, &late)
}

// TestFeedAfterLongAbsence leaves changes in slots of some hours.
func TestFeedAfterLongAbsence(t *testing.T) {
	conf := testConfig(t)
	s := openStore(t, conf)
	self := statetest.Peer("self")
	feed := openFeed(t, s, self)
	absent := 3 * time.Hour
	must(t, feed.save(t.Context(), time.Now().Add(-absent)))
	var pins []api.Pin
	for i := range 12 {
		pin := held(fmt.Sprint("pin", i), self)
		must(t, s.Add(t.Context(), pin))
		pins = append(pins, pin)
	}
	must(t, s.db.Session.Query("TRUNCATE changes").Exec())
	for i, pin := range pins {
		at := time.Now().Add(-absent + time.Duration(i+1)*absent/14)
		must(t, s.db.Session.Query(s.tables.(*cqlTables).insert, values(intent{
			Feed: self.String(), Cid: pin.Cid.Bytes(), Rev: newUUID(at), Kind: kindPin,
		}, slotOf(at), at)...).Exec())
	}
	r := consume(t, s, self)
	for _, pin := range pins {
		r.wait(t, pin.Cid, &pin)
	}
}

// TestFeedPassesUnreadableRows shows that a row which cannot be decoded holds up
// neither other changes nor the cursor, and that its repair is delivered.
func TestFeedPassesUnreadableRows(t *testing.T) {
	s := openQuick(t, testConfig(t))
	self := statetest.Peer("self")
	broken, fine := held("broken", self), held("fine", self)
	feed := openFeed(t, s, self)
	must(t, s.Add(t.Context(), broken))
	corrupt(t, s, broken.Cid)
	r := consumeFeed(t, feed, nil)
	must(t, s.Add(t.Context(), fine))
	r.wait(t, fine.Cid, &fine)
	written := time.Now()
	waitFor(t, "the cursor to pass", func() bool {
		at, err := s.tables.readCursor(t.Context(), feed.name, feed.name)
		must(t, err)
		position := at.position
		return position.After(written)
	})
	if _, n := r.seen(broken.Cid); n > 0 {
		t.Error("a pin that cannot be read was delivered")
	}
	must(t, s.Add(t.Context(), broken))
	r.wait(t, broken.Cid, &broken)
}

// TestFeedDoesNotWaitForOthersWork shows that changes whose work goes on
// elsewhere, however many, do not hold up the next one.
func TestFeedDoesNotWaitForOthersWork(t *testing.T) {
	s := newTestStore(t)
	self := statetest.Peer("self")
	slow := make(map[api.Cid]bool)
	batch := s.Batching()
	for i := range 4 * feedWorkers {
		pin := held(fmt.Sprint("slow", i), self)
		slow[pin.Cid] = true
		must(t, batch.Add(t.Context(), pin))
	}
	var mu sync.Mutex
	asked := make(map[api.Cid]bool)
	free := false
	r := consumeFailing(t, s, self, func(ch state.Change) error {
		mu.Lock()
		defer mu.Unlock()
		asked[ch.Cid] = true
		if slow[ch.Cid] && !free {
			return state.ErrNotYet
		}
		return nil
	})
	must(t, batch.Commit(t.Context()))
	waitFor(t, "all to be asked", func() bool {
		mu.Lock()
		defer mu.Unlock()
		return len(asked) == len(slow)
	})
	fine := held("fine", self)
	must(t, s.Add(t.Context(), fine))
	r.wait(t, fine.Cid, &fine)
	mu.Lock()
	free = true
	mu.Unlock()
	for c := range slow {
		waitFor(t, "the slow ones", func() bool {
			_, n := r.seen(c)
			return n > 0
		})
	}
}
