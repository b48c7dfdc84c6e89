package closing

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
)

// A day closes when the grace is over and all is counted, and not before; days close in order,
// those on which nothing happened too; an owner without facts gets no rows.
func TestWhenADayCloses(t *testing.T) {
	w := newWorld(t, openDB(t), 1)
	alice := w.owner(0, "alice")
	var lag claims.Lag
	var broken error
	c := w.closer(func(o *Options) {
		o.Watermarks = []Watermark{OfClaims(func(context.Context) (claims.Lag, error) { return lag, broken }, w.clock.now)}
	})
	facts := []claim.Fact{fact(alice, "a", first, 0, 5, 1), fact(alice, "b", first, 24*time.Hour-time.Millisecond, 3, 1), fact(alice, "c", first+1, 0, 2, 1)}
	w.put(facts...)
	is := func(what string, want int64) {
		t.Helper()
		w.pass(c)
		if last, err := c.Last(t.Context()); err != nil || last != want {
			t.Errorf("%s: closed until %d, %v; want %d", what, last-first, err, want-first)
		}
	}
	is("in the middle of the day", first-1)
	w.clock.set(first+1, 6*time.Hour-time.Millisecond)
	is("a moment before the grace is over", first-1)
	w.clock.set(first+1, 6*time.Hour)
	lag = claims.Lag{Waiting: 1, Oldest: endOf(first).Add(6*time.Hour - time.Millisecond)}
	is("something of the grace waits", first-1)
	lag.Oldest = endOf(first).Add(6 * time.Hour)
	is("something that came after it waits", first)
	w.clock.set(first+5, 7*time.Hour)
	is("the same waits for days", first)
	lag = claims.Lag{}
	broken = errors.New("no answer")
	if err := c.Pass(t.Context()); !errors.Is(err, broken) {
		t.Error(err)
	}
	broken = nil
	is("nothing waits", first+4)
	if got := w.versionsOf(alice); got != "0:1\n1:1" {
		t.Errorf("versions of days: %s", got)
	}
	if n := w.check(facts, first+4, alice); n != 0 {
		t.Errorf("%d adjustments", n)
	}
	p, err := w.store.Progress(t.Context(), first+1, w.shards[0])
	if err != nil || !p.Closed || p.Owners != 1 {
		t.Errorf("%+v, %v", p, err)
	}
	if p, err := w.store.Progress(t.Context(), first+2, w.shards[0]); err != nil || !p.Closed || p.Owners != 0 {
		t.Errorf("a day without owners: %+v, %v", p, err)
	}
}

// What comes late changes no closed day: it and the days after it, idle ones too, get adjustments,
// in the month that is open.
func TestLate(t *testing.T) {
	w := newWorld(t, openDB(t), 1)
	alice, bob := w.owner(0, "alice"), w.owner(0, "bob")
	c := w.closer()
	facts := []claim.Fact{fact(alice, "a", first, 0, 10, 1), fact(alice, "d", first+3, 12*time.Hour, 1, 1), fact(bob, "x", first+1, 0, 7, 0)}
	w.put(facts...)
	w.clock.dueAt(first + 3) // Dec 1 is closed
	w.pass(c)
	before := w.stored(alice)
	late := fact(alice, "b", first+1, 23*time.Hour, 1, 0)
	w.put(late, late)
	facts = append(facts, late)
	w.pass(c)
	want := "0:1\n1:2\n2:2\n3:2\n" +
		"202612 for 1: 1 h bytes 0 h pins, facts of the day came after its close\n" +
		"202612 for 2: 24 h bytes 0 h pins, facts of days before it came after their close\n" +
		"202612 for 3: 24 h bytes 0 h pins, facts of days before it came after their close"
	if got := w.versionsOf(alice); got != want {
		t.Errorf("it is\n%s\nwant\n%s", got, want)
	}
	for line := range strings.SplitSeq(before, "\n") {
		if !strings.Contains(w.stored(alice), line) {
			t.Errorf("%s is not there any more", line)
		}
	}
	if n := w.check(facts, first+3, alice, bob); n != 3 {
		t.Errorf("%d adjustments", n)
	}
	// It is looked at again and again, and nothing comes of it.
	was := w.stored(alice)
	w.clock.dueAt(first + 5)
	w.pass(c)
	w.pass(w.closer())
	if got := w.stored(alice); got != was {
		t.Errorf("it was\n%s\nand is\n%s", was, got)
	}
	// A late fact and what takes it back leave no level behind.
	up, down := fact(alice, "up", first+4, 0, 100, 1), fact(alice, "down", first+4, time.Hour, -100, -1)
	w.put(up, down)
	w.pass(c)
	facts = append(facts, up, down)
	if n := w.check(facts, first+5, alice, bob); n != 4 {
		t.Errorf("%d adjustments", n)
	}
	m, err := w.reader().Month(t.Context(), alice, 202611)
	must(t, err)
	if !m.Complete || m.First != first || m.Last != first+2 || len(m.Adjustments) != 0 || m.ByteMS.Int64() != 3*10*86_400_000 || len(m.Held) != 0 {
		t.Errorf("%+v", m)
	}
	if m, err = w.reader().Month(t.Context(), alice, 202612); err != nil || m.Complete || m.First != first+3 || m.Last != first+5 || len(m.Adjustments) != 4 ||
		m.AdjustedByteMS.Int64() != (1+24+24+100)*3_600_000 || m.Opening.Bytes.Int64() != 11 || m.Closing.Bytes.Int64() != 12 {
		t.Errorf("%+v, %v", m, err)
	}
}

