package api

import (
	"bytes"
	"fmt"
	"net/http"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
)

// invoiceView is an invoice in a list.
type invoiceView struct {
	Number string `json:"number"`
	Kind   string `json:"kind"`
	State  string `json:"state,omitempty"`
	From   string `json:"from"`
	To     string `json:"to"`
	Issued string `json:"issued,omitempty"`
	Due    string `json:"due,omitempty"`
	Gross  string `json:"gross"`
	Paid   string `json:"paid,omitempty"`
	// Currency is that of the amounts.
	Currency string `json:"currency"`
}

func viewOfInvoice(c invoice.Copy) invoiceView {
	d := c.Document
	v := invoiceView{
		Number: d.Number, Kind: string(d.Kind), State: string(c.Standing.State), From: d.Period.From.String(), To: (d.Period.To - 1).String(),
		Gross: d.Totals.Gross.Text(), Currency: d.Currency.Code(),
	}
	if d.Issued != 0 {
		v.Issued = d.Issued.String()
	}
	if d.Due != 0 {
		v.Due = d.Due.String()
	}
	if c.Standing.State != "" {
		v.Paid = c.Standing.Paid.Text()
	}
	return v
}

func noInvoices() error {
	return missing("there are no invoices here: invoices.buyers_file is not set")
}

// invoices answers with what was issued to an owner, the last ones first.
func (a *API) invoices(w http.ResponseWriter, c *call) error {
	if err := c.known("limit", "cursor", "format"); err != nil {
		return err
	}
	limit, err := c.limit(100, 1000)
	if err != nil {
		return err
	}
	after, err := c.cursor("invoices", 1)
	if err != nil {
		return err
	}
	if a.config.Invoices == nil {
		return noInvoices()
	}
	all, err := a.config.Invoices.Documents(c.Context(), c.owner)
	if err != nil {
		return err
	}
	var p page[invoiceView]
	begun := after == nil
	for _, one := range all {
		switch {
		case !begun:
			begun = one.Document.Number == after[0]
			continue
		case len(p.Items) == limit:
			p.Next = cursorOf("invoices", p.Items[limit-1].Number)
		}
		if p.Next != "" {
			break
		}
		p.Items = append(p.Items, viewOfInvoice(one))
	}
	if !begun {
		return errCursor()
	}
	return list(a, w, c, p, []string{"number", "kind", "state", "from", "to", "issued", "due", "gross", "paid", "currency"},
		func(v invoiceView) []any {
			return []any{v.Number, v.Kind, v.State, v.From, v.To, v.Issued, v.Due, v.Gross, v.Paid, v.Currency}
		})
}

// forms are those of a document, by the ends of paths.
func forms() map[string]struct {
	kind  string
	write func(invoice.Copy, *bytes.Buffer) error
} {
	return map[string]struct {
		kind  string
		write func(invoice.Copy, *bytes.Buffer) error
	}{
		"html": {"text/html; charset=utf-8", func(c invoice.Copy, to *bytes.Buffer) error { return c.HTML(to) }},
		"pdf":  {"application/pdf", func(c invoice.Copy, to *bytes.Buffer) error { return c.PDF(to) }},
		"csv":  {"text/csv; charset=utf-8", func(c invoice.Copy, to *bytes.Buffer) error { return c.CSV(to) }},
		"json": {"application/json", func(c invoice.Copy, to *bytes.Buffer) error { return c.JSON(to) }},
	}
}

// invoice answers with a document, in the form that the path ends in, JSON if in none.
func (a *API) invoice(w http.ResponseWriter, c *call) error {
	if err := c.known(); err != nil {
		return err
	}
	if a.config.Invoices == nil {
		return noInvoices()
	}
	number, form := c.PathValue("number"), "json"
	for name := range forms() {
		if cut, ok := strings.CutSuffix(number, "."+name); ok {
			number, form = cut, name
			break
		}
	}
	found, ok, err := a.config.Invoices.Document(c.Context(), number)
	if err != nil {
		return err
	}
	// That of another owner is not told from one that there is not.
	if !ok || found.Document.Owner != c.owner {
		return missing("there is no such invoice")
	}
	var text bytes.Buffer
	as := forms()[form]
	if err := as.write(found, &text); err != nil {
		return fmt.Errorf("writing the invoice %s as %s: %w", number, form, err)
	}
	w.Header().Set("Content-Type", as.kind)
	w.Header().Set("Content-Security-Policy", invoice.Policy())
	_, err = w.Write(text.Bytes())
	a.said(err)
	return nil
}

// happenings answers with what was told of an owner.
func (a *API) happenings(w http.ResponseWriter, c *call) error {
	if err := c.known("limit", "cursor"); err != nil {
		return err
	}
	limit, err := c.limit(100, 1000)
	if err != nil {
		return err
	}
	after, err := c.cursor("events", 1)
	if err != nil {
		return err
	}
	if a.config.Happenings == nil {
		return missing("there are no events here: invoices.buyers_file is not set")
	}
	id := ""
	if after != nil {
		id = after[0]
	}
	found, err := a.config.Happenings.Happenings(c.Context(), c.owner, id, limit+1)
	if err != nil {
		return err
	}
	p := page[Happening]{Items: found[:min(limit, len(found))]}
	if len(found) > limit {
		p.Next = cursorOf("events", found[limit-1].ID)
	}
	return list(a, w, c, p, nil, nil)
}
