package stripe

import (
	"fmt"
	"math/big"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails/stripe/stripefake"
)

func TestCollect(t *testing.T) {
	w := newWorld(t)
	invoice := w.invoice()
	first := w.collect(w.process(), invoice)
	if err := w.onlyOne(invoice, first); err != nil {
		t.Fatal(err)
	}
	// Again, by the same process and another one, also after Stripe forgot the keys.
	w.fake.ForgetKeys()
	c := w.process()
	for range 2 {
		if again := w.collect(c, invoice); again.Reference != first.Reference || again.Link != first.Link {
			t.Errorf("asked again it says %+v, not %+v", again, first)
		}
	}
	if err := w.onlyOne(invoice, first); err != nil {
		t.Error(err)
	}
}

// TestRequests shows what Stripe is sent: the keys, and what keeps it from charging or
// adding anything by itself.
func TestRequests(t *testing.T) {
	w := newWorld(t)
	invoice := w.invoice()
	w.collect(w.process(), invoice)
	var keys []string
	for _, r := range w.seen("POST", "/v1/") {
		keys = append(keys, r.key)
	}
	want := []string{"inv:2026-17:0:create", "inv:2026-17:0:item:0", "inv:2026-17:0:item:1", "inv:2026-17:0:item:2", "inv:2026-17:0:finalize"}
	if fmt.Sprint(keys) != fmt.Sprint(want) {
		t.Errorf("the keys are %q, want %q", keys, want)
	}
	create := w.seen("POST", "/v1/invoices")[0].form
	for param, want := range map[string]string{
		"auto_advance": "false", "automatic_tax[enabled]": "false", "collection_method": "send_invoice", "currency": "usd", "customer": "cus_acme",
		"pending_invoice_items_behavior": "exclude", "metadata[invoice_no]": "2026-17", "metadata[invoice_rev]": "0", "metadata[owner]": "acme",
		"due_date": fmt.Sprint(invoice.Due.Unix()), "discounts": "",
	} {
		if got, ok := create[param]; !ok || got[0] != want {
			t.Errorf("the invoice is made with %s=%q, want %q", param, got, want)
		}
	}
	id := w.fake.All("invoice")[0]["id"]
	for n, r := range w.seen("POST", "/v1/invoiceitems") {
		if r.form.Get("invoice") != id || r.form.Get("discountable") != "false" || r.form.Get("amount") != invoice.Lines[n].Amount.String() {
			t.Errorf("item %d is made with %v", n, r.form)
		}
	}
	if finalize := w.seen("POST", "/v1/invoices/")[0]; finalize.form.Get("auto_advance") != "false" {
		t.Errorf("it is made final with %v", finalize.form)
	}
	for _, kept := range []struct{ key, value string }{{"create", fmt.Sprint(id)}, {"item:2", fmt.Sprint(w.fake.All("invoiceitem")[2]["id"])}} {
		if got, err := w.journal.Recall(t.Context(), Name, "inv:2026-17:0:"+kept.key); got != kept.value || err != nil {
			t.Errorf("the journal has %q, %v of %s, want %s", got, err, kept.key, kept.value)
		}
	}
}

// TestDueNow shows that what is due is due when it is asked.
func TestDueNow(t *testing.T) {
	w := newWorld(t)
	invoice := w.invoice()
	invoice.Due = time.Now().Add(-time.Hour)
	w.collect(w.process(), invoice)
	if form := w.seen("POST", "/v1/invoices")[0].form; form.Get("days_until_due") != "0" || form.Has("due_date") {
		t.Errorf("it is made with %v", form)
	}
}

