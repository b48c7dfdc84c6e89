package invoicing

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/railstest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// TestJournal: what rails rely on holds for the tables, also when answers are lost.
func TestJournal(t *testing.T) {
	w := newWorld(t)
	recorded := func(rail, id string) (rails.Payment, bool) {
		p, ok, err := w.office(nil).Journal().Recorded(t.Context(), rail, id)
		must(t, err)
		return p, ok
	}
	railstest.TestJournal(t, func() rails.Journal { return w.office(nil).Journal() }, recorded)
	must(t, w.db.Session.Query("TRUNCATE remembered").Exec())
	must(t, w.db.Session.Query("TRUNCATE movements").Exec())
	railstest.TestJournal(t, func() rails.Journal { return &patient{w.office(&shaky{DB: w.db, left: -1, chaos: true}).Journal()} }, recorded)
}

// patient does again what had no answer, as rails do.
type patient struct{ *Journal }

func (p *patient) Remember(ctx context.Context, rail, key, value string) (string, error) {
	for {
		if kept, err := p.Journal.Remember(ctx, rail, key, value); !errors.Is(err, errLost) {
			return kept, err
		}
	}
}

func (p *patient) Record(ctx context.Context, payment rails.Payment) error {
	for {
		if err := p.Journal.Record(ctx, payment); !errors.Is(err, errLost) {
			return err
		}
	}
}

// payment is a movement of money by a rail, in cents.
func payment(id string, version uint64, kind rails.Kind, number string, cents int64) rails.Payment {
	return rails.Payment{
		Rail: "stripe", ID: id, Version: version, Kind: kind, Invoice: number, Amount: big.NewInt(cents), Currency: rails.Currency{Code: "USD", Digits: 2},
		At: time.Date(2027, 1, 5, 0, 0, 0, 0, time.UTC),
	}
}

// issued has an owner's invoice of 2.38 USD.
func (w *world) issued(owner string) Document {
	w.tb.Helper()
	w.owner(owner, 60)
	d, err := w.office(nil).Issue(w.tb.Context(), owner, december)
	must(w.tb, err)
	if d.Totals.Gross.Text() != "2.38" {
		w.tb.Fatalf("it costs %s", d.Totals.Gross)
	}
	return d
}

// unmatched is what is to be looked at, by its id.
func (w *world) unmatched() map[string]Unmatched {
	w.tb.Helper()
	out := make(map[string]Unmatched)
	must(w.tb, w.office(nil).EachUnmatched(w.tb.Context(), "stripe", 202701, func(u Unmatched) error {
		if u.Resolved == "" {
			out[u.ID] = u
		}
		return nil
	}))
	return out
}

func (w *world) stands(number string, state invoice.State, paid string) {
	w.tb.Helper()
	d, err := w.office(nil).Document(w.tb.Context(), number)
	must(w.tb, err)
	if d.State != state || d.Standing.Paid.Text() != paid {
		w.tb.Errorf("%s is %s with %s paid, want %s with %s", number, d.State, d.Standing.Paid.Text(), state, paid)
	}
}

