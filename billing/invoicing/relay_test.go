package invoicing

import (
	"context"
	"fmt"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/notice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/plan"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

// heard is what was told, by ID.
type heard struct {
	mu    sync.Mutex
	times map[string]int
	texts map[string]string
	fail  bool
}

func (h *heard) Publish(_ context.Context, all []notice.Notice) error {
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.fail {
		return errLost
	}
	if h.times == nil {
		h.times, h.texts = make(map[string]int), make(map[string]string)
	}
	for _, n := range all {
		text, err := n.Encode()
		if err != nil {
			return err
		}
		if was := h.texts[n.ID()]; was != "" && was != string(text) {
			return fmt.Errorf("%s is %s, and was %s", n.ID(), text, was)
		}
		h.times[n.ID()]++
		h.texts[n.ID()] = string(text)
	}
	return nil
}

func (h *heard) want(tb testing.TB, ids ...string) {
	tb.Helper()
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, id := range ids {
		if h.times[id] != 1 {
			tb.Errorf("%s was told %d times", id, h.times[id])
		}
	}
	if len(h.times) != len(ids) {
		tb.Errorf("told are %v, want %q", h.times, ids)
	}
}

func (w *world) pass(h *heard) {
	w.tb.Helper()
	_, err := NewRelay(w.office(nil), h, "relay").Pass(w.tb.Context())
	must(w.tb, err)
}

// rows counts those of a table.
func (w *world) rows(table string) (n int) {
	w.tb.Helper()
	must(w.tb, w.db.Session.Query("SELECT COUNT(*) FROM "+table).Scan(&n))
	return n
}

// What happened is told once: issued, paid, and what is overdue when it is.
func TestTold(t *testing.T) {
	w := newWorld(t)
	var h heard
	a, b := w.issued("alice"), w.issued("bob")
	note, err := w.office(nil).Credit(t.Context(), b.Number, usd(t, "1.00"), "x", "r")
	must(t, err)
	for range 2 {
		w.pass(&h)
	}
	want := []string{a.Number + "/invoice.issued", b.Number + "/invoice.issued", note.Number + "/invoice.issued"}
	h.want(t, want...)
	j := w.office(nil).Journal()
	must(t, j.Record(t.Context(), payment("p", 1, rails.Paid, a.Number, 238)))
	w.pass(&h)
	want = append(want, a.Number+"/invoice.paid/2")
	h.want(t, want...)
	must(t, j.Record(t.Context(), payment("p", 2, rails.Reversed, a.Number, 238)))
	must(t, j.Record(t.Context(), payment("p", 3, rails.Paid, a.Number, 238)))
	w.clock.add(13 * 24 * time.Hour) // 2027-01-15, a day before it is due
	w.pass(&h)
	want = append(want, a.Number+"/invoice.paid/4")
	h.want(t, want...)
	w.clock.add(46 * time.Hour) // the day after
	h.fail = true
	if _, err := NewRelay(w.office(nil), &h, "relay").Pass(t.Context()); err == nil {
		t.Error("what could not be told is no error")
	}
	h.fail = false
	w.pass(&h)
	h.want(t, append(want, b.Number+"/invoice.overdue")...) // alice has paid
	w.clock.add(3 * time.Hour)
	w.pass(&h)
	h.want(t, append(want, b.Number+"/invoice.overdue")...)
	if events, slots := w.rows("billing_events"), w.rows("billing_slots"); events != 0 || slots != 0 {
		t.Errorf("%d events and %d hours are left", events, slots)
	}
}

// What is told is what was done: a process that dies has nothing told that did not come about, and what
// did is told, at whichever write it died. Nor is it told again by a relay after one that died.
func TestCrashWhileTelling(t *testing.T) {
	w := newWorld(t)
	var h heard
	var want []string
	for k := 1; k < 14; k++ {
		owner := fmt.Sprint("owner", k)
		w.owner(owner, 60)
		_, err := w.office(&shaky{DB: w.db, left: k, after: true}).Issue(t.Context(), owner, december)
		_, _ = NewRelay(w.office(&shaky{DB: w.db, left: k + 20, after: true}), &h, "relay").Pass(t.Context())
		w.clock.add(time.Hour) // another slot, and no lease
		if err != nil {
			docs, err := w.office(nil).Documents(t.Context(), owner)
			must(t, err)
			if len(docs) == 1 && (docs[0].Number != "") != (h.times[docs[0].Number+"/invoice.issued"] == 1) {
				t.Logf("after %d writes it is %q", k, docs[0].Number) // the relay may have died
			}
		}
		d, err := w.office(nil).Issue(t.Context(), owner, december)
		must(t, err)
		want = append(want, d.Number+"/invoice.issued")
	}
	must(t, w.db.Session.Query("TRUNCATE leases").Exec())
	w.clock.add(3 * time.Hour)
	w.pass(&h)
	h.mu.Lock()
	for _, id := range want {
		if n := h.times[id]; n < 1 || n > 2 {
			t.Errorf("%s was told %d times", id, n)
		}
	}
	if len(h.times) != len(want) {
		t.Errorf("%d were told, want %d", len(h.times), len(want))
	}
	h.mu.Unlock()
}

// A part of a limit is told once when it is reached, and another limit again.
func TestWatch(t *testing.T) {
	w := newWorld(t)
	var h heard
	o := w.office(nil)
	watch := func(total string, limit string) {
		t.Helper()
		l, err := plan.NewLimit(usd(t, limit), 50, 80, 100)
		must(t, err)
		must(t, o.Watch(t.Context(), "alice", december, usd(t, total), l))
	}
	watch("49.99", "100.00")
	w.pass(&h)
	h.want(t)
	watch("81.00", "100.00")
	watch("82.00", "100.00")
	w.pass(&h)
	watch("83.00", "100.00")
	w.clock.add(time.Hour)
	watch("100.00", "100.00")
	w.pass(&h)
	want := []string{"alice/2026-12/50/100.00/USD", "alice/2026-12/80/100.00/USD", "alice/2026-12/100/100.00/USD"}
	h.want(t, want...)
	watch("100.00", "200.00")
	w.pass(&h)
	h.want(t, append(want, "alice/2026-12/50/200.00/USD")...)
	eur, err := money.ByCode("EUR")
	must(t, err)
	l, err := plan.NewLimit(usd(t, "1.00"), 100)
	must(t, err)
	if err := o.Watch(t.Context(), "alice", december, money.Zero(eur), l); err == nil {
		t.Error("a limit in another currency was watched")
	}
}
