package invoice

import (
	"errors"
	"fmt"
	"net/url"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// Copy is a document for its readers, with what is told of it and is no part of it.
type Copy struct {
	Document Document
	// Standing is where an invoice stands. The zero Standing says nothing.
	Standing Standing
	// Links are ways to pay.
	Links []Link
	// CreditNotes are those of an invoice.
	CreditNotes []Reference
	// Explanations show where quantities come from. There may be none.
	Explanations []Explanation
}

// Link is a way to pay.
type Link struct {
	Label string `json:"label"`
	// URL is one of https, or of ethereum (EIP-681).
	URL string `json:"url"`
}

// Reference names a credit note.
type Reference struct {
	Number string       `json:"number"`
	Issued Date         `json:"issued"`
	Gross  money.Amount `json:"gross"`
}

const (
	maxLinks       = 20
	maxReferences  = 1000
	maxExplanation = 100_000 // days and pins together
)

func (l Link) check() error {
	if err := text("the label of a link", l.Label, needed); err != nil {
		return err
	}
	u, err := url.Parse(l.URL)
	if err != nil || len(l.URL) > maxText {
		return errors.New("a link to pay is not a URL")
	}
	if !slices.Contains([]string{"https", "ethereum"}, u.Scheme) {
		return fmt.Errorf("a link to pay begins with %q, not with https or ethereum", u.Scheme)
	}
	return nil
}

// check returns what is wrong with a copy.
func (c Copy) check() error {
	if err := c.Document.Check(); err != nil {
		return fmt.Errorf("a document is not right: %w", err)
	}
	problems := []error{limit("links", len(c.Links), maxLinks), limit("credit notes", len(c.CreditNotes), maxReferences)}
	if c.Standing.State != "" {
		problems = append(problems, c.Standing.of(c.Document))
	}
	for _, l := range c.Links {
		problems = append(problems, l.check())
	}
	for _, r := range c.CreditNotes {
		_, err := c.Document.minor("a credit note", r.Gross)
		problems = append(problems, numbered("the number of a credit note", r.Number), err)
	}
	rows := 0
	for _, e := range c.Explanations {
		rows += len(e.Days) + len(e.Pins)
		if err := e.of(c.Document); err != nil {
			problems = append(problems, err)
		}
	}
	return errors.Join(append(problems, limit("days and pins", rows, maxExplanation))...)
}

// of checks that the standing is one of a document.
func (s Standing) of(d Document) error {
	if d.Kind != KindInvoice {
		return errors.New("only an invoice has a standing")
	}
	if same, err := s.Total.Cmp(d.Totals.Gross); err != nil || same != 0 {
		return fmt.Errorf("the standing is of %s, and the invoice of %s", s.Total, d.Totals.Gross)
	}
	if s.State != Draft && s.State.Next() == nil && s.State != Void || (s.State == Draft) != d.Draft() {
		return fmt.Errorf("the document does not fit the state %q", s.State)
	}
	_, credited := d.minor("what was credited", s.Credited)
	_, paid := d.minor("what was paid", s.Paid)
	return errors.Join(credited, paid)
}