// TestTotalsAreCompared shows that nothing becomes final which does not come to what we ask
// for, that the draft is deleted, and that the next revision can be asked once the cause is
// gone.
func TestTotalsAreCompared(t *testing.T) {
	for name, tt := range map[string]struct {
		disturb, repair func(w *world)
		want            string
	}{
		"a tax": {
			func(w *world) { w.fake.SetTaxed("cus_acme") }, nil, "Stripe's draft came to 4620, and ours is 4200",
		},
		"the customer owes": {
			func(w *world) { w.fake.SetBalance("cus_acme", 17) }, func(w *world) { w.fake.SetBalance("cus_acme", 0) }, "would ask for 4217 in place of 4200",
		},
		"the customer has good": {
			func(w *world) { w.fake.SetBalance("cus_acme", -4200) }, func(w *world) { w.fake.SetBalance("cus_acme", 0) }, "would ask for 0 in place of 4200",
		},
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t)
			tt.disturb(w)
			invoice := w.invoice()
			for range 2 {
				_, err := w.process().Collect(t.Context(), invoice)
				refused(t, err, tt.want)
				refused(t, err, "ask again with the next revision")
			}
			if left := append(w.fake.All("invoice"), w.fake.All("invoiceitem")...); len(left) > 0 {
				t.Errorf("Stripe still has %v", left)
			}
			if final := w.seen("POST", "/v1/invoices/"); len(final) > 0 {
				t.Errorf("it was made final: %v", final)
			}
			if tt.repair == nil {
				return
			}
			tt.repair(w)
			invoice.Rev = 1
			if err := w.onlyOne(invoice, w.collect(w.process(), invoice)); err != nil {
				t.Error(err)
			}
		})
	}
}

// TestTooLittle shows that Stripe does not take an amount for paid which it does not charge.
func TestTooLittle(t *testing.T) {
	w := newWorld(t)
	invoice := w.invoice()
	invoice.Total, invoice.Lines = big.NewInt(49), []rails.Line{{Description: "a pin", Amount: big.NewInt(49)}}
	_, err := w.process().Collect(t.Context(), invoice)
	refused(t, err, "less than Stripe charges")
	if all := w.fake.All("invoice"); len(all) > 0 {
		t.Errorf("Stripe has %v", all)
	}
}

// TestItemOfSomebodyElse shows that an item which came meanwhile is found by the sum.
func TestItemOfSomebodyElse(t *testing.T) {
	w := newWorld(t)
	invoice := w.invoice()
	// The process stops after the draft and two lines.
	for at := 0; len(w.fake.All("invoiceitem")) < 2; at++ {
		w = newWorld(t)
		w.stops.arm(at)
		_, err := w.process().Collect(t.Context(), invoice)
		later(t, err)
	}
	w.fake.AddItem(fmt.Sprint(w.fake.All("invoice")[0]["id"]), "cus_acme", "usd", 100)
	w.stops.arm(-1)
	_, err := w.process().Collect(t.Context(), invoice)
	refused(t, err, "came to 4300, and ours is 4200")
	if left := w.fake.All("invoice"); len(left) > 0 {
		t.Errorf("Stripe still has %v", left)
	}
}

// TestSameRevisionOtherContent shows that what was asked is not asked otherwise.
func TestSameRevisionOtherContent(t *testing.T) {
	w := newWorld(t)
	invoice := w.invoice()
	request := w.collect(w.process(), invoice)
	other := w.invoice()
	other.Due, other.Lines[0].Description = invoice.Due, "more storage"
	_, err := w.process().Collect(t.Context(), other)
	refused(t, err, "asked before with other content")
	other.Rev = 1
	_, err = w.process().Collect(t.Context(), other)
	refused(t, err, "cancel it first")
	if err := w.onlyOne(invoice, request); err != nil {
		t.Error(err)
	}
}

// TestTakenAwayAtStripe shows that what somebody voided or deleted there is not asked anew
// by itself.
func TestTakenAwayAtStripe(t *testing.T) {
	w := newWorld(t)
	invoice := w.invoice()
	w.fake.Void(w.collect(w.process(), invoice).Reference)
	for range 2 {
		_, err := w.process().Collect(t.Context(), invoice)
		refused(t, err, "it was voided at Stripe")
	}
	invoice.Rev = 1
	w.collect(w.process(), invoice)
	if all := w.fake.All("invoice"); len(all) != 2 || all[1]["status"] != "open" {
		t.Errorf("the next revision gave %v", all)
	}

	w = newWorld(t)
	w.stops.arm(20)
	_, err := w.process().Collect(t.Context(), invoice)
	later(t, err)
	w.stops.arm(-1)
	w.fake.Delete(fmt.Sprint(w.fake.All("invoice")[0]["id"]))
	_, err = w.process().Collect(t.Context(), invoice)
	refused(t, err, "its draft was deleted at Stripe")
}

