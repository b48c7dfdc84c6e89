package stripe

import (
	"fmt"
	"math/big"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/stripe/stripefake"
)

func (w *world) status(id string) string {
	for _, in := range w.fake.All("invoice") {
		if in["id"] == id {
			return fmt.Sprint(in["status"])
		}
	}
	return "gone"
}

func TestCancel(t *testing.T) {
	w := newWorld(t)
	c := w.process()
	if err := c.Cancel(t.Context(), "2026-17"); err != nil {
		t.Errorf("what was never asked: %v", err)
	}
	invoice := w.invoice()
	request := w.collect(c, invoice)
	for range 2 {
		if err := w.process().Cancel(t.Context(), invoice.Number); err != nil || w.status(request.Reference) != "void" {
			t.Errorf("%v, it is %s", err, w.status(request.Reference))
		}
	}
	_, err := c.Collect(t.Context(), invoice)
	refused(t, err, "it was cancelled")
	invoice.Rev = 1
	next := w.collect(c, invoice)
	if next.Reference == request.Reference || w.status(next.Reference) != "open" {
		t.Errorf("the next revision is %+v, %s", next, w.status(next.Reference))
	}
	invoice.Rev = 0
	if _, err := c.Collect(t.Context(), invoice); err == nil {
		t.Error("the revision before was collected")
	}
	if err := c.Cancel(t.Context(), invoice.Number); err != nil || w.status(next.Reference) != "void" {
		t.Errorf("%v, the next revision is %s", err, w.status(next.Reference))
	}
	refused(t, c.Cancel(t.Context(), "a b"), "has a space")
}

// TestPaidIsNotCancelled shows that money which came is not forgotten, of all or a part.
func TestPaidIsNotCancelled(t *testing.T) {
	for _, amount := range []int64{4200, 100} {
		w := newWorld(t)
		c := w.process()
		invoice := w.invoice()
		request := w.collect(c, invoice)
		w.fake.Pay(request.Reference, amount)
		refused(t, c.Cancel(t.Context(), invoice.Number), fmt.Sprintf("%d usd of it are paid", amount))
		if again := w.collect(c, invoice); again.Reference != request.Reference || w.status(again.Reference) == "void" {
			t.Errorf("it is %s", w.status(again.Reference))
		}
	}
}

func TestGiveUp(t *testing.T) {
	w := newWorld(t)
	c := w.process()
	refused(t, c.GiveUp(t.Context(), "2026-17"), "is not asked at Stripe")
	invoice := w.invoice()
	request := w.collect(c, invoice)
	for _, fault := range []stripefake.Fault{stripefake.BrokenDone, stripefake.None} {
		w.once(1, "POST", "/v1/invoices/", fault)
		if err := c.GiveUp(t.Context(), invoice.Number); err != nil || w.status(request.Reference) != "uncollectible" {
			t.Errorf("%v, it is %s", err, w.status(request.Reference))
		}
	}
	// It can still be paid.
	if again := w.collect(c, invoice); again.Link != request.Link {
		t.Errorf("it says %+v", again)
	}
	w.fake.Pay(request.Reference, 4200)
	refused(t, c.GiveUp(t.Context(), invoice.Number), "is paid at Stripe, not open")
	w.once(1, "POST", "/v1/invoices/", stripefake.None)
	refused(t, c.GiveUp(t.Context(), ""), "is empty")
}

func credit(number string, amount int64) rails.Credit {
	return rails.Credit{Number: number, Invoice: "2026-17", Currency: usd, Amount: big.NewInt(amount), Reason: "it was down"}
}

// TestCredit shows what becomes of credit notes on an invoice of 4200.
func TestCredit(t *testing.T) {
	for _, tt := range []struct {
		name           string
		paid, amount   int64
		refunded, left int64
	}{
		{"nothing is paid", 0, 1000, 0, 3200},
		{"nothing is paid, all of it", 0, 4200, 0, 0},
		{"all is paid", 4200, 1000, 1000, 0},
		{"all is paid, all of it", 4200, 4200, 4200, 0},
		{"a part is paid, less than what is open", 1200, 1000, 0, 2000},
		{"a part is paid, more than what is open", 1200, 4000, 1000, 0},
	} {
		t.Run(tt.name, func(t *testing.T) {
			w := newWorld(t)
			request := w.collect(w.process(), w.invoice())
			if tt.paid > 0 {
				w.fake.Pay(request.Reference, tt.paid)
			}
			var first string
			for range 3 {
				id, err := w.process().Credit(t.Context(), credit("C-1", tt.amount))
				if err != nil || first != "" && id != first {
					t.Fatalf("%q after %q, %v", id, first, err)
				}
				first = id
				w.fake.ForgetKeys()
			}
			notes, refunds := w.fake.All("credit_note"), w.fake.All("refund")
			if len(notes) != 1 || notes[0]["id"] != first || fmt.Sprint(notes[0]["amount"]) != fmt.Sprint(tt.amount) {
				t.Errorf("the notes are %v", notes)
			}
			if tt.refunded == 0 && len(refunds) > 0 || tt.refunded > 0 && (len(refunds) != 1 || fmt.Sprint(refunds[0]["amount"]) != fmt.Sprint(tt.refunded)) {
				t.Errorf("the refunds are %v, want %d", refunds, tt.refunded)
			}
			if left := w.fake.All("invoice")[0]["amount_remaining"]; fmt.Sprint(left) != fmt.Sprint(tt.left) {
				t.Errorf("%v are left, want %d", left, tt.left)
			}
			keys := w.seen("POST", "/v1/credit_notes")
			if len(keys) != 1 || keys[0].key != "cn:C-1:create" || keys[0].form.Get("email_type") != "none" {
				t.Errorf("it was asked with %+v", keys)
			}
		})
	}
}