// An invoice is paid when all of it came in, whatever the order; what is too much, or fits nowhere, is
// to be looked at.
func TestPayments(t *testing.T) {
	w := newWorld(t)
	j := w.office(nil).Journal()
	d := w.issued("alice")
	record := func(p rails.Payment) {
		t.Helper()
		must(t, j.Record(t.Context(), p))
		must(t, j.Record(t.Context(), p)) // told twice
	}
	record(payment("a", 1, rails.Paid, d.Number, 100))
	w.stands(d.Number, invoice.Open, "1.00")
	record(payment("a", 2, rails.Paid, d.Number, 138))
	record(payment("b", 1, rails.Paid, d.Number, 100))
	w.stands(d.Number, invoice.Paid, "2.38")
	if u := w.unmatched(); len(u) != 0 {
		t.Errorf("to be looked at are %+v", u)
	}
	late := payment("c", 1, rails.Paid, d.Number, 238)
	late.At = time.Date(2027, 1, 17, 0, 0, 0, 0, time.UTC)
	record(late)
	w.stands(d.Number, invoice.Paid, "4.76")
	if u := w.unmatched(); len(u) != 1 || !strings.Contains(u["c"].Why, "2.38 USD more came in") {
		t.Errorf("to be looked at are %+v", u)
	}
	_, all, err := w.office(nil).Payments(t.Context(), d.Number)
	if err != nil || len(all) != 3 || all[0].Late || !all[2].Late || all[2].Counts.Text() != "2.38" {
		t.Errorf("payments are %+v, %v", all, err)
	}
	record(payment("r", 1, rails.Refunded, d.Number, 238))
	w.stands(d.Number, invoice.Paid, "2.38")
	record(payment("b", 2, rails.Reversed, d.Number, 100))
	w.stands(d.Number, invoice.Open, "1.38")
	record(payment("b", 1, rails.Paid, d.Number, 100)) // an older state
	w.stands(d.Number, invoice.Open, "1.38")
	record(payment("b", 3, rails.Paid, d.Number, 100))
	w.stands(d.Number, invoice.Paid, "2.38")
	record(payment("dispute", 1, rails.Disputed, d.Number, 138))
	w.stands(d.Number, invoice.Open, "1.00")
	asked, err := w.office(nil).Asked(t.Context(), d.Number, 1, "cus")
	if err != nil || asked.Total.Int64() != 238 || asked.Rev != 1 || len(asked.Lines) != len(d.Lines)+1 {
		t.Errorf("asked is %+v, %v", asked, err)
	}
}

// A movement that was for one invoice and is for another one is taken from the first.
func TestMovedPayment(t *testing.T) {
	w := newWorld(t)
	a, b := w.issued("alice"), w.issued("bob")
	for k := 1; k < 20; k++ {
		id := fmt.Sprint("m", k)
		must(t, w.office(nil).Journal().Record(t.Context(), payment(id, 1, rails.Paid, a.Number, 238)))
		w.stands(a.Number, invoice.Paid, "2.38")
		_ = w.office(&shaky{DB: w.db, left: k}).Journal().Record(t.Context(), payment(id, 2, rails.Paid, b.Number, 238))
		must(t, w.office(nil).Journal().Record(t.Context(), payment(id, 2, rails.Paid, b.Number, 238)))
		w.stands(a.Number, invoice.Open, "0.00")
		w.stands(b.Number, invoice.Paid, "2.38")
		must(t, w.office(nil).Journal().Record(t.Context(), payment(id, 3, rails.Reversed, b.Number, 238)))
		w.stands(b.Number, invoice.Open, "0.00")
	}
}

// What fits nowhere is assigned by an operator, once.
func TestAssign(t *testing.T) {
	w := newWorld(t)
	d, other := w.issued("alice"), w.issued("bob")
	o := w.office(nil)
	j := o.Journal()
	wrong := payment("eur", 1, rails.Paid, d.Number, 238)
	wrong.Currency.Code = "EUR"
	for _, p := range []rails.Payment{payment("nobody", 1, rails.Paid, "", 100), payment("gone", 1, rails.Paid, "A-000099", 200), wrong, payment("good", 1, rails.Paid, d.Number, 38)} {
		must(t, j.Record(t.Context(), p))
	}
	u := w.unmatched()
	if len(u) != 3 || !strings.Contains(u["nobody"].Why, "nobody has said") || !strings.Contains(u["gone"].Why, "there is no invoice A-000099") || !strings.Contains(u["eur"].Why, "in EUR") {
		t.Errorf("to be looked at are %+v", u)
	}
	w.stands(d.Number, invoice.Open, "0.38")
	for range 2 {
		must(t, o.Assign(t.Context(), "stripe", "nobody", d.Number, usd(t, "1.00"), "carol"))
		must(t, o.Assign(t.Context(), "stripe", "eur", d.Number, usd(t, "1.00"), "carol"))
	}
	w.stands(d.Number, invoice.Paid, "2.38")
	if u := w.unmatched(); len(u) != 1 {
		t.Errorf("to be looked at are %+v", u)
	}
	for id, want := range map[string]error{"nobody": ErrMatched, "good": ErrMatched, "unheard": ErrUnknown} {
		if err := o.Assign(t.Context(), "stripe", id, other.Number, usd(t, "1.00"), "carol"); !errors.Is(err, want) {
			t.Errorf("%s: %v, want %v", id, err, want)
		}
	}
	w.stands(other.Number, invoice.Open, "0.00")
	must(t, j.Record(t.Context(), payment("nobody", 2, rails.Reversed, "", 100)))
	w.stands(d.Number, invoice.Open, "1.38")
	if _, err := o.Void(t.Context(), other.Number); err != nil {
		t.Fatal(err)
	}
	if err := o.Assign(t.Context(), "stripe", "gone", other.Number, usd(t, "2.00"), "carol"); !errors.Is(err, invoice.ErrState) {
		t.Errorf("to a void invoice: %v", err)
	}
	must(t, j.Record(t.Context(), payment("void", 1, rails.Paid, other.Number, 238)))
	if u := w.unmatched(); !strings.Contains(u["void"].Why, "is void") {
		t.Errorf("to be looked at are %+v", u)
	}
}