// TestBadInvoices shows that Stripe is asked nothing for what cannot be asked.
func TestBadInvoices(t *testing.T) {
	for want, change := range map[string]func(i *rails.Invoice){
		"has no number":               func(i *rails.Invoice) { i.Number = "" },
		"or has a space":              func(i *rails.Invoice) { i.Number = "2026:17" },
		"more than 100 bytes":         func(i *rails.Invoice) { i.Number = fmt.Sprintf("%0101d", 1) },
		"not a customer of Stripe":    func(i *rails.Invoice) { i.Customer = "" },
		"is not a customer":           func(i *rails.Invoice) { i.Customer = "cus_a/../b" },
		"name of its owner":           func(i *rails.Invoice) { i.Owner = fmt.Sprintf("%0501d", 1) },
		`Stripe does not take "USDC"`: func(i *rails.Invoice) { i.Currency = rails.Currency{Code: "USDC", Digits: 6} },
		"USD has 2 digits, not 3":     func(i *rails.Invoice) { i.Currency.Digits = 3 },
		"in sum, and the total 1":     func(i *rails.Invoice) { i.Total = big.NewInt(1) },
		"251 lines, and Stripe takes": func(i *rails.Invoice) { i.Lines = append(make251(), i.Lines...) },
		"is more than Stripe takes": func(i *rails.Invoice) {
			i.Total = new(big.Int).Lsh(big.NewInt(1), 70)
			i.Lines = []rails.Line{{Amount: i.Total}}
		},
		"its total is 0": func(i *rails.Invoice) { i.Total = new(big.Int) },
		"is finer than Stripe takes": func(i *rails.Invoice) {
			i.Currency = rails.Currency{Code: "MGA", Digits: 2}
			i.Lines[0].Amount = big.NewInt(5001)
			i.Total = big.NewInt(4201)
		},
		"line 1: 15 of the smallest":   func(i *rails.Invoice) { *i = kwd(*i, 4015, 4000, 15) },
		"Stripe does not take \"UGX\"": func(i *rails.Invoice) { i.Currency = rails.Currency{Code: "UGX"} },
	} {
		w := newWorld(t)
		invoice := w.invoice()
		change(&invoice)
		_, err := w.process().Collect(t.Context(), invoice)
		refused(t, err, want)
		if all := append(w.seen("POST", "/"), w.seen("GET", "/")...); len(all) > 0 {
			t.Errorf("%s: Stripe was asked %v", want, all)
		}
	}
}

func make251() []rails.Line {
	lines := make([]rails.Line, 248)
	for n := range lines {
		lines[n].Amount = new(big.Int)
	}
	return lines
}

func kwd(i rails.Invoice, total int64, lines ...int64) rails.Invoice {
	i.Currency, i.Total, i.Lines = rails.Currency{Code: "KWD", Digits: 3}, big.NewInt(total), nil
	for _, line := range lines {
		i.Lines = append(i.Lines, rails.Line{Amount: big.NewInt(line)})
	}
	return i
}

// TestManyLines shows that lists of Stripe are read to their end.
func TestManyLines(t *testing.T) {
	w := newWorld(t)
	invoice := w.invoice()
	invoice.Lines, invoice.Total = nil, big.NewInt(maxLines)
	for n := range maxLines {
		invoice.Lines = append(invoice.Lines, rails.Line{Description: fmt.Sprint(n), Amount: big.NewInt(1)})
	}
	w.once(200, "POST", "/v1/invoiceitems", stripefake.TooMany)
	_, err := w.process().Collect(t.Context(), invoice)
	later(t, err)
	w.fake.ForgetKeys()
	if err := w.onlyOne(invoice, w.collect(w.process(), invoice)); err != nil {
		t.Error(err)
	}
}

// TestManyProcesses shows that processes which collect at once make one invoice.
func TestManyProcesses(t *testing.T) {
	for range 5 {
		w := newWorld(t)
		invoice := w.invoice()
		requests := make([]rails.Request, 6)
		var group sync.WaitGroup
		for n := range requests {
			c := w.process()
			group.Go(func() {
				for {
					request, err := c.Collect(background(t), invoice)
					if err == nil {
						requests[n] = request
						return
					}
					later(t, err)
					if t.Failed() {
						return
					}
				}
			})
		}
		group.Wait()
		for _, request := range requests {
			if err := w.onlyOne(invoice, request); err != nil {
				t.Fatal(err)
			}
		}
	}
}
