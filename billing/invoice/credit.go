package invoice

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// ErrTooMuch says that more would be credited than is left of an invoice.
var ErrTooMuch = errors.New("more than is left of the invoice")

// Left returns how much of an invoice can still be credited, taxes and all, after earlier
// credit notes, which are all that were issued for it.
func Left(invoice Document, earlier []Document) (money.Amount, error) {
	left, err := left(invoice, earlier)
	if err != nil {
		return money.Amount{}, err
	}
	return money.FromMinor(sum(left), invoice.Currency), nil
}

// Credit returns the draft of a credit note that takes back an amount of an issued invoice,
// taxes in it. Each line and each tax gives its share of the amount, by what earlier credit
// notes, which are all that were issued for the invoice, have left of it. So the shares add up
// to the amount, and the note that takes the rest takes the rest of each. It is ErrTooMuch if
// the amount is more than is left. The caller sees to it that no other note is made meanwhile.
func Credit(invoice Document, earlier []Document, amount money.Amount, reason string) (Document, error) {
	weights, err := left(invoice, earlier)
	if err != nil {
		return Document{}, err
	}
	units, err := invoice.minor("the amount", amount)
	if err != nil {
		return Document{}, err
	}
	if units.Sign() <= 0 {
		return Document{}, fmt.Errorf("%s is nothing to credit", amount)
	}
	if rest := sum(weights); units.Cmp(rest) > 0 {
		return Document{}, fmt.Errorf("%s of %s: %w, which is %s", amount, invoice.Number, ErrTooMuch, money.FromMinor(rest, invoice.Currency))
	}
	digest, err := invoice.Digest()
	if err != nil {
		return Document{}, err
	}
	note := invoice
	note.Kind, note.Series, note.Number, note.Issued, note.Due = KindCreditNote, "", "", 0, 0
	note.Credits = &Credits{Number: invoice.Number, Digest: digest, Reason: reason}
	shares := share(units, weights)
	note.Lines = nil
	for i, l := range invoice.Lines {
		if shares[i].Sign() == 0 {
			continue
		}
		// A share of the amount is no share of the quantity: the note is about the price.
		note.Lines = append(note.Lines, Line{Line: l.Line, Kind: l.Kind, Description: l.Description, Meter: l.Meter, Period: l.Period, TierFrom: l.TierFrom, TierTo: l.TierTo, Amount: money.FromMinor(shares[i], invoice.Currency)})
	}
	base, err := note.net()
	if err != nil {
		return Document{}, err
	}
	note.Taxes = nil
	for i, t := range invoice.Taxes {
		t.Base, t.Amount = money.FromMinor(base, invoice.Currency), money.FromMinor(shares[len(invoice.Lines)+i], invoice.Currency)
		note.Taxes = append(note.Taxes, t)
	}
	return note.whole()
}

// left returns what is left of each line and then of each tax, in the currency's smallest unit.
func left(invoice Document, earlier []Document) ([]*big.Int, error) {
	if invoice.Kind != KindInvoice || invoice.Draft() {
		return nil, fmt.Errorf("%s: only an issued invoice is credited", invoice.title())
	}
	if err := invoice.Check(); err != nil {
		return nil, fmt.Errorf("%s is not right: %w", invoice.title(), err)
	}
	digest, err := invoice.Digest()
	if err != nil {
		return nil, err
	}
	rest, err := invoice.parts()
	if err != nil {
		return nil, err
	}
	seen := make(map[string]bool)
	for _, note := range earlier {
		if err := note.credits(invoice, digest); err != nil {
			return nil, fmt.Errorf("%s: %w", note.title(), err)
		}
		if seen[note.Number] {
			return nil, fmt.Errorf("%s is there twice", note.title())
		}
		seen[note.Number] = true
		taken, err := note.parts()
		if err != nil {
			return nil, fmt.Errorf("%s: %w", note.title(), err)
		}
		for i, n := range taken {
			at := len(invoice.Lines) + i - len(note.Lines) // of a tax
			if i < len(note.Lines) {
				at = note.Lines[i].Line - 1
			}
			rest[at].Sub(rest[at], n)
		}
	}
	if sum(rest).Sign() < 0 {
		return nil, fmt.Errorf("the credit notes of %s: %w", invoice.Number, ErrTooMuch)
	}
	return rest, nil
}

// credits checks that the document is an issued credit note of an invoice.
func (d Document) credits(invoice Document, digest string) error {
	if err := d.Check(); err != nil {
		return err
	}
	if d.Draft() || d.Credits == nil || d.Credits.Number != invoice.Number || d.Credits.Digest != digest || d.Currency != invoice.Currency {
		return fmt.Errorf("it is no issued credit note of %s", invoice.Number)
	}
	if len(d.Taxes) != len(invoice.Taxes) || len(d.Lines) > 0 && d.Lines[len(d.Lines)-1].Line > len(invoice.Lines) {
		return fmt.Errorf("it has a line or taxes that %s has not", invoice.Number)
	}
	return nil
}

// parts returns the amounts of the lines and then of the taxes, in the smallest unit.
func (d Document) parts() ([]*big.Int, error) {
	parts := make([]*big.Int, 0, len(d.Lines)+len(d.Taxes))
	for _, l := range d.Lines {
		n, err := d.minor("a line", l.Amount)
		if err != nil {
			return nil, err
		}
		parts = append(parts, n)
	}
	for _, t := range d.Taxes {
		n, err := d.minor("a tax", t.Amount)
		if err != nil {
			return nil, err
		}
		parts = append(parts, n)
	}
	return parts, nil
}

func sum(all []*big.Int) *big.Int {
	total := new(big.Int)
	for _, n := range all {
		total.Add(total, n)
	}
	return total
}