// Many who record at once, with answers that are lost, come to the sum of all.
func TestPaymentsAtOnce(t *testing.T) {
	w := newWorld(t)
	d := w.issued("alice")
	var all sync.WaitGroup
	for i := range 8 {
		j := &patient{w.office(&shaky{DB: w.db, left: -1, chaos: true}).Journal()}
		all.Go(func() {
			for version := range uint64(3) {
				if err := j.Record(t.Context(), payment(fmt.Sprint("p", i), version, rails.Paid, d.Number, 10+int64(version))); err != nil {
					t.Error(err)
				}
			}
		})
	}
	all.Wait()
	w.stands(d.Number, invoice.Open, "0.96")
}

// between is a database where something happens once before an update with a text in it.
type between struct {
	*shaky
	before  string
	happens func()
}

func (b *between) CAS(ctx context.Context, s scylla.Statement) (bool, map[string]any, error) {
	if f := b.happens; f != nil && strings.Contains(fmt.Sprint(s), b.before) {
		b.happens = nil
		f()
	}
	return b.shaky.CAS(ctx, s)
}

// Who was overtaken looks again, at all that there is.
func TestPaymentOvertaken(t *testing.T) {
	w := newWorld(t)
	d := w.issued("alice")
	db := &between{shaky: &shaky{DB: w.db, left: -1}, before: "SET state = ?, credited = ?", happens: func() {
		// The other one does not see the second payment, as if it had read before that came.
		note := func(text string) { must(t, w.db.Session.Query(text, d.Number).Exec()) }
		note("DELETE FROM payments WHERE invoice = ? AND rail = 'stripe' AND id = 'second'")
		must(t, w.office(nil).Journal().Record(t.Context(), payment("first", 1, rails.Paid, d.Number, 100)))
		w.stands(d.Number, invoice.Open, "1.00")
		note("INSERT INTO payments (invoice, rail, id) VALUES (?, 'stripe', 'second')")
	}}
	must(t, w.office(db).Journal().Record(t.Context(), payment("second", 1, rails.Paid, d.Number, 20)))
	w.stands(d.Number, invoice.Open, "1.20")
}

// A process that dies after any write while it records is followed by one that records again.
func TestCrashWhileRecording(t *testing.T) {
	w := newWorld(t)
	for k := 1; ; k++ {
		d := w.issued(fmt.Sprint("owner", k))
		p := payment(fmt.Sprint("p", k), 1, rails.Paid, d.Number, 238)
		done := w.office(&shaky{DB: w.db, left: k, after: k%2 == 0}).Journal().Record(t.Context(), p) == nil
		must(t, w.office(nil).Journal().Record(t.Context(), p))
		w.stands(d.Number, invoice.Paid, "2.38")
		if done {
			if k < 5 {
				t.Errorf("there are %d steps", k)
			}
			return
		}
	}
}
