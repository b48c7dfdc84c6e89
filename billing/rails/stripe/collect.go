package stripe

import (
	"context"
	"fmt"
	"math/big"
	"net/url"
	"strings"

	sdk "github.com/stripe/stripe-go/v82"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

// want is an invoice in Stripe's words.
type want struct {
	ask
	rails.Invoice

	isNew    bool
	currency string // in small letters
	total    int64
	lines    []int64
}

// maxLines is how many items Stripe takes.
const maxLines = 250

// Collect implements rails.Collector. The customer is an id of Stripe's, cus_….
func (c *Collector) Collect(ctx context.Context, invoice rails.Invoice) (rails.Request, error) {
	w, err := translate(invoice)
	if err != nil {
		return rails.Request{}, err
	}
	if w.ask, w.isNew, err = c.begin(ctx, invoice); err != nil {
		return rails.Request{}, err
	}
	switch why, err := c.ended(ctx, w.ask); {
	case err != nil:
		return rails.Request{}, err
	case why != "":
		return rails.Request{}, c.refuse(ctx, w.ask, why)
	}
	id, err := c.invoiceID(ctx, w)
	if err != nil {
		return rails.Request{}, err
	}
	in, err := c.retrieve(ctx, id)
	if err != nil {
		return rails.Request{}, err
	}
	if in != nil && in.Status == sdk.InvoiceStatusDraft {
		if in, err = c.complete(ctx, w, id); err != nil {
			// It may be that somebody cancels, and the draft is gone.
			if why, err2 := c.ended(ctx, w.ask); err2 == nil && why != "" {
				return rails.Request{}, c.refuse(ctx, w.ask, why)
			}
			return rails.Request{}, err
		}
	}
	return c.answer(ctx, w, in)
}

// translate checks an invoice. The error is a Refusal.
func translate(i rails.Invoice) (want, error) {
	if err := i.Check(); err != nil {
		return want{}, rails.Refuse("%v", err)
	}
	if err := checkName(i.Number); err != nil {
		return want{}, err
	}
	if err := checkCurrency(i.Currency); err != nil {
		return want{}, fmt.Errorf("invoice %s: %w", i.Number, err)
	}
	switch {
	case !isID(i.Customer, "cus_"):
		return want{}, rails.Refuse("invoice %s: %.50q is not a customer of Stripe (cus_…): tell which one %.100q is", i.Number, i.Customer, i.Owner)
	case len(i.Owner) > maxMetadata:
		return want{}, rails.Refuse("invoice %s: the name of its owner has more than %d bytes", i.Number, maxMetadata)
	case len(i.Lines) > maxLines:
		return want{}, rails.Refuse("invoice %s has %d lines, and Stripe takes %d: ask for fewer and longer ones", i.Number, len(i.Lines), maxLines)
	}
	w := want{Invoice: i, currency: strings.ToLower(i.Currency.Code)}
	var err error
	for n, line := range i.Lines {
		amount, err := units(i.Currency, line.Amount)
		if err != nil {
			return want{}, fmt.Errorf("invoice %s, line %d: %w", i.Number, n, err)
		}
		w.lines = append(w.lines, amount)
	}
	if w.total, err = units(i.Currency, i.Total); err != nil {
		return want{}, fmt.Errorf("invoice %s: %w", i.Number, err)
	}
	return w, nil
}

// maxMetadata is how long a value of Stripe's metadata may be, in bytes.
const maxMetadata = 500

// isID tells an id of Stripe's. It can be part of a path.
func isID(id, prefix string) bool {
	rest, ok := strings.CutPrefix(id, prefix)
	return ok && rest != "" && len(id) <= 255 && strings.Trim(rest, "ABCDEFGHIJKLMNOPQRSTUVWXYZabcdefghijklmnopqrstuvwxyz0123456789_") == ""
}

// refuse returns why an ask has ended, after it took away what is left of it at Stripe.
func (c *Collector) refuse(ctx context.Context, a ask, why string) error {
	if err := c.withdraw(ctx, a); err != nil {
		return err
	}
	return rails.Refuse("invoice %s is asked no longer: %s: ask again with the next revision", a.Number, why)
}

// complete makes a draft final. The invoice is nil if it was deleted meanwhile.
func (c *Collector) complete(ctx context.Context, w want, id string) (*sdk.Invoice, error) {
	if err := c.addItems(ctx, w, id); err != nil {
		return nil, err
	}
	in, err := c.retrieve(ctx, id)
	if err != nil || in == nil || in.Status != sdk.InvoiceStatusDraft {
		return in, err
	}
	if why := w.differs(in); why != "" {
		why, err := c.end(ctx, w.ask, why)
		if err != nil {
			return nil, err
		}
		return nil, c.refuse(ctx, w.ask, why)
	}
	if _, err := c.journal.Remember(ctx, Name, numberKey(id), w.ask.Number); err != nil {
		return nil, fmt.Errorf("noting what %s is for: %w", id, err)
	}
	// Who cancels has noted it before looking at Stripe: either this sees it, or
	// Cancel sees what is made final here.
	switch why, err := c.ended(ctx, w.ask); {
	case err != nil:
		return nil, err
	case why != "":
		return nil, c.refuse(ctx, w.ask, why)
	}
	err = c.post(w, "finalize", func(key string) error {
		params := &sdk.InvoiceFinalizeInvoiceParams{AutoAdvance: sdk.Bool(false)}
		params.SetIdempotencyKey(key)
		_, err := c.client.V1Invoices.FinalizeInvoice(ctx, id, params)
		return err
	})
	in, err2 := c.retrieve(ctx, id)
	if err2 == nil && in != nil && in.Status != sdk.InvoiceStatusDraft {
		return in, nil // by whomever
	}
	if err != nil {
		return nil, c.explain("making invoice "+w.ask.Number+" final", err)
	}
	return in, err2
}

// differs tells in which way a draft is not what we ask for, "" if it is.
func (w want) differs(in *sdk.Invoice) string {
	customer := ""
	if in.Customer != nil {
		customer = in.Customer.ID
	}
	switch {
	case string(in.Currency) != w.currency:
		return fmt.Sprintf("Stripe's draft was in %s, not in %s", in.Currency, w.currency)
	case customer != w.ask.Customer:
		return fmt.Sprintf("Stripe's draft was for the customer %s, not for %s", customer, w.ask.Customer)
	case in.AutoAdvance:
		return "Stripe's draft would have been charged by itself"
	case in.Total != w.total:
		return fmt.Sprintf("Stripe's draft came to %d, and ours is %d of the smallest unit of %s: look for taxes, discounts and items that are not ours at the customer", in.Total, w.total, w.currency)
	case in.AmountDue != w.total:
		return fmt.Sprintf("Stripe would ask for %d in place of %d of the smallest unit of %s: the customer has a balance there, or it is less than Stripe charges", in.AmountDue, w.total, w.currency)
	}
	return ""
}

// answer tells how an invoice can be paid.
func (c *Collector) answer(ctx context.Context, w want, in *sdk.Invoice) (rails.Request, error) {
	why := ""
	switch {
	case in == nil:
		why = "its draft was deleted at Stripe"
	case in.Status == sdk.InvoiceStatusVoid:
		why = "it was voided at Stripe"
	}
	if why != "" {
		why, err := c.end(ctx, w.ask, why)
		if err != nil {
			return rails.Request{}, err
		}
		return rails.Request{}, c.refuse(ctx, w.ask, why)
	}
	due := in.AmountDue + in.PrePaymentCreditNotesAmount
	if in.Total != w.total || due != w.total || string(in.Currency) != w.currency {
		return rails.Request{}, rails.Refuse("invoice %s is %s at Stripe and comes to %d there, of which %d %s are asked, not %d: look at %s", w.ask.Number, in.Status, in.Total, due, in.Currency, w.total, in.ID)
	}
	if u, err := url.Parse(in.HostedInvoiceURL); err != nil || u.Scheme != "https" || u.Host == "" {
		return rails.Request{}, fmt.Errorf("invoice %s has no page at Stripe where it can be paid: look at %s", w.ask.Number, in.ID)
	}
	return rails.Request{Reference: in.ID, Link: in.HostedInvoiceURL, Asked: new(big.Int).Set(w.Total), Currency: w.Currency}, nil
}

// retrieve returns an invoice as Stripe has it now, nil if it has none with the id.
func (c *Collector) retrieve(ctx context.Context, id string) (*sdk.Invoice, error) {
	in, err := c.client.V1Invoices.Retrieve(ctx, id, nil)
	switch {
	case isMissing(err):
		return nil, nil
	case err != nil:
		return nil, c.explain("looking at "+id, err)
	case in.Deleted:
		return nil, nil
	}
	return in, nil
}
