package stripe

import (
	"context"
	"encoding/json"
	"fmt"

	sdk "github.com/stripe/stripe-go/v82"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

// note is what the journal has of a credit note, from before Stripe was asked for it. All
// requests for it say the same, so that one is made.
type note struct {
	Invoice string `json:"invoice"` // Stripe's id
	Number  string `json:"number"`  // of the invoice
	Amount  int64  `json:"amount"`
	// Refund is the part of Amount that was paid.
	Refund int64 `json:"refund"`
}

// Credit implements rails.Crediter. What is not paid yet is asked no longer; what is paid
// goes back the way it came.
func (c *Collector) Credit(ctx context.Context, credit rails.Credit) (string, error) {
	if err := checkName(credit.Number); err != nil {
		return "", err
	}
	if err := checkCurrency(credit.Currency); err != nil {
		return "", fmt.Errorf("credit note %s: %w", credit.Number, err)
	}
	if credit.Amount == nil || credit.Amount.Sign() <= 0 {
		return "", rails.Refuse("credit note %s is of nothing", credit.Number)
	}
	amount, err := units(credit.Currency, credit.Amount)
	if err != nil {
		return "", fmt.Errorf("credit note %s: %w", credit.Number, err)
	}
	key := "cn:" + credit.Number + ":create"
	id, err := c.journal.Recall(ctx, Name, key)
	if err != nil || id != "" {
		return id, wrap("looking for credit note "+credit.Number, err)
	}
	n, isNew, err := c.note(ctx, credit, amount)
	if err != nil {
		return "", err
	}
	if !isNew {
		if id, err = c.searchNote(ctx, credit.Number, n.Invoice); err != nil {
			return "", err
		}
	}
	if id == "" {
		if id, err = c.createNote(ctx, credit, n, key); err != nil {
			return "", err
		}
	}
	kept, err := c.journal.Remember(ctx, Name, key, id)
	return kept, wrap("noting credit note "+credit.Number, err)
}

// note returns what is asked for a credit note, and whether it is new.
func (c *Collector) note(ctx context.Context, credit rails.Credit, amount int64) (n note, isNew bool, err error) {
	key := "cn:" + credit.Number + ":asked"
	kept, err := c.journal.Recall(ctx, Name, key)
	if err != nil {
		return note{}, false, fmt.Errorf("looking for credit note %s: %w", credit.Number, err)
	}
	if kept == "" {
		if n, err = c.newNote(ctx, credit, amount); err != nil {
			return note{}, false, err
		}
		text, err := json.Marshal(n)
		if err != nil {
			return note{}, false, fmt.Errorf("credit note %s: %w", credit.Number, err)
		}
		if kept, err = c.journal.Remember(ctx, Name, key, string(text)); err != nil {
			return note{}, false, fmt.Errorf("noting credit note %s: %w", credit.Number, err)
		}
		// Of two processes with the same text both take it for new: the idempotency key
		// makes one note of their requests.
		isNew = kept == string(text)
	}
	n = note{}
	if err := json.Unmarshal([]byte(kept), &n); err != nil {
		return note{}, false, fmt.Errorf("credit note %s: what the journal has is unreadable: %w", credit.Number, err)
	}
	if n.Number != credit.Invoice || n.Amount != amount {
		return note{}, false, rails.Refuse("credit note %s was asked before: %d of invoice %s", credit.Number, n.Amount, n.Number)
	}
	return n, isNew, nil
}

// newNote says which part of a credit note was paid.
func (c *Collector) newNote(ctx context.Context, credit rails.Credit, amount int64) (note, error) {
	_, in, err := c.current(ctx, credit.Invoice)
	if err != nil {
		return note{}, err
	}
	n := note{Invoice: in.ID, Number: credit.Invoice, Amount: amount}
	currency, _ := amountOf(string(in.Currency), 0)
	switch {
	case currency.Code != credit.Currency.Code:
		return note{}, rails.Refuse("credit note %s is in %s, and invoice %s in %s", credit.Number, credit.Currency.Code, credit.Invoice, currency.Code)
	case in.Status == sdk.InvoiceStatusOpen:
		n.Refund = max(0, amount-in.AmountRemaining)
	case in.Status == sdk.InvoiceStatusPaid:
		n.Refund = amount
	default:
		return note{}, rails.Refuse("credit note %s: invoice %s is %s at Stripe, neither open nor paid", credit.Number, credit.Invoice, in.Status)
	}
	if left := in.Total - in.PrePaymentCreditNotesAmount - in.PostPaymentCreditNotesAmount; amount > left {
		return note{}, rails.Refuse("credit note %s is of %d, and %d of invoice %s are left", credit.Number, amount, left, credit.Invoice)
	}
	return n, nil
}

func (c *Collector) searchNote(ctx context.Context, number, invoice string) (string, error) {
	params := &sdk.CreditNoteListParams{Invoice: sdk.String(invoice)}
	params.Limit = sdk.Int64(100)
	for cn, err := range c.client.V1CreditNotes.List(ctx, params) {
		if err != nil {
			return "", c.explain("looking for credit note "+number, err)
		}
		if cn.Metadata[metaCredit] == number {
			return cn.ID, nil
		}
	}
	return "", nil
}

// createNote has one key only: a second one could give the money back twice. A failure that
// Stripe holds against it ends after a day, and then it is looked for the note first.
func (c *Collector) createNote(ctx context.Context, credit rails.Credit, n note, key string) (string, error) {
	params := &sdk.CreditNoteCreateParams{
		Amount:    sdk.Int64(n.Amount),
		EmailType: sdk.String("none"),
		Invoice:   sdk.String(n.Invoice),
		Memo:      sdk.String(fmt.Sprintf("Credit note %s. %.500s", credit.Number, credit.Reason)),
	}
	if n.Refund > 0 {
		params.RefundAmount = sdk.Int64(n.Refund)
	}
	params.AddMetadata(metaCredit, credit.Number)
	params.AddMetadata(metaNumber, credit.Invoice)
	params.SetIdempotencyKey(key)
	cn, err := c.client.V1CreditNotes.Create(ctx, params)
	if err != nil {
		return "", c.explain("making credit note "+credit.Number, err)
	}
	return cn.ID, nil
}
