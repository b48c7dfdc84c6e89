package invoice

import (
	"errors"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// State is what has become of an invoice.
type State string

// The states. A draft becomes open when it gets its number. Paid says that nothing is left to
// pay: it was paid, credited, or there never was anything. It becomes open again if a payment
// is taken back. What is uncollectible may still be paid. Void is final.
const (
	Draft         State = "draft"
	Open          State = "open"
	Paid          State = "paid"
	Void          State = "void"
	Uncollectible State = "uncollectible"
)

// Next returns the states that a state may change to.
func (s State) Next() []State {
	switch s {
	case Draft:
		return []State{Open, Paid}
	case Open:
		return []State{Paid, Void, Uncollectible}
	case Paid:
		return []State{Open}
	case Uncollectible:
		return []State{Paid, Void}
	}
	return nil
}

// ErrState says that an invoice is in a state that does not allow a change.
var ErrState = errors.New("the state of the invoice does not allow it")

// Standing is where an invoice stands. All amounts are in its currency. The methods return
// another one and change none; they refuse an amount that is not above zero.
type Standing struct {
	State State `json:"state"`
	// Total is that of the invoice, taxes in it.
	Total money.Amount `json:"total"`
	// Credited is the sum of the credit notes, at most Total.
	Credited money.Amount `json:"credited"`
	// Paid is what came in, less what was paid back. It may be more than is owed.
	Paid money.Amount `json:"paid"`
}

// Begin returns the standing of a draft.
func Begin(d Document) Standing {
	return Standing{State: Draft, Total: d.Totals.Gross, Credited: money.Zero(d.Currency), Paid: money.Zero(d.Currency)}
}

// Due returns what is left to pay. It is negative if that much is to be paid back. It is an
// error if the standing is of several currencies.
func (s Standing) Due() (money.Amount, error) {
	left, err := s.Total.Sub(s.Credited)
	if err != nil {
		return money.Amount{}, err
	}
	return left.Sub(s.Paid)
}

// Open is for an invoice that was issued. One of zero is paid at once.
func (s Standing) Open() (Standing, error) {
	if s.State != Draft {
		return s, s.refuse("is opened")
	}
	if s.Total.Sign() < 0 {
		return s, fmt.Errorf("%s: %w", s.Total, ErrNegative)
	}
	s.State = Open
	return s.settled()
}

// Pay adds a payment. It counts also if it is more than is due. What comes in for a draft or a
// void invoice is ErrState: it belongs to no invoice.
func (s Standing) Pay(amount money.Amount) (Standing, error) {
	if s.State == Draft || s.State == Void {
		return s, s.refuse("is paid")
	}
	if err := s.positive(amount); err != nil {
		return s, err
	}
	paid, err := s.Paid.Add(amount)
	if err != nil {
		return s, err
	}
	after := s
	after.Paid = paid
	return after.settled()
}

// Reverse takes a payment back, or a part of one: it was refunded, or failed later. It is an
// error if that is more than was paid.
func (s Standing) Reverse(amount money.Amount) (Standing, error) {
	if err := s.positive(amount); err != nil {
		return s, err
	}
	paid, err := s.Paid.Sub(amount)
	if err != nil {
		return s, err
	}
	if paid.Sign() < 0 {
		return s, fmt.Errorf("%s is taken back of %s that was paid", amount, s.Paid)
	}
	after := s
	after.Paid = paid
	return after.settled()
}

// Credit adds a credit note. It is ErrTooMuch if they are more than the invoice together.
func (s Standing) Credit(amount money.Amount) (Standing, error) {
	if s.State == Draft || s.State == Void {
		return s, s.refuse("is credited")
	}
	if err := s.positive(amount); err != nil {
		return s, err
	}
	credited, err := s.Credited.Add(amount)
	if err != nil {
		return s, err
	}
	if more, err := credited.Cmp(s.Total); err != nil || more > 0 {
		return s, errors.Join(err, fmt.Errorf("%s credited of %s: %w", credited, s.Total, ErrTooMuch))
	}
	after := s
	after.Credited = credited
	return after.settled()
}

// Void says that the invoice was a mistake. Its number stays used. One that something was
// paid for or credited of is not voided: credit the rest.
func (s Standing) Void() (Standing, error) {
	if s.State != Open && s.State != Uncollectible || s.Paid.Sign() != 0 || s.Credited.Sign() != 0 {
		return s, s.refuse("is void")
	}
	s.State = Void
	return s, nil
}

// WriteOff says that nobody expects the invoice to be paid.
func (s Standing) WriteOff() (Standing, error) {
	if s.State != Open {
		return s, s.refuse("is uncollectible")
	}
	s.State = Uncollectible
	return s, nil
}

// settled returns the standing with the state that follows from what is due.
func (s Standing) settled() (Standing, error) {
	due, err := s.Due()
	if err != nil {
		return s, err
	}
	switch {
	case due.Sign() <= 0 && (s.State == Open || s.State == Uncollectible):
		s.State = Paid
	case due.Sign() > 0 && s.State == Paid:
		s.State = Open
	}
	return s, nil
}

func (s Standing) positive(amount money.Amount) error {
	if amount.Sign() <= 0 {
		return fmt.Errorf("%s is not above zero", amount)
	}
	if _, err := amount.Minor(); err != nil {
		return err
	}
	return nil
}

func (s Standing) refuse(what string) error {
	return fmt.Errorf("an invoice that is %s, with %s credited and %s paid, %s: %w", s.State, s.Credited, s.Paid, what, ErrState)
}
