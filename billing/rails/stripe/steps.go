package stripe

import (
	"context"
	"fmt"
	"strconv"
	"time"

	sdk "github.com/stripe/stripe-go/v82"
)

// Names in Stripe's metadata.
const (
	metaNumber   = "invoice_no"
	metaRevision = "invoice_rev"
	metaOwner    = "owner"
	metaLine     = "line"
	metaCredit   = "credit_no"
)

// skew is by how much the clocks of Stripe and ours may differ.
const skew = 24 * time.Hour

// tries is how many idempotency keys a step takes.
const tries = 5

// post sends a request under the key of a step. If Stripe holds something against the key
// it takes the next one, but only where it was looked for what the step makes since: a
// failure says nothing of what was done.
func (c *Collector) post(w want, step string, send func(key string) error) error {
	key := w.step(step)
	for n := 1; ; n++ {
		try := key
		if n > 1 {
			try = fmt.Sprintf("%s~%d", key, n)
		}
		err := send(try)
		if !isKept(err) || w.isNew || n == tries {
			return err
		}
	}
}

// invoiceID returns the id of the one invoice that may become final.
func (c *Collector) invoiceID(ctx context.Context, w want) (string, error) {
	key := w.step("create")
	id, err := c.journal.Recall(ctx, Name, key)
	if err != nil || id != "" {
		return id, wrap("looking for what was made of invoice "+w.ask.Number, err)
	}
	if !w.isNew {
		// The answer was lost, or is on its way.
		found, err := c.search(ctx, w.ask)
		if err != nil {
			return "", err
		}
		if len(found) > 0 {
			id = found[0].ID
		}
	}
	if id == "" {
		if id, err = c.create(ctx, w); err != nil {
			return "", err
		}
	}
	kept, err := c.journal.Remember(ctx, Name, key, id)
	if err != nil {
		return "", fmt.Errorf("noting what was made of invoice %s: %w", w.ask.Number, err)
	}
	if kept != id {
		// Another process was faster: this one never becomes final.
		return kept, c.remove(ctx, id)
	}
	return kept, nil
}

// create makes the draft.
func (c *Collector) create(ctx context.Context, w want) (id string, err error) {
	params := &sdk.InvoiceCreateParams{
		AutoAdvance:                 sdk.Bool(false),
		AutomaticTax:                &sdk.InvoiceCreateAutomaticTaxParams{Enabled: sdk.Bool(false)},
		CollectionMethod:            sdk.String(string(sdk.InvoiceCollectionMethodSendInvoice)),
		Currency:                    sdk.String(w.currency),
		Customer:                    sdk.String(w.ask.Customer),
		CustomFields:                []*sdk.InvoiceCreateCustomFieldParams{{Name: sdk.String("Invoice"), Value: sdk.String(w.ask.Number)}},
		Description:                 sdk.String("Invoice " + w.ask.Number),
		PendingInvoiceItemsBehavior: sdk.String("exclude"),
	}
	// What is due in the past Stripe refuses. By the time of the ask, since a request
	// that is sent again must be the same.
	if due := w.Due.Unix(); due > w.Begun+int64(time.Hour/time.Second) {
		params.DueDate = sdk.Int64(due)
	} else {
		params.DaysUntilDue = sdk.Int64(0)
	}
	for name, value := range map[string]string{metaNumber: w.ask.Number, metaRevision: strconv.Itoa(w.ask.Rev), metaOwner: w.Owner} {
		params.AddMetadata(name, value)
	}
	params.AddExtra("discounts", "") // none of the customer's
	err = c.post(w, "create", func(key string) error {
		params.SetIdempotencyKey(key)
		in, err := c.client.V1Invoices.Create(ctx, params)
		if err == nil {
			id = in.ID
		}
		return err
	})
	return id, c.explain("making invoice "+w.ask.Number, err)
}

// search returns what Stripe has of an ask, the oldest first. It lists what the customer
// has, as Stripe's search lags behind.
func (c *Collector) search(ctx context.Context, a ask) ([]*sdk.Invoice, error) {
	params := &sdk.InvoiceListParams{
		Customer:     sdk.String(a.Customer),
		CreatedRange: &sdk.RangeQueryParams{GreaterThanOrEqual: a.Begun - int64(skew/time.Second)},
	}
	params.Limit = sdk.Int64(100)
	var found []*sdk.Invoice
	for in, err := range c.client.V1Invoices.List(ctx, params) {
		if err != nil {
			return nil, c.explain("looking for invoice "+a.Number, err)
		}
		if in.Metadata[metaNumber] == a.Number && in.Metadata[metaRevision] == strconv.Itoa(a.Rev) {
			found = append([]*sdk.Invoice{in}, found...)
		}
	}
	return found, nil
}

// addItems adds the lines that the draft does not have yet.
func (c *Collector) addItems(ctx context.Context, w want, id string) error {
	have := make([]bool, len(w.lines))
	if !w.isNew {
		if err := c.findItems(ctx, w, id, have); err != nil {
			return err
		}
	}
	for n := range w.lines {
		if !have[n] {
			if err := c.addItem(ctx, w, id, n); err != nil {
				return err
			}
		}
	}
	return nil
}

// findItems marks the lines that the draft has, and removes those that it has twice.
func (c *Collector) findItems(ctx context.Context, w want, id string, have []bool) error {
	params := &sdk.InvoiceItemListParams{Invoice: sdk.String(id)}
	params.Limit = sdk.Int64(100)
	var again []string
	for item, err := range c.client.V1InvoiceItems.List(ctx, params) {
		if err != nil {
			return c.explain("looking for the lines of invoice "+w.ask.Number, err)
		}
		n, err := strconv.Atoi(item.Metadata[metaLine])
		switch {
		case err != nil || n < 0 || n >= len(have) || item.Metadata[metaNumber] != w.ask.Number:
			// It is not ours: the comparison finds it.
		case have[n]:
			again = append(again, item.ID)
		default:
			have[n] = true
		}
	}
	for _, item := range again {
		if _, err := c.client.V1InvoiceItems.Delete(ctx, item, nil); err != nil && !isMissing(err) {
			return c.explain("removing a line that invoice "+w.ask.Number+" has twice", err)
		}
	}
	return nil
}

func (c *Collector) addItem(ctx context.Context, w want, id string, n int) error {
	step := "item:" + strconv.Itoa(n)
	params := &sdk.InvoiceItemCreateParams{
		Amount:       sdk.Int64(w.lines[n]),
		Currency:     sdk.String(w.currency),
		Customer:     sdk.String(w.ask.Customer),
		Description:  sdk.String(fmt.Sprintf("%.500s", w.Lines[n].Description)),
		Discountable: sdk.Bool(false),
		// Without it the item would come with the next invoice of the customer.
		Invoice: sdk.String(id),
	}
	params.AddMetadata(metaNumber, w.ask.Number)
	params.AddMetadata(metaLine, strconv.Itoa(n))
	item := ""
	err := c.post(w, step, func(key string) error {
		params.SetIdempotencyKey(key)
		made, err := c.client.V1InvoiceItems.Create(ctx, params)
		if err == nil {
			item = made.ID
		}
		return err
	})
	if err != nil {
		return c.explain(fmt.Sprintf("adding line %d of invoice %s", n, w.ask.Number), err)
	}
	_, err = c.journal.Remember(ctx, Name, w.step(step), item)
	return wrap("noting a line of invoice "+w.ask.Number, err)
}

// wrap adds context to an error, if it is one.
func wrap(doing string, err error) error {
	if err == nil {
		return nil
	}
	return fmt.Errorf("%s: %w", doing, err)
}
