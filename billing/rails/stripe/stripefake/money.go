package stripefake

import (
	"maps"
	"net/url"
	"slices"
	"strconv"
)

// Pay pays a part of an open invoice, and returns the id of the payment.
func (f *Fake) Pay(id string, amount int64) (intent string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.objects[id]
	pi := f.add("payment_intent", "pi", Object{"amount": amount})
	paid := f.add("invoice_payment", "inpay", Object{
		"invoice": id, "amount_paid": amount, "status": "paid",
		"payment": Object{"type": "payment_intent", "payment_intent": pi["id"]},
	})
	o["amount_paid"] = number(o["amount_paid"]) + amount
	f.event("invoice_payment.paid", paid)
	f.settle(o)
	return text(pi["id"])
}

// settle makes an invoice paid of which nothing is left.
func (f *Fake) settle(o Object) {
	if number(f.view(o)["amount_remaining"]) > 0 {
		return
	}
	o["status"], o["status_transitions"] = "paid", Object{"paid_at": f.now}
	f.event("invoice.paid", o)
	f.event("invoice.payment_succeeded", o)
}

// Refund gives back a part of a payment, without a credit note, and returns its id.
func (f *Fake) Refund(intent string, amount int64, status string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	return text(f.refund(intent, amount, status)["id"])
}

func (f *Fake) refund(intent string, amount int64, status string) Object {
	currency := "usd"
	for _, paid := range f.paymentsBy(intent) {
		currency = text(f.objects[text(paid["invoice"])]["currency"])
	}
	o := f.add("refund", "re", Object{"amount": amount, "currency": currency, "status": status, "payment_intent": intent, "charge": "ch_" + intent})
	f.event("refund.created", o)
	return o
}

// SetStatus changes the status of a refund or of a dispute.
func (f *Fake) SetStatus(id, status string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.objects[id]
	o["status"] = status
	if o["object"] == "dispute" {
		f.event("charge.dispute.updated", o)
		return
	}
	f.event("refund.updated", o)
}

// Dispute makes the payer's bank take a payment back, and returns the id of the dispute.
func (f *Fake) Dispute(intent string, amount int64) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := f.add("dispute", "du", Object{
		"amount": amount, "currency": "usd", "status": "needs_response", "payment_intent": intent, "charge": "ch_" + intent, "reason": "fraudulent",
	})
	f.event("charge.dispute.created", o)
	return text(o["id"])
}

func (f *Fake) createNote(form url.Values) answer {
	in, ok := f.invoice(form.Get("invoice"))
	amount, err := strconv.ParseInt(form.Get("amount"), 10, 64)
	if !ok || err != nil {
		return invalid("invoice or amount is wrong")
	}
	refund, _ := strconv.ParseInt("0"+form.Get("refund_amount"), 10, 64)
	remaining := number(f.view(in)["amount_remaining"])
	before := amount - refund
	if in["status"] != "open" && in["status"] != "paid" || before > remaining || refund > number(in["amount_paid"]) || in["status"] == "open" && before < min(amount, remaining) {
		return invalid("the amounts of the credit note do not fit the invoice")
	}
	note := f.add("credit_note", "cn", Object{
		"invoice": in["id"], "amount": amount, "currency": in["currency"], "metadata": metadata(form), "refunds": []Object{},
	})
	if refund > 0 {
		for _, paid := range f.all("invoice_payment") {
			if paid["invoice"] == in["id"] {
				payment, _ := paid["payment"].(Object)
				made := f.refund(text(payment["payment_intent"]), refund, "succeeded")
				note["refunds"] = []Object{{"refund": made["id"], "amount_refunded": refund}}
				break
			}
		}
		in["post_payment_credit_notes_amount"] = number(in["post_payment_credit_notes_amount"]) + refund
	}
	in["pre_payment_credit_notes_amount"] = number(in["pre_payment_credit_notes_amount"]) + before
	if in["status"] == "open" {
		f.settle(in)
	}
	f.event("credit_note.created", note)
	return found(maps.Clone(note))
}

func (f *Fake) paymentsBy(intent string) []Object {
	var out []Object
	for _, paid := range f.all("invoice_payment") {
		if payment, _ := paid["payment"].(Object); payment["payment_intent"] == intent {
			out = append(out, maps.Clone(paid))
		}
	}
	return out
}

func (f *Fake) listPayments(query url.Values) answer {
	if query.Get("payment[type]") != "payment_intent" || query.Get("payment[payment_intent]") == "" {
		return invalid("payment is needed")
	}
	out := f.paymentsBy(query.Get("payment[payment_intent]"))
	slices.Reverse(out)
	return page(out, query)
}
