package scyllastate

import (
	"testing"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestConditionShapes pins down what the write path needs from the engine: a
// conditional update that is not applied returns the row as it is, in each form
// that the store sends.
func TestConditionShapes(t *testing.T) {
	s := newTestStore(t)
	pin := statetest.Samples(t)[0].Pin
	c := pin.Cid
	next, err := encodePin(pin)
	if err != nil {
		t.Fatal(err)
	}
	rev := func() gocql.UUID { return newUUID(time.Now()) }
	try := func(what string, w *write, applied bool, want row) {
		t.Helper()
		w.cid = c
		got, now, err := s.tables.swap(t.Context(), w)
		if err != nil {
			t.Fatalf("%s: %v", what, err)
		}
		if got != applied {
			t.Fatalf("%s: applied %t, want %t", what, got, applied)
		}
		if now.rev != want.rev || string(now.pin) != string(want.pin) {
			t.Fatalf("%s: returned %v, want %v", what, now, want)
		}
	}

	stale := row{rev: rev()}
	try("update of an absent row", &write{old: stale, rev: rev(), next: next}, false, row{})
	try("removal of an absent row", &write{old: stale, rev: rev()}, false, row{})
	first := row{rev: rev(), pin: next.value}
	try("creation", &write{rev: first.rev, next: next}, true, row{})
	try("creation again", &write{rev: rev(), next: next}, false, first)
	try("update with a stale revision", &write{old: stale, rev: rev(), next: next}, false, first)
	try("removal with a stale revision", &write{old: stale, rev: rev()}, false, first)
	second := row{rev: rev(), pin: next.value}
	try("update", &write{old: first, rev: second.rev, next: next}, true, row{})
	marker := row{rev: rev()}
	try("removal", &write{old: second, rev: marker.rev}, true, row{})
	try("creation over a marker", &write{rev: rev(), next: next}, false, marker)
	try("update over a marker by an older writer", &write{old: second, rev: rev(), next: next}, false, marker)
	again := row{rev: rev(), pin: next.value}
	try("new pin over a marker", &write{old: marker, rev: again.rev, next: next}, true, row{})

	now, err := s.readRow(t.Context(), c, gocql.Serial)
	if err != nil {
		t.Fatal(err)
	}
	if now.rev != again.rev || now.prev != marker.rev {
		t.Fatalf("the row has rev %s and prev %s, want %s and %s", now.rev, now.prev, again.rev, marker.rev)
	}
}

// TestMarkerRunsOut shows that a marker leaves no row behind, and that a pin
// which was written over a marker does not expire with it.
func TestMarkerRunsOut(t *testing.T) {
	s := newTestStore(t)
	s.conf.UnpinGrace = time.Second // shorter than service.json may say
	s.tables = newCQLTables(s.db, s.conf.UnpinGrace)
	gone, kept := statetest.Samples(t)[0].Pin, statetest.Samples(t)[1].Pin
	gone.Cid, kept.Cid = statetest.Cid("gone"), statetest.Cid("kept")
	ctx := t.Context()
	for _, p := range []struct {
		name string
		err  error
	}{
		{"add", s.Add(ctx, gone)}, {"add", s.Add(ctx, kept)},
		{"remove", s.Rm(ctx, gone.Cid)}, {"remove", s.Rm(ctx, kept.Cid)},
		{"add again", s.Add(ctx, kept)},
	} {
		if p.err != nil {
			t.Fatalf("%s: %v", p.name, p.err)
		}
	}
	var rows int
	waitFor(t, "the marker to run out", func() bool {
		if err := s.db.Session.Query("SELECT COUNT(*) FROM pins").Scan(&rows); err != nil {
			t.Fatal(err)
		}
		return rows == 1
	})
	var ttl *int
	if err := s.db.Session.Query("SELECT TTL(rev) FROM pins WHERE cid = ?", kept.Cid.Bytes()).Scan(&ttl); err != nil {
		t.Fatal(err)
	}
	if ttl != nil {
		t.Fatalf("a pin that was written over a marker expires in %d s", *ttl)
	}
	if _, err := s.Get(ctx, kept.Cid); err != nil {
		t.Fatal(err)
	}
}
