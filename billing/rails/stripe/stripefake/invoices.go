package stripefake

import (
	"maps"
	"net/url"
	"strconv"
	"strings"
)

// least is the smallest amount that is charged: less is taken for paid, and owed later.
const least = 50

// metadata returns metadata[x] of a form.
func metadata(form url.Values) map[string]string {
	out := make(map[string]string)
	for name := range form {
		if inner, ok := strings.CutPrefix(name, "metadata["); ok {
			out[strings.TrimSuffix(inner, "]")] = form.Get(name)
		}
	}
	return out
}

func (f *Fake) createInvoice(form url.Values) answer {
	customer := form.Get("customer")
	switch {
	case !strings.HasPrefix(customer, "cus_"):
		return missing(customer)
	case form.Get("collection_method") == "send_invoice" && form.Get("due_date") == "" && form.Get("days_until_due") == "":
		return invalid("days_until_due or due_date is needed")
	case form.Get("due_date") != "" && form.Get("due_date") < strconv.FormatInt(f.now, 10):
		return invalid("due_date is in the past")
	}
	o := f.add("invoice", "in", Object{
		"customer": customer, "currency": form.Get("currency"), "status": "draft", "auto_advance": form.Get("auto_advance") == "true",
		"metadata": metadata(form), "amount_paid": int64(0), "pre_payment_credit_notes_amount": int64(0), "post_payment_credit_notes_amount": int64(0),
		"status_transitions": Object{}, "description": form.Get("description"), "due_date": form.Get("due_date"),
	})
	delete(o, "due_date") // its type differs, and nobody reads it
	if form.Get("pending_invoice_items_behavior") == "include" {
		for _, item := range f.all("invoiceitem") {
			if item["invoice"] == nil && item["customer"] == customer {
				item["invoice"] = o["id"]
			}
		}
	}
	return found(f.view(o))
}

// view is an object as it is shown: an invoice with its sums.
func (f *Fake) view(o Object) Object {
	out := maps.Clone(o)
	if o["object"] != "invoice" {
		return out
	}
	total := int64(0)
	for _, item := range f.all("invoiceitem") {
		if item["invoice"] == o["id"] {
			total += number(item["amount"])
		}
	}
	if f.taxed[text(o["customer"])] {
		total += total / 10
	}
	due := number(o["due"])
	if o["status"] == "draft" {
		due = max(0, total+f.balances[text(o["customer"])])
		if due < least {
			due = 0
		}
	}
	due -= number(o["pre_payment_credit_notes_amount"])
	out["total"], out["amount_due"], out["amount_remaining"] = total, due, due-number(o["amount_paid"])
	delete(out, "due")
	return out
}

func number(v any) int64 {
	n, _ := v.(int64)
	return n
}

func text(v any) string {
	s, _ := v.(string)
	return s
}

// invoice returns an invoice, or the answer that there is none.
func (f *Fake) invoice(id string) (Object, bool) {
	o, ok := f.objects[id]
	return o, ok && o["object"] == "invoice"
}

func (f *Fake) actOnInvoice(id, action string) answer {
	o, ok := f.invoice(id)
	if !ok {
		return missing(id)
	}
	status := text(o["status"])
	switch action {
	case "finalize":
		if status != "draft" {
			return invalid("This invoice is already finalized")
		}
		v := f.view(o)
		o["due"], o["status"], o["hosted_invoice_url"] = v["amount_due"], "open", "https://invoice.stripe.example/"+id
		if number(o["due"]) == 0 {
			o["status"] = "paid"
		}
		f.event("invoice.finalized", o)
	case "void":
		if status != "open" && status != "uncollectible" {
			return invalid("only open invoices can be voided")
		}
		o["status"] = "void"
		f.event("invoice.voided", o)
	case "mark_uncollectible":
		if status != "open" {
			return invalid("only open invoices can be marked")
		}
		o["status"] = "uncollectible"
		f.event("invoice.marked_uncollectible", o)
	default:
		return missing(action)
	}
	return found(f.view(o))
}

func (f *Fake) deleteInvoice(id string) answer {
	o, ok := f.invoice(id)
	switch {
	case !ok:
		return missing(id)
	case o["status"] != "draft":
		return invalid("only drafts can be deleted")
	}
	delete(f.objects, id)
	for _, item := range f.all("invoiceitem") {
		if item["invoice"] == id {
			delete(f.objects, text(item["id"]))
		}
	}
	return found(Object{"id": id, "object": "invoice", "deleted": true})
}

func (f *Fake) createItem(form url.Values) answer {
	amount, err := strconv.ParseInt(form.Get("amount"), 10, 64)
	if err != nil {
		return invalid("amount is not a number")
	}
	item := Object{
		"amount": amount, "currency": form.Get("currency"), "customer": form.Get("customer"), "description": form.Get("description"),
		"metadata": metadata(form), "invoice": nil,
	}
	if id := form.Get("invoice"); id != "" {
		in, ok := f.invoice(id)
		switch {
		case !ok:
			return missing(id)
		case in["status"] != "draft":
			return invalid("This invoice is no longer editable")
		case in["currency"] != item["currency"]:
			return invalid("the currencies differ")
		}
		item["invoice"] = id
	}
	return found(f.view(f.add("invoiceitem", "ii", item)))
}

func (f *Fake) deleteItem(id string) answer {
	item, ok := f.objects[id]
	if !ok {
		return missing(id)
	}
	if in, ok := f.invoice(text(item["invoice"])); ok && in["status"] != "draft" {
		return invalid("This invoice is no longer editable")
	}
	delete(f.objects, id)
	return found(Object{"id": id, "object": "invoiceitem", "deleted": true})
}

// Draft makes an empty draft.
func (f *Fake) Draft(customer, currency string, metadata map[string]string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	a := f.createInvoice(url.Values{"customer": {customer}, "currency": {currency}})
	o, _ := a.body.(Object)
	f.objects[text(o["id"])]["metadata"] = metadata
	return text(o["id"])
}

// AddItem adds an item to a draft, as somebody else may.
func (f *Fake) AddItem(invoice, customer, currency string, amount int64) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.add("invoiceitem", "ii", Object{"amount": amount, "currency": currency, "customer": customer, "invoice": invoice, "metadata": map[string]string{}})
}

// Copy makes a final copy of an invoice with its metadata, as somebody may who uses the
// dashboard.
func (f *Fake) Copy(id string) string {
	f.mu.Lock()
	defer f.mu.Unlock()
	o := maps.Clone(f.objects[id])
	delete(o, "id")
	delete(o, "created")
	return text(f.add("invoice", "in", o)["id"])
}

// Void voids an invoice, as somebody may who uses the dashboard.
func (f *Fake) Void(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.actOnInvoice(id, "void")
}

// Delete deletes a draft, as somebody may who uses the dashboard.
func (f *Fake) Delete(id string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.deleteInvoice(id)
}

// SetMetadata replaces the metadata of an object, as somebody may who uses the dashboard.
func (f *Fake) SetMetadata(id string, metadata map[string]string) {
	f.mu.Lock()
	defer f.mu.Unlock()
	f.objects[id]["metadata"] = metadata
}

// Double adds the items of all drafts once more, as a request does that was sent twice
// without a key.
func (f *Fake) Double() {
	f.mu.Lock()
	defer f.mu.Unlock()
	for _, item := range f.all("invoiceitem") {
		if in, ok := f.invoice(text(item["invoice"])); ok && in["status"] == "draft" {
			f.add("invoiceitem", "ii", maps.Clone(item))
		}
	}
}
