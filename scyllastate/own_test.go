package scyllastate

import (
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

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// listOwn returns the entries of ListOwn.
func listOwn(t *testing.T, s *Store, p peer.ID, after state.Place) []state.Own {
	t.Helper()
	var all []state.Own
	must(t, s.ListOwn(t.Context(), p, after, func(own state.Own) error {
		all = append(all, own)
		return nil
	}))
	ordered := slices.IsSortedFunc(all, func(a, b state.Own) int {
		return state.PlaceOf(a.Cid).Compare(state.PlaceOf(b.Cid))
	})
	if !ordered {
		t.Error("the listing is in no order")
	}
	return all
}

// ownPins are the pins that a peer is to hold, as ListOwn and GetVersions tell.
func ownPins(t *testing.T, s *Store, p peer.ID) map[api.Cid]api.Pin {
	t.Helper()
	var cids []api.Cid
	for _, own := range listOwn(t, s, p, state.Place{}) {
		if slices.Contains(cids, own.Cid) {
			t.Errorf("%s is listed twice", own.Cid)
		}
		cids = append(cids, own.Cid)
	}
	got := make(map[api.Cid]api.Pin)
	must(t, s.GetVersions(t.Context(), cids, func(i int, pin *api.Pin, _ state.Revision, err error) {
		must(t, err)
		if pin != nil && pin.Type != api.MetaType && !pin.IsRemotePin(p) {
			got[cids[i]] = *pin
		}
	}))
	return got
}

func wantOwn(t *testing.T, s *Store, what string, p peer.ID, want ...api.Pin) {
	t.Helper()
	got := ownPins(t, s, p)
	for _, pin := range want {
		sent, ok := got[pin.Cid]
		if !ok || sent.Name != pin.Name {
			t.Errorf("%s: the pin %q is listed: %t, as %q", what, pin.Name, ok, sent.Name)
		}
		delete(got, pin.Cid)
	}
	for _, pin := range got {
		t.Errorf("%s: the pin %q is listed", what, pin.Name)
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
	var cids []api.Cid
	for i := range 40 {
		pin := held(fmt.Sprint(i), a)
		cids = append(cids, pin.Cid)
		must(t, s.Add(t.Context(), pin))
		place(t, s, a, pin, state.PlacementPinned)
	}
	none := func(state.Own) error { return nil }
	ctx, leave := context.WithCancel(t.Context())
	if err := s.ListOwn(ctx, a, state.Place{}, func(state.Own) error { leave(); return ctx.Err() }); !errors.Is(err, context.Canceled) {
		t.Errorf("the reader left: %v", err)
	}
	if err := s.ListOwn(ctx, a, state.Place{}, none); !errors.Is(err, context.Canceled) {
		t.Errorf("a context that has ended: %v", err)
	}
	corrupt(t, s, cids[7])
	var bad []int
	must(t, s.GetVersions(t.Context(), cids, func(i int, pin *api.Pin, rev state.Revision, err error) {
		if err != nil || pin == nil || rev == (state.Revision{}) {
			bad = append(bad, i)
		}
		if err != nil && !errors.Is(err, state.ErrCorrupt) {
			t.Errorf("pin %d: %v", i, err)
		}
	}))
	if !slices.Equal(bad, []int{7}) {
		t.Errorf("the pins %v cannot be read, want 7", bad)
	}
	plain := s.tables
	s.db.Close()
	if err := s.GetVersions(t.Context(), cids, func(int, *api.Pin, state.Revision, error) { t.Error("a pin without a database") }); !errors.Is(err, gocql.ErrSessionClosed) {
		t.Errorf("pins without a database: %v", err)
	}
	s.tables = idleFeeds{plain}
	if err := s.ListOwn(t.Context(), a, state.Place{}, none); !errors.Is(err, gocql.ErrSessionClosed) {
		t.Errorf("without a database: %v", err)
	}
}

// TestListOwnFrom goes on from each place of a listing.
func TestListOwnFrom(t *testing.T) {
	s := newTestStore(t)
	a := statetest.Peer("a")
	for i, c := range slices.Concat(cidsIn(t, 9, 3), cidsIn(t, 10, 2), cidsIn(t, state.Buckets-1, 2)) {
		pin := held(fmt.Sprint(i), a)
		pin.Cid = c
		place(t, s, a, pin, state.PlacementPinned)
	}
	all := listOwn(t, s, a, state.Place{})
	if len(all) != 7 {
		t.Fatalf("%d are listed", len(all))
	}
	for i, own := range all {
		if got := listOwn(t, s, a, state.PlaceOf(own.Cid)); !slices.EqualFunc(got, all[i+1:], sameOwn) {
			t.Errorf("after %d: %v", i, got)
		}
	}
	if got := listOwn(t, s, a, state.Place{Bucket: 10}); !slices.EqualFunc(got, all[3:], sameOwn) {
		t.Errorf("from bucket 10: %v", got)
	}
}

func sameOwn(a, b state.Own) bool { return a.Cid == b.Cid && a.Placement.Status == b.Placement.Status }

// TestListOwnWithLongBacklog: a backlog that does not fit is read in several passes,
// and nothing is left out.
func TestListOwnWithLongBacklog(t *testing.T) {
	s := newTestStore(t)
	a := statetest.Peer("a")
	setCursor(t, s, a, time.Now().Add(-s.lim.window()))
	const many = 3 * maxBacklog
	rows := make([]changeRow, many)
	for i := range rows {
		rows[i].cid = statetest.Cid(fmt.Sprint("backlog ", i)).Bytes()
	}
	reads := 0
	s.tables = backlogTables{s.tables, func(f func(changeRow) error) error {
		reads++
		for _, r := range rows {
			if err := f(r); err != nil {
				return err
			}
		}
		return nil
	}}
	n := 0
	must(t, s.ListChanged(t.Context(), a, state.Place{}, func(own state.Own) error {
		n++
		return nil
	}))
	if n != many || reads > 4 {
		t.Errorf("%d of %d changes are listed, in %d passes", n, many, reads)
	}
}

// backlogTables have changes in the newest slot.
type backlogTables struct {
	tables
	read func(func(changeRow) error) error
}

func (b backlogTables) readChanges(_ context.Context, _ []string, slot int64, _, upTo time.Time, f func(changeRow) error) error {
	if slot != slotOf(upTo) {
		return nil
	}
	return b.read(f)
}

// idleFeeds have no changes.
type idleFeeds struct{ tables }

func (idleFeeds) readCursor(context.Context, string, string) (cursor, error) { return cursor{}, nil }

func (idleFeeds) readChanges(context.Context, []string, int64, time.Time, time.Time, func(changeRow) error) error {
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
	if n := changes.Load(); n > 2 {
		t.Errorf("%d slots of feeds were read", n)
	}
}

// countingTables counts the requests for pins and changes.
type countingTables struct {
	tables
	pins, changes *atomic.Int32
}

func (c countingTables) readPins(ctx context.Context, cids []api.Cid) (map[string]row, error) {
	c.pins.Add(int32(len(cids)))
	return c.tables.readPins(ctx, cids)
}

func (c countingTables) readChanges(ctx context.Context, feeds []string, slot int64, after, upTo time.Time, f func(changeRow) error) error {
	c.changes.Add(1)
	return c.tables.readChanges(ctx, feeds, slot, after, upTo, f)
}
