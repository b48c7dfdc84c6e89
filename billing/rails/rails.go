package rails

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"time"
)

// Currency is one, and how many digits after the point its smallest unit has: USD 2, JPY 0,
// KWD 3, USDC 6. The code is in capitals.
type Currency struct {
	Code   string
	Digits int
}

// Line is one of an invoice, taxes and discounts included. Its amount may be negative or
// zero.
type Line struct {
	Description string
	Amount      *big.Int
}

// Invoice is what is to be paid: an issued one, which does not change any more.
type Invoice struct {
	// Number is unique among all invoices.
	Number string
	// Rev is how often asking for it was begun again, from 0: after Cancel, or a Refusal
	// that says so, it is asked with a greater one.
	Rev int
	// Owner is who pays, as the gateway names it.
	Owner    string
	Currency Currency
	// Total is the sum of the lines, and more than zero.
	Total *big.Int
	Lines []Line
	Due   time.Time
	// Customer is who pays, as the rail names it. Not all rails need it.
	Customer string
}

// Check returns an error if the invoice cannot be asked for by any rail.
func (i Invoice) Check() error {
	switch {
	case i.Number == "":
		return errors.New("invoice has no number")
	case i.Rev < 0:
		return fmt.Errorf("invoice %s has the revision %d", i.Number, i.Rev)
	case i.Currency.Code == "" || i.Currency.Digits < 0:
		return fmt.Errorf("invoice %s has no currency", i.Number)
	case i.Total == nil || i.Total.Sign() <= 0:
		return fmt.Errorf("invoice %s has nothing to be paid: its total is %v", i.Number, i.Total)
	case len(i.Lines) == 0:
		return fmt.Errorf("invoice %s has no lines", i.Number)
	}
	sum := new(big.Int)
	for n, line := range i.Lines {
		if line.Amount == nil {
			return fmt.Errorf("invoice %s has no amount in line %d", i.Number, n)
		}
		sum.Add(sum, line.Amount)
	}
	if sum.Cmp(i.Total) != 0 {
		return fmt.Errorf("invoice %s has lines of %v in sum, and the total %v", i.Number, sum, i.Total)
	}
	return nil
}

// Request is how an invoice can be paid.
type Request struct {
	// Reference is how the rail names what was asked.
	Reference string
	// Link is where the payer goes: a URL, or a URI for a wallet. It may end: Collect gives
	// a good one again.
	Link string
	// QR is the link as a picture, in SVG. Nil if there is none.
	QR []byte
	// Asked is what was asked, in the smallest unit of Currency, which need not be that of
	// the invoice.
	Asked    *big.Int
	Currency Currency
}

// Collector asks for the payment of invoices. Its methods may be called at once, in one
// process and in many, and again after a stop at any point: what was done is found, not
// done twice. An error that is a Refusal stays; after any other one, call again later.
type Collector interface {
	// Name is that of the rail, as "stripe". It never changes: the Journal has it.
	Name() string
	// Collect asks for the payment, once: for the same invoice it gives the same answer.
	Collect(ctx context.Context, invoice Invoice) (Request, error)
	// Cancel ends the asking of an invoice, of whatever revision. It is no error if it was
	// never asked, or is cancelled already. What is paid cannot be cancelled: a Refusal.
	Cancel(ctx context.Context, number string) error
}

// Credit is a credit note: that much of an invoice is taken back.
type Credit struct {
	// Number is unique among all credit notes, and Invoice is that of the invoice.
	Number, Invoice string
	Currency        Currency
	// Amount is more than zero.
	Amount *big.Int
	Reason string
}

// Crediter is a Collector that can take back a part of what it asked: what is paid is given
// back to the payer, what is not is asked no longer.
type Crediter interface {
	Collector
	// Credit does it once for a number. It returns how the rail names it.
	Credit(ctx context.Context, credit Credit) (reference string, err error)
}

// Refusal is an error that does not go away by asking again: somebody has to look.
type Refusal struct {
	// Reason is what is wrong and what can be done, in words. It has no secret.
	Reason string
}

// Refuse returns a Refusal.
func Refuse(format string, args ...any) error { return &Refusal{fmt.Sprintf(format, args...)} }

func (r *Refusal) Error() string { return r.Reason }
