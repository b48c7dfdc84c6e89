package scyllastate

import (
	"bytes"
	"context"
	"errors"
	"fmt"
	"slices"
	"sync/atomic"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"
	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// ownPins returns what ListOwn sends, by CID.
func ownPins(t *testing.T, s *Store, p peer.ID) map[api.Cid]api.Pin {
	t.Helper()
	out := make(chan api.Pin)
	done := make(chan error, 1)
	go func() { done <- s.ListOwn(t.Context(), p, out) }()
	got := make(map[api.Cid]api.Pin)
	for pin := range out {
		if _, twice := got[pin.Cid]; twice {
			t.Errorf("%s was sent twice", pin.Cid)
		}
		got[pin.Cid] = pin
	}
	must(t, <-done)
	return got
}

func wantOwn(t *testing.T, s *Store, what string, p peer.ID, want ...api.Pin) {
	t.Helper()
	got := ownPins(t, s, p)
	for _, pin := range want {
		sent, ok := got[pin.Cid]
		if !ok || sent.Name != pin.Name {
			t.Errorf("%s: the pin %q was sent: %t, as %q", what, pin.Name, ok, sent.Name)
		}
		delete(got, pin.Cid)
	}
	for _, pin := range got {
		t.Errorf("%s: the pin %q was sent", what, pin.Name)
	}
}

// place writes what peer p does with a pin.
func place(t *testing.T, s *Store, p peer.ID, pin api.Pin, status state.PlacementStatus) {
	t.Helper()
	must(t, s.PutPlacement(t.Context(), p, state.Placement{Cid: pin.Cid, Status: status}))
}

// setCursor says that peer p has done all changes up to a time.
func setCursor(t *testing.T, s *Store, p peer.ID, at time.Time) {
	t.Helper()
	must(t, s.db.Session.Query("UPDATE cursors SET position = ?, incarnation = uuid() WHERE feed = ? AND consumer = ?", at, p.String(), p.String()).Exec())
}

// TestListOwn finds pins in each of the ways there are, and in several at once.
func TestListOwn(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	a, b, idle := statetest.Peer("a"), statetest.Peer("b"), statetest.Peer("idle")

	// What a has done long ago is only in its placements.
	placed, shared, leaving, moved, gone := held("placed", a), held("shared", b, a), held("leaving", a), held("moved", b), held("gone", a)
	meta := held("meta", a)
	meta.Type = api.MetaType
	all := everywherePin(statetest.Cid("all"))
	meta2 := everywherePin(statetest.Cid("meta2"))
	meta2.Type = api.MetaType
	for _, pin := range []api.Pin{placed, shared, leaving, moved, meta, all, meta2} {
		must(t, s.Add(ctx, pin))
	}
	must(t, s.db.Session.Query("TRUNCATE changes").Exec()) // all is done
	place(t, s, a, placed, state.PlacementPinned)
	place(t, s, a, shared, state.PlacementPinError)
	place(t, s, b, shared, state.PlacementPinned)
	place(t, s, a, leaving, state.PlacementUnpinning) // and pinned again since
	place(t, s, a, moved, state.PlacementUnpinError)
	place(t, s, b, moved, state.PlacementPinned)
	place(t, s, a, gone, state.PlacementUnpinning)
	place(t, s, a, meta, state.PlacementPinned)
	place(t, s, a, all, state.PlacementPinned)

	// What has just been written is in no placement.
	for _, p := range []peer.ID{a, b, idle} {
		setCursor(t, s, p, time.Now().Add(-s.lim.window()))
	}
	changed, both, taken := held("changed", a), held("placed", a), held("taken", a)
	both.Name = "placed, and changed"
	fresh := everywherePin(statetest.Cid("fresh"))
	place(t, s, a, fresh, state.PlacementQueued) // in all three ways
	for _, pin := range []api.Pin{changed, both, taken, fresh} {
		must(t, s.Add(ctx, pin))
	}
	moved2 := held("taken", b)
	must(t, s.Add(ctx, moved2))
	wantOwn(t, s, "a peer", a, both, shared, leaving, all, changed, fresh)
	wantOwn(t, s, "another", b, shared, moved, all, moved2, fresh)
	wantOwn(t, s, "a peer that holds nothing yet", idle, all, fresh)
	// A pin of every peer whose row in everywhere is missing is in the feeds.
	must(t, s.db.Session.Query("TRUNCATE everywhere").Exec())
	wantOwn(t, s, "without the list of pins of every peer", idle, fresh)
}

// TestListOwnWhilePeerWorks lets the peer do a change while its pins are listed:
// the pin leaves the changes that it has not done, and is among its placements.
func TestListOwnWhilePeerWorks(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	a, pin := statetest.Peer("a"), held("x", statetest.Peer("a"))
	setCursor(t, s, a, time.Now().Add(-s.lim.window()))
	must(t, s.Add(ctx, pin))
	plain := s.tables
	s.tables = actingTables{plain, func() {
		s.tables = plain
		place(t, s, a, pin, state.PlacementQueued)
		setCursor(t, s, a, time.Now().Add(s.lim.skew()))
	}}
	wantOwn(t, s, "done meanwhile", a, pin)
}

// actingTables calls before when a cursor is read.
type actingTables struct {
	tables
	before func()
}

func (a actingTables) readCursor(ctx context.Context, feed, consumer string) (cursor, error) {
	a.before()
	return a.tables.readCursor(ctx, feed, consumer)
}

// TestListOwnAwayForLong finds what was written since a peer stopped, which is
// not so long ago that the changes have run out.
func TestListOwnAwayForLong(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	a := statetest.Peer("a")
	now := time.Now()
	setCursor(t, s, a, now.Add(-3*time.Hour))
	ages := []time.Duration{2 * time.Hour, time.Hour, time.Minute, 0, 4 * time.Hour}
	var pins []api.Pin
	for i := range ages {
		pins = append(pins, held(fmt.Sprint("pin ", i), a))
		must(t, s.Add(ctx, pins[i]))
	}
	must(t, s.db.Session.Query("TRUNCATE changes").Exec())
	for i, age := range ages { // as if they had been written then
		at := now.Add(-age)
		must(t, s.tables.appendChanges(ctx, []intent{{Feed: a.String(), Cid: pins[i].Cid.Bytes(), Rev: newUUID(at), Kind: kindPin}}, at))
	}
	last := len(pins) - 1 // it has done that one, and let go of it
	wantOwn(t, s, "away for three hours", a, pins[:last]...)
}

// TestListOwnErrors shows that a listing which is not whole is an error, and
// ends when its reader leaves.
func TestListOwnErrors(t *testing.T) {
	s := newTestStore(t)
	a := statetest.Peer("a")
	var pins []api.Pin
	for i := range 40 {
		pins = append(pins, held(fmt.Sprint(i), a))
		must(t, s.Add(t.Context(), pins[i]))
		place(t, s, a, pins[i], state.PlacementPinned)
	}
	ctx, leave := context.WithCancel(t.Context())
	out := make(chan api.Pin)
	done := make(chan error, 1)
	go func() { done <- s.ListOwn(ctx, a, out) }()
	<-out
	leave()
	if err := <-done; !errors.Is(err, context.Canceled) {
		t.Errorf("the reader left: %v", err)
	}
	for range out { // closed, or this does not end
	}
	out = make(chan api.Pin, len(pins))
	if err := s.ListOwn(ctx, a, out); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	for range out {
	}

	// It must not wait for a reader who left while a pin was read.
	plain := s.tables
	s.tables = patientTables{plain}
	go func() { done <- s.sendOwn(ctx, a, pins[0].Cid.Bytes(), make(chan api.Pin)) }()
	select {
	case err := <-done:
		if !errors.Is(err, context.Canceled) {
			t.Errorf("the reader left while a pin was read: %v", err)
		}
	case <-time.After(30 * time.Second):
		t.Fatal("waits for a reader who left")
	}
	s.tables = plain

	corrupt(t, s, pins[7].Cid)
	out = make(chan api.Pin, len(pins))
	if err := s.ListOwn(t.Context(), a, out); err != nil || len(out) != len(pins)-1 {
		t.Errorf("with a pin that cannot be decoded: %v, %d pins, want the other %d", err, len(out), len(pins)-1)
	}
	for range out {
	}
	s.db.Close()
	s.tables = idleFeeds{plain}
	out = make(chan api.Pin, len(pins))
	if err := s.ListOwn(t.Context(), a, out); !errors.Is(err, gocql.ErrSessionClosed) {
		t.Errorf("without a database: %v", err)
	}
	for range out {
	}
}

// patientTables read a pin whatever has become of the context.
type patientTables struct{ tables }

func (p patientTables) readPin(ctx context.Context, c api.Cid, cons gocql.Consistency) (row, error) {
	return p.tables.readPin(context.WithoutCancel(ctx), c, cons)
}

// idleFeeds have no changes.
type idleFeeds struct{ tables }

func (idleFeeds) readCursor(context.Context, string, string) (cursor, error) { return cursor{}, nil }

func (idleFeeds) readChanges(context.Context, string, int64, time.Time, time.Time, func(changeRow) error) error {
	return nil
}

// TestListOwnCost lists 50 pins among 20,000 of others, and looks at no pin of
// theirs.
func TestListOwnCost(t *testing.T) {
	s := newTestStore(t)
	a := statetest.Peer("a")
	others := []peer.ID{statetest.Peer("b"), statetest.Peer("c")}
	var g errgroup.Group
	g.SetLimit(64)
	for i := range 4_000 {
		g.Go(func() error {
			pin := held(fmt.Sprint("other ", i), others[i%2])
			next, err := encodePin(pin)
			if err != nil {
				return err
			}
			// What a write leaves, without its ballot: this is about reading.
			err = s.db.Session.Query("UPDATE pins SET rev = ?, pin = ?, rf_min = 1, rf_max = 1 WHERE cid = ?", newUUID(time.Now()), next.value, pin.Cid.Bytes()).Exec()
			if err != nil {
				return err
			}
			return s.PutPlacement(context.Background(), others[i%2], state.Placement{Cid: pin.Cid, Status: state.PlacementPinned})
		})
	}
	must(t, g.Wait())
	var want []api.Pin
	for i := range 50 {
		pin := held(fmt.Sprint("own ", i), a)
		if i < 10 {
			pin = everywherePin(pin.Cid)
		}
		want = append(want, pin)
		must(t, s.Add(t.Context(), pin))
		if i >= 5 {
			place(t, s, a, pin, state.PlacementPinned)
		}
	}
	var pins, changes atomic.Int32
	s.tables = countingTables{s.tables, &pins, &changes}
	start := time.Now()
	wantOwn(t, s, "among those of others", a, want...)
	t.Logf("%d pins in %s, with %d reads of pins and %d of changes", len(want), time.Since(start).Round(time.Millisecond), pins.Load(), changes.Load())
	if n := pins.Load(); n != int32(len(want)) {
		t.Errorf("%d pins were read, want %d", n, len(want))
	}
	if n := changes.Load(); n > 2*5 {
		t.Errorf("%d slots of feeds were read", n)
	}
}

// countingTables counts the requests for pins and changes.
type countingTables struct {
	tables
	pins, changes *atomic.Int32
}

func (c countingTables) readPin(ctx context.Context, id api.Cid, cons gocql.Consistency) (row, error) {
	c.pins.Add(1)
	return c.tables.readPin(ctx, id, cons)
}

func (c countingTables) readChanges(ctx context.Context, feed string, slot int64, after, upTo time.Time, f func(changeRow) error) error {
	c.changes.Add(1)
	return c.tables.readChanges(ctx, feed, slot, after, upTo, f)
}

// TestMerge shows that every key of sorted sources comes once and in order.
func TestMerge(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		all := make(map[string]bool)
		var sources []func() []byte
		for range rapid.IntRange(0, 4).Draw(t, "sources") {
			texts := rapid.SliceOf(rapid.StringN(1, 3, 6)).Draw(t, "keys")
			slices.Sort(texts)
			var keys [][]byte
			for _, text := range texts {
				all[text] = true
				keys = append(keys, []byte(text))
			}
			sources = append(sources, sliceKeys(keys))
		}
		last := ""
		err := merge(func(key []byte) error {
			if string(key) <= last || !all[string(key)] {
				t.Fatalf("%q comes after %q", key, last)
			}
			last = string(key)
			delete(all, last)
			return nil
		}, sources...)
		if err != nil || len(all) > 0 {
			t.Fatalf("%d keys are missing, %v", len(all), err)
		}
	})
	var got [][]byte
	must(t, merge(func(key []byte) error {
		got = append(got, key)
		return nil
	}, sliceKeys([][]byte{{1}, {1}, {3}}), sliceKeys(nil), sliceKeys([][]byte{{1}, {2, 0}, {3}, {3}})))
	if want := [][]byte{{1}, {2, 0}, {3}}; !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("merged to %v, want %v", got, want)
	}
	enough := errors.New("enough")
	if err := merge(func([]byte) error { return enough }, sliceKeys([][]byte{{1}, {2}})); !errors.Is(err, enough) {
		t.Errorf("ends with %v", err)
	}
}

// TestKeySet shows that the set of changed keys is bounded, and in order.
func TestKeySet(t *testing.T) {
	k := newKeySet(3)
	cids := cidsIn(t, 9, 3)
	for _, c := range slices.Concat(cids, cids) {
		must(t, k.add(c.Bytes()))
	}
	if err := k.add(statetest.Cid("one more").Bytes()); !errors.Is(err, errEnough) {
		t.Errorf("a fourth key: %v", err)
	}
	got := k.byBucket()
	if len(got) != 1 || len(got[9]) != 3 || !slices.IsSortedFunc(got[9], bytes.Compare) {
		t.Errorf("the keys are %v", got)
	}
	k = newKeySet(3)
	must(t, k.add([]byte{0}))
	if got := k.byBucket(); len(got) != 0 {
		t.Errorf("a key that is no CID is there: %v", got)
	}
}