// What is later than the correction window is put aside, and changes nothing.
func TestWindow(t *testing.T) {
	w := newWorld(t, openDB(t), 1)
	alice := w.owner(0, "alice")
	c := w.closer(func(o *Options) { o.Window = 48 * time.Hour })
	facts := []claim.Fact{fact(alice, "a", first, 0, 10, 1)}
	w.put(facts...)
	w.clock.dueAt(first + 3)
	w.pass(c)
	w.put(fact(alice, "old", first, 0, 1, 0))
	w.pass(c)
	if got := w.versionsOf(alice); got != "0:1" {
		t.Errorf("it is %s", got)
	}
	var why []string
	must(t, w.store.EachQuarantined(t.Context(), first+1, func(i ledger.Item) error {
		why = append(why, i.Owner+" "+i.Why)
		return nil
	}))
	if len(why) != 1 || !strings.Contains(why[0], alice) || !strings.Contains(why[0], "old: facts of 2026-11-28 came more than 48h0m0s after it") {
		t.Errorf("in quarantine are %q", why)
	}
	late := fact(alice, "b", first+2, 0, 1, 0)
	w.put(late)
	w.pass(c)
	if got := w.days(alice, first+3, first+3)[0].Latest; got.Closing.Bytes.Int64() != 11 {
		t.Errorf("a fact in the window: %s", text(got))
	}
}

// A level below zero holds the invoice until it is mended; so do facts with one ID that differ,
// of which none counts.
func TestHeld(t *testing.T) {
	w := newWorld(t, openDB(t), 1)
	alice, bob, carol := w.owner(0, "alice"), w.owner(0, "bob"), w.owner(0, "carol")
	c := w.closer()
	stop := fact(alice, "stop", first+1, time.Hour, -5, -1)
	one, other := fact(bob, "same", first, time.Hour, 5, 1), fact(bob, "same", first, 2*time.Hour, 5, 1)
	w.put(stop, one, other, fact(bob, "sound", first, 0, 3, 1), fact(carol, "c", first, 0, 1, 1))
	w.clock.dueAt(first + 3)
	w.pass(c)
	held := func(owner string, month, want int) {
		t.Helper()
		got, err := w.reader().Held(t.Context(), owner, month)
		if err != nil || len(got) != want {
			t.Errorf("%s in %d: held are %v, %v; want %d", owner, month, got, err, want)
		}
	}
	held(alice, 202611, 2) // the day, and an idle one after it
	held(alice, 202612, 1)
	held(bob, 202611, 1)
	held(bob, 202612, 0)
	held(carol, 202611, 0)
	if got := w.days(bob, first, first)[0].Closed; got.ByteMS.Int64() != 3*86_400_000 || got.Deltas != 1 {
		t.Errorf("two that differ: %s", text(got))
	}
	n := 0
	must(t, w.store.EachQuarantined(t.Context(), first+1, func(i ledger.Item) error {
		n++
		if i.Owner != bob || !strings.HasPrefix(i.Why, "conflict: 2026-11-28 has 2 facts") {
			t.Errorf("%+v", i)
		}
		return nil
	}))
	if n != 1 {
		t.Errorf("%d are in quarantine", n)
	}
	start := fact(alice, "start", first, 0, 5, 1)
	w.put(start, fact(carol, "d", first+1, 0, 1, 1), fact(carol, "d", first+1, time.Millisecond, 1, 1))
	w.pass(c)
	held(alice, 202611, 0)
	held(alice, 202612, 0)
	held(carol, 202611, 1) // of two late facts none counts
	if n := w.check([]claim.Fact{start, stop}, first+3, alice); n != 4 {
		t.Errorf("%d adjustments", n)
	}
}

