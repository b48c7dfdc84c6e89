package scyllastate

import (
	"cmp"
	"context"
	"errors"
	"fmt"
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// bulkPin is a pin as a store gives it back, and its encoding.
func bulkPin(t *testing.T, number int64, pin api.Pin) state.BulkPin {
	t.Helper()
	c, err := encodePin(pin)
	if err != nil {
		t.Fatal(err)
	}
	return state.BulkPin{Number: number, Value: c.value, Pin: c.pin}
}

// migratedSamples are pins of all kinds; some run out, most are allocated.
func migratedSamples(t *testing.T) []state.BulkPin {
	t.Helper()
	var pins []state.BulkPin
	for n, sample := range statetest.Samples(t) {
		pins = append(pins, bulkPin(t, int64(n+1), sample.Pin))
	}
	return pins
}

// rowsOf returns what is in the tables beside the times of the writes.
func rowsOf(t *testing.T, s *Store, columns map[string]string) map[string][]string {
	t.Helper()
	out := make(map[string][]string)
	for table, names := range columns {
		rows, err := s.db.Session.Query("SELECT " + names + " FROM " + table).Iter().SliceMap()
		must(t, err)
		for _, r := range rows {
			var text string
			for _, name := range slices.Sorted(maps.Keys(r)) {
				text += fmt.Sprintf("%s=%v ", name, r[name])
			}
			out[table] = append(out[table], text)
		}
		slices.Sort(out[table])
	}
	return out
}

// TestBulkRows: bulk writes leave the rows that conditional ones leave, and what
// peers take up when they start instead of the changes.
func TestBulkRows(t *testing.T) {
	ctx := t.Context()
	bulk, plain := newTestStore(t), newTestStore(t)
	pins := migratedSamples(t)
	i, ok := begin(t, bulk, migration("crdt:/one", 1, true)).(*importer)
	if !ok {
		t.Fatal("the importer is another one")
	}
	i.atOnce = 5 // the side rows are more
	must(t, i.Write(ctx, pins))
	for _, p := range pins {
		must(t, plain.Add(ctx, p.Pin))
		for _, id := range p.Pin.Allocations {
			if !p.Pin.IsPinEverywhere() {
				must(t, plain.PutPlacement(ctx, id, state.Placement{Cid: p.Pin.Cid, Status: state.PlacementQueued}))
			}
		}
	}
	columns := map[string]string{
		"pins": "cid, pin, rf_min, rf_max, created, peers", "everywhere": "bucket, cid", "buckets": "holder, bucket",
		"placements": "peer, bucket, cid, status, attempts, size, error", "expiries": "shard, cid, due", "changes": "feed",
	}
	got, want := rowsOf(t, bulk, columns), rowsOf(t, plain, columns)
	delete(want, "changes")
	for _, table := range slices.Sorted(maps.Keys(columns)) {
		if !slices.Equal(got[table], want[table]) {
			t.Errorf("%s has %d rows\n%s\nwant %d\n%s", table, len(got[table]), got[table], len(want[table]), want[table])
		}
		if table != "changes" && len(want[table]) == 0 {
			t.Errorf("nothing of the samples is in %s", table)
		}
	}
	holders := make(map[peer.ID][]api.Pin)
	for _, p := range pins {
		pin, err := bulk.Get(ctx, p.Pin.Cid)
		if must(t, err); !pin.Equals(p.Pin) {
			t.Errorf("got %+v, want %+v", pin, p.Pin)
		}
		for _, id := range p.Pin.Allocations {
			holders[id] = append(holders[id], p.Pin)
		}
	}
	// Those who hold most; all the rest was compared above.
	most := slices.SortedFunc(maps.Keys(holders), func(a, b peer.ID) int {
		return cmp.Or(len(holders[b])-len(holders[a]), strings.Compare(string(a), string(b)))
	})
	for _, id := range most[:20] {
		ours, theirs := ownPins(t, bulk, id), ownPins(t, plain, id)
		if len(ours) < 2 || !maps.EqualFunc(ours, theirs, api.Pin.Equals) {
			t.Errorf("peer %s has %d pins of its own, want %d", id, len(ours), len(theirs))
		}
	}
}

// TestBulkIsRepeatable: writes that are made again, in another order or by a later
// process, end as the same rows, with the same timestamps.
func TestBulkIsRepeatable(t *testing.T) {
	conf := testConfig(t)
	a, b := openStore(t, conf), openStore(t, conf)
	ctx := t.Context()
	pins := migratedSamples(t)
	m := migration("crdt:/one", 1, true)
	columns := map[string]string{
		"pins":       "cid, rev, prev, pin, rf_min, rf_max, created, peers, writetime(rev), writetime(pin)",
		"everywhere": "bucket, cid, rev, writetime(rev)", "buckets": "holder, bucket",
		"placements": "peer, bucket, cid, rev, status, updated, attempts, size, error, writetime(rev), writetime(status)",
		"expiries":   "slot, shard, cid, due, writetime(due)",
	}
	must(t, begin(t, a, m).Write(ctx, pins))
	before := rowsOf(t, a, columns)
	slices.Reverse(pins)
	i := begin(t, b, m)
	for _, p := range pins {
		must(t, i.Write(ctx, []state.BulkPin{p}))
	}
	if after := rowsOf(t, b, columns); !maps.EqualFunc(before, after, slices.Equal) {
		t.Errorf("the rows were\n%s\nand are\n%s", before, after)
	}
}

// TestBulkOrder: of two bulk writes of a pin that of the later run counts, then
// that of the later record, in whatever order they come.
func TestBulkOrder(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	c := statetest.Cid("a")
	write := func(run, number int64, name string) {
		t.Helper()
		pin := held(name, statetest.Peer(name))
		pin.Cid = c
		must(t, begin(t, s, migration("export:x", run, true)).Write(ctx, []state.BulkPin{bulkPin(t, number, pin)}))
	}
	want := func(name string) {
		t.Helper()
		got, err := s.Get(ctx, c)
		if must(t, err); got.Name != name || got.Allocations[0] != statetest.Peer(name) {
			t.Errorf("the pin is %q on %s, want %q", got.Name, got.Allocations, name)
		}
	}
	write(1, 7, "first")
	write(1, 9, "last line")
	write(1, 8, "line before")
	want("last line")
	write(2, 1, "second run")
	write(1, state.MaxMigrationRecords-1, "first run")
	want("second run")
	for _, number := range []int64{0, -1, state.MaxMigrationRecords} {
		pin := bulkPin(t, number, everywherePin(c))
		if err := begin(t, s, migration("export:x", 1, true)).Write(ctx, []state.BulkPin{pin}); err == nil {
			t.Errorf("record %d was written", number)
		}
	}
}

// TestBulkLosesToConditional: a bulk write that comes late, after the pinset came
// into use, changes nothing that was acknowledged.
func TestBulkLosesToConditional(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	written, removed := statetest.Cid("written"), statetest.Cid("removed")
	older := []state.BulkPin{bulkPin(t, 1, held("old", statetest.Peer("b"))), bulkPin(t, 2, everywherePin(removed))}
	older[0].Pin.Cid = written
	i, ok := begin(t, s, migration("crdt:/one", state.MaxMigrationRuns, true)).(*importer)
	if !ok {
		t.Fatal("the importer is another one")
	}
	i.pace.check = func(context.Context) error { return nil } // it is late
	older[1].Number = state.MaxMigrationRecords - 1
	must(t, i.Write(ctx, older[1:]))
	pin := held("new", statetest.Peer("a"))
	pin.Cid = written
	must(t, s.Add(ctx, pin))
	must(t, s.Rm(ctx, removed))
	must(t, i.Write(ctx, older))
	if got, err := s.Get(ctx, written); err != nil || got.Name != "new" || got.Allocations[0] != statetest.Peer("a") {
		t.Errorf("the pin is %+v, %v", got, err)
	}
	if there, err := s.Has(ctx, removed); err != nil || there {
		t.Errorf("the removed pin is there: %v, %v", there, err)
	}
	// A conditional write goes over a bulk row like over any other.
	must(t, s.Add(ctx, pin))
}

// TestBulkStamps: no stamp reaches the present, where a conditional write could
// lose to it.
func TestBulkStamps(t *testing.T) {
	last := stampOf(state.MaxMigrationRuns, state.MaxMigrationRecords-1)
	if at := time.UnixMicro(last); at.Year() > 1997 {
		t.Errorf("the last stamp is in %s", at)
	}
	mark := markOf("a")
	for _, run := range []int64{1, 2, state.MaxMigrationRuns} {
		for _, record := range []int64{1, state.MaxMigrationRecords - 1} {
			rev := mark.revision(stampOf(run, record))
			if got, ours := mark.run(rev); !ours || got != run || rev.Version() != 1 {
				t.Errorf("revision %s of run %d is of run %d, %v", rev, run, got, ours)
			}
			if _, ours := markOf("b").run(rev); ours {
				t.Error("it is taken for one of another migration")
			}
			if !later(newUUID(time.Now()), rev) {
				t.Errorf("%s is later than now", rev)
			}
		}
	}
	if _, ours := mark.run(newUUID(time.Now())); ours {
		t.Error("the revision of a conditional write is taken for a bulk one")
	}
}

// TestBulkBatches: more rows than one batch takes are all written.
func TestBulkBatches(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	p := statetest.Peer("a")
	const bucket = 42
	var pins []state.BulkPin
	for n, c := range cidsIn(t, bucket, 2*maxBatchRows+1) {
		pin := held("x", p)
		pin.Cid = c
		pins = append(pins, bulkPin(t, int64(n+1), pin))
	}
	must(t, begin(t, s, migration("crdt:/one", 1, true)).Write(ctx, pins))
	var n int
	must(t, s.db.Session.Query("SELECT COUNT(*) FROM placements WHERE peer = ? AND bucket = ?", p.String(), bucket).Scan(&n))
	if n != len(pins) {
		t.Errorf("%d rows were written, want %d", n, len(pins))
	}
}

// TestBulkPinsComeFirst: whatever stops a bulk write, no peer finds a placement
// without its pin, which it would take for a removal: IPFS would lose the content.
// What is missing then is written by Index.
func TestBulkPinsComeFirst(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	p := statetest.Peer("a")
	pin := held("x", p)
	m := migration("crdt:/one", 1, true)
	i, ok := begin(t, s, m).(*importer)
	if !ok {
		t.Fatal("the importer is another one")
	}
	check, calls := i.pace.check, 0
	i.pace.check = func(ctx context.Context) error {
		if calls++; calls == 2 {
			return state.ErrMigrationTaken // stands for a kill
		}
		return check(ctx)
	}
	pins := []state.BulkPin{bulkPin(t, 1, pin)}
	if err := i.Write(ctx, pins); !errors.Is(err, state.ErrMigrationTaken) {
		t.Fatal(err)
	}
	there, err := s.Has(ctx, pin.Cid)
	must(t, err)
	_, placed, err := s.GetPlacement(ctx, p, pin.Cid)
	if must(t, err); !there || placed {
		t.Errorf("the pin is there: %v, its placement: %v", there, placed)
	}

	must(t, s.Add(ctx, everywherePin(statetest.Cid("a user's")))) // the pinset is in use
	m.Bulk = false
	again := begin(t, s, m)
	must(t, again.Index(ctx, pins))
	if row, placed, err := s.GetPlacement(ctx, p, pin.Cid); err != nil || !placed || row.Status != state.PlacementQueued {
		t.Errorf("after Index the placement is %+v, %v, %v", row, placed, err)
	}
	must(t, s.PutPlacement(ctx, p, state.Placement{Cid: pin.Cid, Status: state.PlacementPinned}))
	must(t, again.Index(ctx, pins))
	if row, _, err := s.GetPlacement(ctx, p, pin.Cid); err != nil || row.Status != state.PlacementPinned {
		t.Errorf("Index has made what the peer has written %+v (%v)", row, err)
	}
	must(t, s.DropPlacement(ctx, p, pin.Cid))
	must(t, again.Index(ctx, pins))
	if _, placed, err := s.GetPlacement(ctx, p, pin.Cid); err != nil || placed {
		t.Errorf("Index has brought back what the peer has dropped: %v, %v", placed, err)
	}
}

// TestBulkStopsBetweenRounds: a process that must not go on learns it before it
// writes or removes the next few thousand pins, not at its next checkpoint.
func TestBulkStopsBetweenRounds(t *testing.T) {
	conf := testConfig(t)
	migrating, peer := openStore(t, conf), openStore(t, conf)
	ctx := t.Context()
	pins := []state.BulkPin{bulkPin(t, 1, held("x", statetest.Peer("a")))}
	i := begin(t, migrating, migration("crdt:/one", 1, true))
	must(t, i.Write(ctx, pins))
	second := begin(t, peer, migration("crdt:/one", 2, true))
	pins[0].Number = 2
	if err := i.Write(ctx, pins); !errors.Is(err, state.ErrMigrationTaken) {
		t.Errorf("the first process writes on: %v", err)
	}
	must(t, peer.Add(ctx, everywherePin(statetest.Cid("a user's"))))
	if err := second.Write(ctx, pins); !errors.Is(err, state.ErrLive) {
		t.Errorf("the second process writes on: %v", err)
	}
	if n, err := second.Sweep(ctx, func(int64) {}); !errors.Is(err, state.ErrLive) || n != 0 {
		t.Errorf("it removes %d pins: %v", n, err)
	}
	if there, err := peer.Has(ctx, pins[0].Pin.Cid); err != nil || !there {
		t.Errorf("the pin is there: %v, %v", there, err)
	}
}

// TestFencedBulkRowIsWhole: a fence makes a row that was written in bulk one that no
// bulk write and no sweep changes any more, also if they come late.
func TestFencedBulkRowIsWhole(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	pin := held("fenced", statetest.Peer("a"))
	must(t, begin(t, s, migration("crdt:/one", 1, true)).Write(ctx, []state.BulkPin{bulkPin(t, 1, pin)}))
	late, ok := begin(t, s, migration("crdt:/one", 2, true)).(*importer)
	if !ok {
		t.Fatal("the importer is another one")
	}
	late.pace.check = func(context.Context) error { return nil } // it was stopped right behind it
	old, err := s.readRow(ctx, pin.Cid, gocql.Quorum)
	must(t, err)
	now, err := s.fence(ctx, pin.Cid, old)
	must(t, err)

	other := held("late", statetest.Peer("b"))
	other.Cid = pin.Cid
	must(t, late.Write(ctx, []state.BulkPin{bulkPin(t, 1, other)}))
	must(t, late.remove(ctx, swept{pin.Cid, pin}))
	row, err := s.readRow(ctx, pin.Cid, gocql.Quorum)
	if must(t, err); row.rev != now.rev {
		t.Errorf("the revision is %s, the fence made it %s", row.rev, now.rev)
	}
	if got, err := s.Get(ctx, pin.Cid); err != nil || got.Name != "fenced" {
		t.Errorf("the pin is %+v (%v)", got, err)
	}
}

// TestSamePinset: a keyspace is the same one however its hosts are named.
func TestSamePinset(t *testing.T) {
	conf := testConfig(t)
	a, other := openStore(t, conf), newTestStore(t)
	b, err := OpenReadOnly(t.Context(), conf)
	must(t, err)
	t.Cleanup(func() { _ = b.Close() })
	if !a.SamePinset(b) || a.SamePinset(other) {
		t.Errorf("of two stores on a keyspace: %v, of two on two: %v", a.SamePinset(b), a.SamePinset(other))
	}
}
