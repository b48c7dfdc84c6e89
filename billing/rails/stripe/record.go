package stripe

import (
	"context"
	"fmt"
	"time"

	sdk "github.com/stripe/stripe-go/v82"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

// Look records what is paid of an invoice at Stripe by now, without an event: for when
// events were lost.
func (c *Collector) Look(ctx context.Context, number string) error {
	if err := checkName(number); err != nil {
		return err
	}
	asks, err := c.asks(ctx, number)
	if err != nil {
		return err
	}
	for _, a := range asks {
		id, err := c.journal.Recall(ctx, Name, a.step("create"))
		if err != nil {
			return fmt.Errorf("looking for what was made of invoice %s: %w", number, err)
		}
		if id == "" {
			continue
		}
		if err := c.recordInvoice(ctx, id, time.Now()); err != nil {
			return err
		}
	}
	return nil
}

// recordInvoice records what is paid of an invoice. What is paid only grows, so that it
// orders the states; refunds and disputes are movements of their own.
func (c *Collector) recordInvoice(ctx context.Context, id string, at time.Time) error {
	in, err := c.retrieve(ctx, id)
	if err != nil || in == nil || in.AmountPaid <= 0 {
		return err
	}
	number, detail, err := c.numberOf(ctx, in)
	if err != nil || number == "" && detail == "" {
		return err
	}
	p := rails.Payment{
		Rail: Name, ID: in.ID, Version: uint64(in.AmountPaid) << 1, Kind: rails.Paid,
		Invoice: number, At: at.UTC(), Detail: detail,
	}
	if in.Status == sdk.InvoiceStatusPaid {
		p.Version |= 1
		p.Final = true
		if t := in.StatusTransitions; t != nil && t.PaidAt > 0 {
			p.At = time.Unix(t.PaidAt, 0).UTC()
		}
	}
	p.Currency, p.Amount = amountOf(string(in.Currency), in.AmountPaid)
	return wrap("recording what is paid of "+id, c.journal.Record(ctx, p))
}

// numberOf returns the number of our invoice that one of Stripe's is for. It is empty, with
// words for people, if that one only says that it is for one of ours, as a copy does that
// somebody made; without words it is of another program.
func (c *Collector) numberOf(ctx context.Context, in *sdk.Invoice) (number, detail string, err error) {
	number, err = c.journal.Recall(ctx, Name, numberKey(in.ID))
	if err != nil {
		return "", "", fmt.Errorf("looking for what %s is for: %w", in.ID, err)
	}
	if says := in.Metadata[metaNumber]; number == "" && says != "" {
		detail = fmt.Sprintf("%s says that it is for invoice %.100q, and was not made for it", in.ID, says)
	}
	return number, detail, nil
}

// recordRefund records what became of a refund: pending, done, and at last it may fail.
func (c *Collector) recordRefund(ctx context.Context, id string) error {
	r, err := c.client.V1Refunds.Retrieve(ctx, id, nil)
	if err != nil {
		return c.explain("looking at "+id, err)
	}
	p := rails.Payment{Rail: Name, ID: r.ID, At: time.Unix(r.Created, 0).UTC(), Detail: "refund of " + chargeID(r.Charge, r.PaymentIntent)}
	switch r.Status {
	case sdk.RefundStatusSucceeded:
		p.Kind, p.Version, p.Final = rails.Refunded, 2, true
	case sdk.RefundStatusFailed, sdk.RefundStatusCanceled:
		p.Kind, p.Version, p.Final = rails.Reversed, 3, true
		p.Detail += ", " + string(r.Status)
	default:
		p.Kind, p.Version = rails.Refunded, 1
	}
	p.Currency, p.Amount = amountOf(string(r.Currency), r.Amount)
	in, err := c.recordOf(ctx, r.PaymentIntent, &p)
	if err != nil || in == nil {
		return err
	}
	if p.Credit, err = c.creditOf(ctx, in.ID, r.ID); err != nil {
		return err
	}
	return wrap("recording "+id, c.journal.Record(ctx, p))
}

// recordDispute records what became of a dispute: the bank takes the money, and gives it
// back if it is won. Inquiries move no money.
func (c *Collector) recordDispute(ctx context.Context, id string) error {
	d, err := c.client.V1Disputes.Retrieve(ctx, id, nil)
	if err != nil {
		return c.explain("looking at "+id, err)
	}
	p := rails.Payment{Rail: Name, ID: d.ID, At: time.Unix(d.Created, 0).UTC(), Detail: fmt.Sprintf("dispute of %s, %s: %s", chargeID(d.Charge, d.PaymentIntent), d.Status, d.Reason)}
	switch d.Status {
	case sdk.DisputeStatusNeedsResponse, sdk.DisputeStatusUnderReview:
		p.Kind, p.Version = rails.Disputed, 1
	case sdk.DisputeStatusLost:
		p.Kind, p.Version, p.Final = rails.Disputed, 2, true
	case sdk.DisputeStatusWon:
		p.Kind, p.Version, p.Final = rails.Reversed, 3, true
	default:
		return nil
	}
	p.Currency, p.Amount = amountOf(string(d.Currency), d.Amount)
	in, err := c.recordOf(ctx, d.PaymentIntent, &p)
	if err != nil || in == nil {
		return err
	}
	return wrap("recording "+id, c.journal.Record(ctx, p))
}

// recordOf fills in which invoice a movement belongs to, and returns it as Stripe has it.
// It is nil if the movement is of nothing that we asked for.
func (c *Collector) recordOf(ctx context.Context, intent *sdk.PaymentIntent, p *rails.Payment) (*sdk.Invoice, error) {
	if intent == nil {
		return nil, nil // invoices are paid by nothing else
	}
	params := &sdk.InvoicePaymentListParams{Payment: &sdk.InvoicePaymentListPaymentParams{
		Type: sdk.String(string(sdk.InvoicePaymentPaymentTypePaymentIntent)), PaymentIntent: sdk.String(intent.ID),
	}}
	params.Limit = sdk.Int64(100)
	var ours *sdk.Invoice
	for paid, err := range c.client.V1InvoicePayments.List(ctx, params) {
		if err != nil {
			return nil, c.explain("looking for what "+intent.ID+" has paid", err)
		}
		if paid.Invoice == nil {
			continue
		}
		in, err := c.retrieve(ctx, paid.Invoice.ID)
		if err != nil {
			return nil, err
		}
		if in == nil {
			continue
		}
		number, detail, err := c.numberOf(ctx, in)
		if err != nil {
			return nil, err
		}
		if number == "" && detail == "" {
			continue
		}
		if ours != nil && ours.ID != in.ID {
			p.Invoice = "" // which one of them, nobody knows
			p.Detail += ", which has paid several invoices"
			return ours, nil
		}
		ours, p.Invoice = in, number
		if detail != "" {
			p.Detail += ", " + detail
		}
	}
	return ours, nil
}

// creditOf returns the number of our credit note that a refund was made with, "" if it was
// made without one.
func (c *Collector) creditOf(ctx context.Context, invoice, refund string) (string, error) {
	params := &sdk.CreditNoteListParams{Invoice: sdk.String(invoice)}
	params.Limit = sdk.Int64(100)
	for cn, err := range c.client.V1CreditNotes.List(ctx, params) {
		if err != nil {
			return "", c.explain("looking for the credit note of "+refund, err)
		}
		for _, made := range cn.Refunds {
			if made.Refund != nil && made.Refund.ID == refund {
				return cn.Metadata[metaCredit], nil
			}
		}
	}
	return "", nil
}

func chargeID(charge *sdk.Charge, intent *sdk.PaymentIntent) string {
	switch {
	case charge != nil:
		return charge.ID
	case intent != nil:
		return intent.ID
	}
	return "something"
}
