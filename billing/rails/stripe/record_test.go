package stripe

import (
	"encoding/json"
	"fmt"
	"net/http"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

// TestMovements shows what is recorded of refunds and disputes at each of their states.
func TestMovements(t *testing.T) {
	w, reference, _ := paid(t)
	h := w.hooks(newHook)
	intent := fmt.Sprint(w.fake.All("payment_intent")[0]["id"])
	all := func() {
		for _, body := range w.fake.Events() {
			if code := deliver(h, body); code != http.StatusOK {
				t.Errorf("it answers %d to %s", code, body)
			}
		}
	}
	want := func(id string, kind rails.Kind, final bool, amount int64, says string) {
		t.Helper()
		p, ok := w.journal.Payment(Name, id)
		if !ok || p.Kind != kind || p.Final != final || p.Amount.Int64() != amount || p.Invoice != "2026-17" || !strings.Contains(p.Detail, says) {
			t.Errorf("recorded is %+v, %v", p, ok)
		}
	}
	refund := w.fake.Refund(intent, 500, "pending")
	all()
	want(refund, rails.Refunded, false, 500, "refund of ch_"+intent)
	w.fake.SetStatus(refund, "succeeded")
	all()
	want(refund, rails.Refunded, true, 500, "")
	w.fake.SetStatus(refund, "failed")
	all()
	want(refund, rails.Reversed, true, 500, "failed")
	for status, state := range map[string]struct {
		kind  rails.Kind
		final bool
	}{"lost": {rails.Disputed, true}, "won": {rails.Reversed, true}} {
		dispute := w.fake.Dispute(intent, 4200)
		all()
		want(dispute, rails.Disputed, false, 4200, "needs_response: fraudulent")
		w.fake.SetStatus(dispute, status)
		all()
		want(dispute, state.kind, state.final, 4200, status)
	}
	inquiry := w.fake.Dispute(intent, 4200)
	w.fake.SetStatus(inquiry, "warning_needs_response")
	all()
	if p, ok := w.journal.Payment(Name, inquiry); ok {
		t.Errorf("of an inquiry is recorded %+v", p)
	}
	if _, ok := w.journal.Payment(Name, reference); ok {
		t.Error("no event told of the payment itself")
	}
}

// TestNotOurs shows what becomes of money that came for something else.
func TestNotOurs(t *testing.T) {
	w, reference, _ := paid(t)
	h := w.hooks(newHook)
	// A copy that somebody made has our number, and is not what we asked.
	duplicate := w.fake.Copy(reference)
	// Without a number it is of another program, with its own events.
	stranger := w.fake.Copy(reference)
	foreign := w.fake.Pay(stranger, 1)
	body := func(id, kind, object string) []byte {
		text, err := json.Marshal(map[string]any{
			"id": "evt_x" + id, "object": "event", "type": kind, "created": 1, "livemode": false, "data": map[string]any{"object": map[string]any{"id": id, "object": object}},
		})
		if err != nil {
			t.Fatal(err)
		}
		return text
	}
	w.fake.SetMetadata(stranger, nil)
	refund := w.fake.Refund(foreign, 1, "succeeded")
	alone := w.fake.Refund("pi_alone", 1, "succeeded")
	for _, b := range [][]byte{
		body(duplicate, "invoice.paid", "invoice"), body(stranger, "invoice.paid", "invoice"), body("in_deleted", "invoice.deleted", "invoice"),
		body(refund, "refund.created", "refund"), body(alone, "refund.created", "refund"), body("cus_1", "customer.created", "customer"), body("", "invoice.upcoming", "invoice"),
	} {
		if code := deliver(h, b); code != http.StatusOK {
			t.Errorf("it answers %d to %s", code, b)
		}
	}
	p, ok := w.journal.Payment(Name, duplicate)
	if !ok || p.Invoice != "" || !strings.Contains(p.Detail, "was not made for it") || w.journal.Payments() != 1 {
		t.Errorf("recorded is %+v, of %d payments", p, w.journal.Payments())
	}
}

// TestMetadataIsNotTrusted shows that a payment is found whose invoice somebody has changed
// at Stripe.
func TestMetadataIsNotTrusted(t *testing.T) {
	for _, metadata := range []map[string]string{nil, {metaNumber: "2026-18", metaRevision: "0"}} {
		w, reference, events := paid(t)
		w.fake.SetMetadata(reference, metadata)
		if code := deliver(w.hooks(newHook), invoicePaid(t, events)); code != http.StatusOK {
			t.Errorf("it answers %d", code)
		}
		if p, ok := w.journal.Payment(Name, reference); !ok || p.Invoice != "2026-17" || p.Detail != "" {
			t.Errorf("%v: recorded is %+v", metadata, p)
		}
	}
}

// TestLook shows that what events did not tell can be asked for.
func TestLook(t *testing.T) {
	w, reference, _ := paid(t)
	for range 2 {
		if err := w.process().Look(t.Context(), "2026-17"); err != nil {
			t.Fatal(err)
		}
	}
	if p, ok := w.journal.Payment(Name, reference); !ok || p.Amount.Int64() != 4200 || p.Invoice != "2026-17" {
		t.Errorf("recorded is %+v", p)
	}
	if err := w.process().Look(t.Context(), "2026-18"); err != nil {
		t.Error(err)
	}
}