// TestStopOfCredit stops a process at each of its steps: the money goes back once.
func TestStopOfCredit(t *testing.T) {
	for _, forget := range []bool{false, true} {
		for at := 0; ; at++ {
			w := newWorld(t)
			request := w.collect(w.process(), w.invoice())
			w.fake.Pay(request.Reference, 1200)
			w.stops.arm(at)
			_, err := w.process().Credit(t.Context(), credit("C-1", 4000))
			what, stopped := w.stops.stopped()
			if stopped && err == nil {
				t.Errorf("stopped at %s, it did not fail", what)
			}
			w.stops.arm(-1)
			if forget {
				w.fake.ForgetKeys()
			}
			// More is paid meanwhile, if Stripe still takes it.
			if w.status(request.Reference) == "open" {
				w.fake.Pay(request.Reference, 100)
			}
			if _, err := w.process().Credit(t.Context(), credit("C-1", 4000)); err != nil && at > 10 {
				t.Errorf("stopped at %d, %s: %v", at, what, err)
			}
			if notes, refunds := w.fake.All("credit_note"), w.fake.All("refund"); len(notes) > 1 || len(refunds) > 1 {
				t.Errorf("stopped at %d, %s: %v, %v", at, what, notes, refunds)
			}
			if !stopped {
				break
			}
		}
	}
}

// TestCreditIsNotRepeated shows that a failure which Stripe has kept gives the money back at
// most once: the key stays, until Stripe forgets it.
func TestCreditIsNotRepeated(t *testing.T) {
	for _, fault := range []stripefake.Fault{stripefake.Broken, stripefake.BrokenDone} {
		w := newWorld(t)
		request := w.collect(w.process(), w.invoice())
		w.fake.Pay(request.Reference, 4200)
		w.once(1, "POST", "/v1/credit_notes", fault)
		_, err := w.process().Credit(t.Context(), credit("C-1", 1000))
		later(t, err)
		_, err = w.process().Credit(t.Context(), credit("C-1", 1000))
		if fault == stripefake.Broken {
			later(t, err)
			w.fake.ForgetKeys()
			_, err = w.process().Credit(t.Context(), credit("C-1", 1000))
		}
		if err != nil || len(w.fake.All("refund")) != 1 {
			t.Errorf("%v, the refunds are %v", err, w.fake.All("refund"))
		}
	}
}

func TestBadCredits(t *testing.T) {
	w := newWorld(t)
	c := w.process()
	invoice := w.invoice()
	_, err := c.Credit(t.Context(), credit("C-1", 1))
	refused(t, err, "is not asked at Stripe")
	request := w.collect(c, invoice)
	if _, err := c.Credit(t.Context(), credit("C-1", 4000)); err != nil {
		t.Fatal(err)
	}
	for want, change := range map[string]func(*rails.Credit){
		"is empty":                     func(n *rails.Credit) { n.Number = "" },
		"is of nothing":                func(n *rails.Credit) { n.Amount = new(big.Int) },
		"note C-2 is of nothing":       func(n *rails.Credit) { n.Amount = nil },
		"is not asked":                 func(n *rails.Credit) { n.Invoice = "2026-18" },
		"C-2 is in EUR":                func(n *rails.Credit) { n.Currency.Code = "EUR" },
		"Stripe does not take":         func(n *rails.Credit) { n.Currency.Code = "FIL" },
		"is of 201, and 200":           func(n *rails.Credit) { n.Amount = big.NewInt(201) },
		"more than Stripe takes":       func(n *rails.Credit) { n.Amount = new(big.Int).Lsh(big.NewInt(1), 64) },
		"the number \"a:b\" is empty,": func(n *rails.Credit) { n.Number = "a:b" },
	} {
		bad := credit("C-2", 1)
		change(&bad)
		_, err := c.Credit(t.Context(), bad)
		refused(t, err, want)
	}
	if err := c.GiveUp(t.Context(), invoice.Number); err != nil {
		t.Fatal(err)
	}
	_, err = c.Credit(t.Context(), credit("C-3", 1))
	refused(t, err, "is uncollectible at Stripe, neither open nor paid")
	if w.status(request.Reference) != "uncollectible" || len(w.fake.All("credit_note")) != 1 {
		t.Errorf("there are %v", w.fake.All("credit_note"))
	}
	// Another amount under the same number, after a stop.
	w = newWorld(t)
	w.collect(w.process(), invoice)
	w.once(1, "POST", "/v1/credit_notes", stripefake.Broken)
	_, err = w.process().Credit(t.Context(), credit("C-1", 1))
	later(t, err)
	_, err = w.process().Credit(t.Context(), credit("C-1", 2))
	refused(t, err, "was asked before: 1 of invoice 2026-17")
}
