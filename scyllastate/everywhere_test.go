package scyllastate

import (
	"context"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func everywherePin(c api.Cid) api.Pin {
	return api.PinWithOpts(c, api.PinOptions{ReplicationFactorMin: -1, ReplicationFactorMax: -1, Name: "everywhere"})
}

// indexed reports whether c is listed among the pins of every peer.
func indexed(t *testing.T, s *Store, c api.Cid) bool {
	t.Helper()
	var n int
	if err := s.db.Session.Query("SELECT COUNT(*) FROM everywhere WHERE bucket = ? AND cid = ?", state.Bucket(c), c.Bytes()).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n == 1
}

// TestDropStrays shows which rows are strays.
func TestDropStrays(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	const bucket = 42
	cids := cidsIn(t, bucket, 6)
	pinned, unpinned, elsewhere, unreadable, never, fresh := cids[0], cids[1], cids[2], cids[3], cids[4], cids[5]
	for _, c := range cids[:4] {
		must(t, s.Add(ctx, everywherePin(c)))
	}
	must(t, s.Rm(ctx, unpinned))
	moved := held("x", statetest.Peer("a"))
	moved.Cid = elsewhere
	must(t, s.Add(ctx, moved))
	corrupt(t, s, unreadable)

	// All but one are as old as a day, by their revision and by when they were
	// written.
	day := time.Now().Add(-24 * time.Hour)
	write := func(key []byte, rev, written time.Time) {
		must(t, s.db.Session.Query(insertEverywhere, bucket, key, newUUID(rev), written.UnixMicro()).Exec())
	}
	must(t, s.db.Session.Query("TRUNCATE everywhere").Exec())
	for _, c := range cids[:5] {
		write(c.Bytes(), day, day)
	}
	write(fresh.Bytes(), time.Now(), time.Now())
	write([]byte{0}, day, day) // no CID
	other := cidsIn(t, bucket+1, 1)[0]
	must(t, s.db.Session.Query(insertEverywhere, bucket+1, other.Bytes(), newUUID(day), day.UnixMicro()).Exec())

	if n, err := s.DropStrays(ctx, bucket); n != 0 || err != nil {
		t.Errorf("%d strays that are younger than two days were dropped: %v", n, err)
	}
	if n, err := s.dropStrays(ctx, bucket, time.Hour); n != 4 || err != nil {
		t.Errorf("%d strays were dropped, want 4: %v", n, err)
	}
	for _, tt := range []struct {
		name string
		c    api.Cid
		want bool
	}{
		{"pinned everywhere", pinned, true},
		{"unpinned", unpinned, false},
		{"pinned on one peer", elsewhere, false},
		{"unreadable", unreadable, true},
		{"never pinned", never, false},
		{"never pinned, listed a moment ago", fresh, true},
		{"in another bucket", other, true},
	} {
		if got := indexed(t, s, tt.c); got != tt.want {
			t.Errorf("%s: listed %t", tt.name, got)
		}
	}

	// A row is as young as the younger of its revision and its timestamp.
	write(unpinned.Bytes(), day, time.Now())
	write(never.Bytes(), time.Now(), day.Add(time.Minute)) // after it was dropped
	if !indexed(t, s, unpinned) || !indexed(t, s, never) {
		t.Fatal("the young strays were not written")
	}
	if n, err := s.dropStrays(ctx, bucket, time.Hour); n != 0 || err != nil {
		t.Errorf("%d young strays were dropped: %v", n, err)
	}
	if _, err := s.DropStrays(ctx, 4096); err == nil {
		t.Error("there is a bucket 4096")
	}
}

// hookedTables calls before at each read of a pin.
type hookedTables struct {
	tables
	before func(c api.Cid)
}

func (h hookedTables) readPin(ctx context.Context, c api.Cid, cons gocql.Consistency) (row, error) {
	h.before(c)
	return h.tables.readPin(ctx, c, cons)
}

// TestStrayRaces writes a pin while its row is taken for a stray: the row that
// was written meanwhile stays.
func TestStrayRaces(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	c := cidsIn(t, 42, 1)[0]
	must(t, s.indexEverywhere(ctx, c, newUUID(time.Now())))
	plain := s.tables
	reads := 0
	s.tables = hookedTables{plain, func(api.Cid) {
		if reads++; reads == 2 { // what comes now is not seen by the look at the pin
			must(t, s.indexEverywhere(ctx, c, newUUID(time.Now())))
		}
	}}
	n, err := s.dropStrays(ctx, 42, 0)
	if n != 1 || err != nil || reads != 2 {
		t.Fatalf("dropped %d after %d reads of the pin: %v", n, reads, err)
	}
	s.tables = plain
	if !indexed(t, s, c) {
		t.Fatal("the row of a pin that was being written is gone")
	}
	// And once nobody writes, it goes.
	if n, err := s.dropStrays(ctx, 42, 0); n != 1 || err != nil {
		t.Fatalf("dropped %d: %v", n, err)
	}
	if indexed(t, s, c) {
		t.Fatal("a stray stays")
	}
}

// putExampleRows writes what the queries of docs/schema.md find beside the pin
// of c, which every peer held before peer p did.
func putExampleRows(t *testing.T, s *Store, p peer.ID, c api.Cid, slot int64) {
	t.Helper()
	if !indexed(t, s, c) {
		t.Error("the write of a pin of every peer did not list it")
	}
	must(t, s.PutPlacement(t.Context(), p, state.Placement{Cid: c, Status: state.PlacementQueued}))
	must(t, s.db.Session.Query(insertExpiry, slot, shardOf(c), c.Bytes(), time.Unix(slot*60, 0), 3600, s.stamp()).Exec())
	m := member("a", incarnation(1))
	m.ID = p
	must(t, s.PutMember(t.Context(), m, state.Member{}))
	beat(t, s, m, m.Incarnation, 1, "metrics")
	must(t, s.PutLastBeat(t.Context(), p, state.LastBeat{At: time.Now(), Zone: "rack-1"}))
}