// Settings that cannot be are refused.
func TestOptions(t *testing.T) {
	db := openDB(t)
	good := func() Options {
		return Options{Store: ledger.New(t.Context(), db), Leases: db, First: time.UnixMilli(0)}
	}
	if _, err := New(good()); err != nil {
		t.Error(err)
	}
	for i, change := range []func(*Options){
		func(o *Options) { o.Store = nil }, func(o *Options) { o.Leases = nil }, func(o *Options) { o.First = time.Time{} },
		func(o *Options) { o.Grace = time.Second }, func(o *Options) { o.Window = -1 }, func(o *Options) { o.Every = -1 }, func(o *Options) { o.Parallel = -1 },
	} {
		o := good()
		change(&o)
		if c, err := New(o); err == nil {
			t.Errorf("%d: %+v", i, c)
		}
	}
}

// A recheck finds whatever is not as it should be, and changes nothing.
func TestRecheck(t *testing.T) {
	w := newWorld(t, openDB(t), 1)
	alice := w.owner(0, "alice")
	c := w.closer()
	w.put(fact(alice, "a", first, 0, 10, 1), fact(alice, "b", first+2, 0, 10, 1))
	w.clock.dueAt(first + 2)
	w.pass(c)
	w.put(fact(alice, "late", first+1, 0, 1, 0))
	w.pass(c)
	is := func(what string, want ...string) {
		t.Helper()
		was := w.stored(alice)
		got := w.recheck(alice)
		ok := len(got) == len(want)
		for i := range min(len(got), len(want)) {
			ok = ok && strings.Contains(fmt.Sprintf("%d %s", got[i].Day-first, got[i]), want[i])
		}
		if !ok {
			t.Errorf("%s: %v, want %q", what, got, want)
		}
		if w.stored(alice) != was {
			t.Errorf("%s: it has changed something", what)
		}
	}
	is("all is well")
	var said []string
	checked, err := w.reader().Recheck(t.Context(), func(d Difference) error {
		said = append(said, d.String())
		return nil
	}, func(done, of int, c Checked) { said = append(said, fmt.Sprint(done, of)) })
	if err != nil || checked != (Checked{1, 3, 0}) || len(said) != 64 || said[63] != "64 64" {
		t.Errorf("%+v, %v, %q", checked, err, said)
	}
	// Written by somebody who marks nothing.
	must(t, w.store.PutFacts(t.Context(), []claim.Fact{fact(alice, "unnoted", first+1, 0, 1, 0)}))
	is("a fact that nobody has noted", "1 2026-11-29 "+alice+" version 1: the facts come to something else", "2 2026-11-30 "+alice+" version 1: the facts come to something else")
	w.put(fact(alice, "unnoted", first+1, 0, 1, 0)) // noted
	w.pass(c)
	is("it is noted")
	session, truncate := w.db, "DELETE FROM adjustments WHERE owner = ? AND period = ?"
	must(t, session.WriteAll(t.Context(), statement(truncate, alice, 202612)))
	is("adjustments are lost", "1 2026-11-29 "+alice+" version 2: after version 0", "2 2026-11-30 "+alice+" version 2: after version 0")
	w.pass(c) // as the marks are still looked at
	is("they were completed")
	must(t, session.WriteAll(t.Context(), statement("UPDATE days SET byte_ms = 1 WHERE owner = ? AND month = 202611 AND day = ? AND version = 2", alice, first+2)))
	is("a row was changed", "2 2026-11-30 "+alice+" version 2: the numbers are not those of the digest")
}
