package invoice

import (
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// ErrNegative says that an invoice would pay the buyer. What is too much is carried into a
// later period, or is a credit note to an earlier invoice.
var ErrNegative = errors.New("the total is negative")

// ErrIssued says that a document has its number already.
var ErrIssued = errors.New("the document was issued before")

// Contents is what an invoice is made of.
type Contents struct {
	Owner         string
	Period        Period
	Seller, Buyer Party
	Currency      money.Currency
	// Lines are in their order, and New numbers them.
	Lines  []Line
	Region Region
	Plans  []Plan
	// Usage is the SHA-256 of what was used, in hex.
	Usage string
	Notes []string
}

// New returns the draft of an invoice, with taxes and totals. It is an error if the contents
// are not whole. The total of a draft may be negative.
func New(c Contents) (Document, error) {
	if err := c.Region.check(); err != nil {
		return Document{}, fmt.Errorf("tax region %q: %w", c.Region.Name, err)
	}
	lines := slices.Clone(c.Lines)
	for i := range lines {
		lines[i].Line = i + 1
	}
	d := Document{
		Format: format, Kind: KindInvoice, Owner: c.Owner, Period: c.Period, Seller: c.Seller, Buyer: c.Buyer, Currency: c.Currency,
		Lines: lines, Region: c.Region.Name, Plans: slices.Clone(c.Plans), Usage: c.Usage, Notes: slices.Clone(c.Notes),
	}
	d.Seller.Address, d.Buyer.Address = slices.Clone(c.Seller.Address), slices.Clone(c.Buyer.Address)
	net, err := d.net()
	if err != nil {
		return Document{}, err
	}
	if d.Taxes, err = c.Region.taxes(net, c.Currency); err != nil {
		return Document{}, err
	}
	return d.whole()
}

// whole returns the document with its totals, if it is right.
func (d Document) whole() (Document, error) {
	var err error
	if d.Totals, err = d.totals(); err != nil {
		return Document{}, err
	}
	if err := d.Check(); err != nil {
		return Document{}, err
	}
	return d, nil
}

// minor returns an amount of the document in the smallest unit of its currency.
func (d Document) minor(what string, a money.Amount) (*big.Int, error) {
	if a.Currency() != d.Currency {
		return nil, fmt.Errorf("%s is %s, and the document is in %s", what, a, d.Currency)
	}
	n, err := a.Minor()
	if err != nil {
		return nil, fmt.Errorf("%s: %w", what, err)
	}
	return n, nil
}

// net is the sum of the lines, in the smallest unit.
func (d Document) net() (*big.Int, error) {
	sum := new(big.Int)
	for _, l := range d.Lines {
		n, err := d.minor("the amount", l.Amount)
		if err != nil {
			return nil, fmt.Errorf("line %d: %w", l.Line, err)
		}
		sum.Add(sum, n)
	}
	return sum, nil
}

func (d Document) totals() (Totals, error) {
	net, err := d.net()
	if err != nil {
		return Totals{}, err
	}
	tax := new(big.Int)
	for _, t := range d.Taxes {
		n, err := d.minor("the amount", t.Amount)
		if err != nil {
			return Totals{}, fmt.Errorf("tax %q: %w", t.Name, err)
		}
		tax.Add(tax, n)
	}
	gross := new(big.Int).Add(net, tax)
	return Totals{money.FromMinor(net, d.Currency), money.FromMinor(tax, d.Currency), money.FromMinor(gross, d.Currency)}, nil
}

// Issue returns the document with its number. The day due is that of an invoice only. It is
// ErrIssued if the document has a number, and ErrNegative if its total is below zero.
func (d Document) Issue(series, number string, issued, due Date) (Document, error) {
	if !d.Draft() {
		return Document{}, fmt.Errorf("%s: %w", d.Number, ErrIssued)
	}
	if series == "" || number == "" {
		return Document{}, errors.New("a document is issued with a series and a number")
	}
	d.Series, d.Number, d.Issued, d.Due = series, number, issued, due
	if err := d.Check(); err != nil {
		return Document{}, err
	}
	return d, nil
}
