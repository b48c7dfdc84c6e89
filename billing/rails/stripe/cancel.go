package stripe

import (
	"context"
	"fmt"

	sdk "github.com/stripe/stripe-go/v82"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

// Cancel implements rails.Collector: drafts are deleted, and what is final is voided.
func (c *Collector) Cancel(ctx context.Context, number string) error {
	if err := checkName(number); err != nil {
		return err
	}
	asks, err := c.asks(ctx, number)
	if err != nil {
		return err
	}
	for _, a := range asks {
		ids, err := c.idsOf(ctx, a)
		if err != nil {
			return err
		}
		for _, id := range ids {
			in, err := c.retrieve(ctx, id)
			if err != nil {
				return err
			}
			if in != nil && in.AmountPaid > 0 {
				return paidAlready(number, in)
			}
		}
		if _, err := c.end(ctx, a, "it was cancelled"); err != nil {
			return err
		}
		if err := c.withdraw(ctx, a); err != nil {
			return err
		}
	}
	return nil
}

func paidAlready(number string, in *sdk.Invoice) error {
	return rails.Refuse("invoice %s cannot be cancelled: %d %s of it are paid at Stripe; write a credit note", number, in.AmountPaid, in.Currency)
}

// idsOf returns the invoices that an ask has at Stripe: the one of the journal, and those
// that were made but not noted.
func (c *Collector) idsOf(ctx context.Context, a ask) ([]string, error) {
	id, err := c.journal.Recall(ctx, Name, a.step("create"))
	if err != nil {
		return nil, fmt.Errorf("looking for what was made of invoice %s: %w", a.Number, err)
	}
	if id != "" {
		return []string{id}, nil
	}
	found, err := c.search(ctx, a)
	if err != nil {
		return nil, err
	}
	var ids []string
	for _, in := range found {
		ids = append(ids, in.ID)
	}
	return ids, nil
}

// withdraw takes away what an ask, which has ended, has at Stripe.
func (c *Collector) withdraw(ctx context.Context, a ask) error {
	ids, err := c.idsOf(ctx, a)
	if err != nil {
		return err
	}
	for _, id := range ids {
		if err := c.remove(ctx, id); err != nil {
			return err
		}
	}
	return nil
}

// remove deletes a draft, or voids what is final. It looks again while somebody else
// changes it.
func (c *Collector) remove(ctx context.Context, id string) error {
	for n := 1; ; n++ {
		in, err := c.retrieve(ctx, id)
		if err != nil || in == nil {
			return err
		}
		switch {
		case in.Status == sdk.InvoiceStatusVoid:
			return nil
		case in.Status == sdk.InvoiceStatusDraft:
			_, err = c.client.V1Invoices.Delete(ctx, id, nil)
		case in.AmountPaid > 0 || in.Status == sdk.InvoiceStatusPaid:
			return paidAlready(in.Metadata[metaNumber], in)
		default:
			_, err = c.client.V1Invoices.VoidInvoice(ctx, id, nil)
		}
		if err == nil {
			return nil
		}
		if n == 3 {
			return c.explain("taking back "+id, err)
		}
	}
}

// GiveUp marks an invoice at Stripe as one that will not be paid. It can still be paid
// there. It is no error if it is marked already.
func (c *Collector) GiveUp(ctx context.Context, number string) error {
	a, in, err := c.current(ctx, number)
	switch {
	case err != nil:
		return err
	case in.Status == sdk.InvoiceStatusUncollectible:
		return nil
	case in.Status != sdk.InvoiceStatusOpen:
		return rails.Refuse("invoice %s is %s at Stripe, not open", a.Number, in.Status)
	}
	if _, err := c.client.V1Invoices.MarkUncollectible(ctx, in.ID, nil); err != nil {
		again, err2 := c.retrieve(ctx, in.ID)
		if err2 == nil && again != nil && again.Status == sdk.InvoiceStatusUncollectible {
			return nil
		}
		return c.explain("giving up invoice "+number, err)
	}
	return nil
}

// current returns the ask of a number that has not ended, with what Stripe has of it.
func (c *Collector) current(ctx context.Context, number string) (ask, *sdk.Invoice, error) {
	if err := checkName(number); err != nil {
		return ask{}, nil, err
	}
	asks, err := c.asks(ctx, number)
	if err != nil {
		return ask{}, nil, err
	}
	for _, a := range asks {
		ended, err := c.ended(ctx, a)
		if err != nil {
			return ask{}, nil, err
		}
		id, err := c.journal.Recall(ctx, Name, a.step("create"))
		if err != nil {
			return ask{}, nil, fmt.Errorf("looking for what was made of invoice %s: %w", number, err)
		}
		if ended != "" || id == "" {
			continue
		}
		in, err := c.retrieve(ctx, id)
		if err != nil || in != nil {
			return a, in, err
		}
	}
	return ask{}, nil, rails.Refuse("invoice %s is not asked at Stripe", number)
}
