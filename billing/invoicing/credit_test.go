package invoicing

import (
	"errors"
	"fmt"
	"sync"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

// Credit notes have numbers of their own, are made once for a request, and are never more than
// the invoice.
func TestCredit(t *testing.T) {
	w := newWorld(t)
	d := w.issued("alice")
	o := w.office(nil)
	note, err := o.Credit(t.Context(), d.Number, usd(t, "1.00"), "outage", "r1")
	must(t, err)
	if note.Number != "C-000001" || note.State != stateIssued || note.Credits.Number != d.Number || note.Credits.Digest != d.Digest {
		t.Errorf("it is %+v", note)
	}
	if again, err := o.Credit(t.Context(), d.Number, usd(t, "1.00"), "outage", "r1"); err != nil || again.Digest != note.Digest {
		t.Errorf("again it is %+v, %v", again, err)
	}
	if _, err := o.Credit(t.Context(), d.Number, usd(t, "1.39"), "more", "r2"); !errors.Is(err, invoice.ErrTooMuch) {
		t.Errorf("more than there is: %v", err)
	}
	must(t, o.Journal().Record(t.Context(), payment("a", 1, rails.Paid, d.Number, 100)))
	w.stands(d.Number, invoice.Open, "1.00")
	if _, err := o.Void(t.Context(), d.Number); !errors.Is(err, invoice.ErrState) {
		t.Errorf("it is void with a credit note: %v", err)
	}
	_, err = o.Credit(t.Context(), d.Number, usd(t, "0.38"), "the rest", "r3")
	must(t, err)
	w.stands(d.Number, invoice.Paid, "1.00")
	if _, err := o.Credit(t.Context(), note.Number, usd(t, "0.38"), "x", "r4"); err == nil {
		t.Error("a credit note was credited")
	}
	w.check("A", 1)
	w.check("C", 2)
}

// An invoice that is void keeps its number, and its month gets another one.
func TestVoid(t *testing.T) {
	w := newWorld(t)
	d := w.issued("alice")
	o := w.office(nil)
	for range 2 {
		if _, err := o.Void(t.Context(), d.Number); err != nil {
			t.Fatal(err)
		}
	}
	if _, err := o.Credit(t.Context(), d.Number, usd(t, "1.00"), "x", "r"); !errors.Is(err, invoice.ErrState) {
		t.Errorf("a void invoice was credited: %v", err)
	}
	again, err := o.Issue(t.Context(), "alice", december)
	if err != nil || again.Number != "A-000002" {
		t.Errorf("the month has %s, %v", again.Number, err)
	}
	if got := w.check("A", 2); got[d.Number].state != invoice.Void || got[d.Number].doc != string(mustCanonical(t, d.Document)) {
		t.Errorf("it is %+v", got[d.Number])
	}
	w.check("C", 0)
	if _, err := o.WriteOff(t.Context(), again.Number); err != nil {
		t.Fatal(err)
	}
	must(t, o.Journal().Record(t.Context(), payment("a", 1, rails.Paid, again.Number, 238)))
	w.stands(again.Number, invoice.Paid, "2.38")
}

// Notes that are asked for at once, and an invoice that is void meanwhile: either the invoice is void
// and has none, or it has all that fit.
func TestCreditAtOnce(t *testing.T) {
	w := newWorld(t)
	notes := 0
	for round := range 6 {
		d := w.issued(fmt.Sprint("owner", round))
		var all sync.WaitGroup
		var mu sync.Mutex
		made := make(map[string]bool)
		for i := range 6 {
			o := w.office(&shaky{DB: w.db, left: -1, chaos: true})
			all.Go(func() {
				for err := errLost; errors.Is(err, errLost); {
					if i == 5 {
						if round%2 == 0 {
							_, err = o.Void(t.Context(), d.Number)
						} else {
							err = nil
						}
					} else {
						var note Document
						// Two ask for the same.
						if note, err = o.Credit(t.Context(), d.Number, usd(t, "0.80"), "x", fmt.Sprint("r", i/2)); err == nil {
							mu.Lock()
							made[note.Number] = true
							mu.Unlock()
						}
					}
					if err != nil && !errors.Is(err, errLost) && !errors.Is(err, invoice.ErrState) && !errors.Is(err, invoice.ErrTooMuch) {
						t.Error(err)
					}
				}
			})
		}
		all.Wait()
		after, err := w.office(nil).Document(t.Context(), d.Number)
		must(t, err)
		if void := after.State == invoice.Void; void && len(made) > 0 || !void && (len(made) != 2 || after.Standing.Credited.Text() != "1.60") {
			t.Errorf("it is %s with %s credited, by %v", after.State, after.Standing.Credited, made)
		}
		notes += len(made)
	}
	w.check("A", 6)
	w.check("C", notes)
}

// A note that was begun when its invoice was open, and kept when it was void, gets no number.
func TestVoidBeforeNote(t *testing.T) {
	w := newWorld(t)
	d := w.issued("alice")
	db := &between{shaky: &shaky{DB: w.db, left: -1}, before: "INSERT INTO invoices", happens: func() {
		_, err := w.office(nil).Void(t.Context(), d.Number)
		must(t, err)
	}}
	for range 2 {
		if _, err := w.office(db).Credit(t.Context(), d.Number, usd(t, "1.00"), "x", "r"); !errors.Is(err, invoice.ErrState) {
			t.Errorf("a void invoice was credited: %v", err)
		}
	}
	w.check("C", 0)
}

// A process that dies after any write while it credits leaves nothing that the next one does not
// finish.
func TestCrashWhileCrediting(t *testing.T) {
	w := newWorld(t)
	for k := 1; ; k++ {
		d := w.issued(fmt.Sprint("owner", k))
		_, err := w.office(&shaky{DB: w.db, left: k, after: k%2 == 0}).Credit(t.Context(), d.Number, usd(t, "1.00"), "x", "r")
		done := err == nil
		_, err = w.office(nil).Credit(t.Context(), d.Number, usd(t, "1.00"), "y", "another")
		must(t, err)
		_, err = w.office(nil).Credit(t.Context(), d.Number, usd(t, "1.00"), "x", "r")
		must(t, err)
		w.check("C", 2*k)
		after, err := w.office(nil).Document(t.Context(), d.Number)
		must(t, err)
		if after.Standing.Credited.Text() != "2.00" {
			t.Errorf("after %d writes %s is credited", k, after.Standing.Credited)
		}
		if done {
			if k < 8 {
				t.Errorf("there are %d steps", k)
			}
			return
		}
	}
}
