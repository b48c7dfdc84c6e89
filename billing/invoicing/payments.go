package invoicing

import (
	"context"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// ErrMatched says that a payment is for another invoice already.
var ErrMatched = errors.New("the payment is for an invoice already")

// counted is how much a movement adds to what was paid of an invoice, nil if it is not of it, and why
// not.
func (m *movement) counted(r *row) (amount *big.Int, why string) {
	amount = m.Amount
	switch {
	case m.number() != r.number:
		return nil, "it is for " + m.number()
	case r.state == invoice.Void:
		return nil, r.number + " is void"
	case m.assigned != "":
		amount = m.assignedAmount
	case m.Currency.Code != r.currency.Code() || m.Currency.Digits != r.currency.Digits():
		return nil, fmt.Sprintf("it is in %s, and %s in %s", m.Currency.Code, r.number, r.currency)
	}
	switch m.Kind {
	case rails.Paid:
		return amount, ""
	case rails.Refunded, rails.Disputed:
		return new(big.Int).Neg(amount), ""
	}
	return new(big.Int), ""
}

// movements returns those that may be of an invoice, in the order of their times.
func (o *Office) movements(ctx context.Context, number string) ([]*movement, error) {
	rows := o.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(selectPayments, number))
	defer rows.Close()
	var out []*movement
	var rail, id string
	for rows.Next(&rail, &id) {
		m, err := o.movement(ctx, rail, id)
		if err != nil {
			return nil, err
		}
		if m != nil { // a crash has left the note
			out = append(out, m)
		}
	}
	slices.SortStableFunc(out, func(a, b *movement) int { return a.At.Compare(b.At) })
	return out, wrap(rows.Close(), "reading the payments of %s", number)
}

// paid adds up what was paid of an invoice, less what went back.
func (o *Office) paid(ctx context.Context, r *row) (*big.Int, []*movement, error) {
	all, err := o.movements(ctx, r.number)
	if err != nil {
		return nil, nil, err
	}
	sum := new(big.Int)
	of := all[:0:0]
	for _, m := range all {
		if n, _ := m.counted(r); n != nil {
			sum.Add(sum, n)
			of = append(of, m)
		}
	}
	return sum, of, nil
}

// settle brings all that a movement was ever of to what it comes to, and puts it among what somebody
// has to look at if it is of nothing, or of something that is paid already.
func (o *Office) settle(ctx context.Context, rail, id string) error {
	m, err := o.movement(ctx, rail, id)
	if err != nil || m == nil {
		return err
	}
	why := "nobody has said what it is for"
	if m.number() != "" {
		why = "there is no invoice " + m.number()
	}
	for _, number := range m.named {
		r, err := o.byNumber(ctx, number)
		if errors.Is(err, ErrUnknown) || err == nil && r.creditNote() {
			continue
		}
		if err == nil {
			r, err = o.apply(ctx, r.place, nil)
		}
		if err != nil {
			return fmt.Errorf("what %s stands at: %w", number, err)
		}
		if m.number() == number {
			_, why = m.counted(r)
			if more := new(big.Int).Sub(new(big.Int).Add(r.paid, r.credited), r.total); why == "" && more.Sign() > 0 && m.Kind == rails.Paid {
				why = fmt.Sprintf("%s more came in than %s is", money.FromMinor(more, r.currency), number)
			}
		}
	}
	if why == "" || m.Kind == rails.Reversed {
		return nil
	}
	return wrap(o.write(ctx, scylla.Bind(updateUnmatched, why, rail, monthOfTime(m.At), id)), "putting the payment %s of %s among those to be looked at", id, rail)
}

// Payment is a movement of money that counts for an invoice.
type Payment struct {
	rails.Payment
	// Counts is what it adds to what was paid, or takes away.
	Counts money.Amount
	// Late says that it came after the invoice was due.
	Late bool
	// AssignedBy is the operator who has said what it is for, if one has.
	AssignedBy string
}

// Payments returns what was paid of an invoice, and what that comes to: the state of the standing, and
// what is due, negative if too much came in.
func (o *Office) Payments(ctx context.Context, number string) (Document, []Payment, error) {
	r, err := o.byNumber(ctx, number)
	if err != nil {
		return Document{}, nil, err
	}
	_, all, err := o.paid(ctx, r)
	if err != nil {
		return Document{}, nil, err
	}
	out := make([]Payment, 0, len(all))
	for _, m := range all {
		n, _ := m.counted(r)
		late := invoice.DateOf(m.At) > invoice.Date(r.due)
		out = append(out, Payment{m.Payment, money.FromMinor(n, r.currency), late, m.assignedBy})
	}
	d, err := r.public()
	return d, out, err
}

// Unmatched is a movement that somebody has to look at.
type Unmatched struct {
	rails.Payment
	// Why says why.
	Why string
	// Resolved says what somebody has done about it.
	Resolved string
}

// EachUnmatched calls f with what came in by a rail in a month, as 202612, and is to be looked at,
// also what is resolved.
func (o *Office) EachUnmatched(ctx context.Context, rail string, month int, f func(Unmatched) error) error {
	rows := o.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(selectUnmatched, rail, month))
	defer rows.Close()
	for {
		var id string
		var u Unmatched
		if !rows.Next(&id, &u.Why, &u.Resolved) {
			return wrap(rows.Close(), "reading what %s has to be looked at", rail)
		}
		m, err := o.movement(ctx, rail, id)
		if err != nil {
			return err
		}
		if m == nil || u.Why == "" {
			continue
		}
		u.Payment = m.Payment
		if err := f(u); err != nil {
			return err
		}
	}
}

// Assign says which invoice a payment is for that was not matched, and how much that is in the
// invoice's currency. The one who said it first counts; to say the same again is no error. The
// error is ErrMatched if it is for another one, or counts where its rail has put it.
func (o *Office) Assign(ctx context.Context, rail, id, number string, amount money.Amount, by string) error {
	r, err := o.byNumber(ctx, number)
	if err != nil {
		return err
	}
	units, err := amount.Minor()
	if err != nil {
		return err
	}
	switch {
	case by == "":
		return errors.New("a payment is assigned by somebody")
	case amount.Currency() != r.currency || amount.Sign() <= 0:
		return fmt.Errorf("%s is no amount that %s, in %s, can be paid with", amount, number, r.currency)
	case r.creditNote() || r.draft() || r.state == invoice.Void:
		return fmt.Errorf("%s is %s: %w", number, r.state, invoice.ErrState)
	}
	if err := o.write(ctx, scylla.Bind(insertPayment, number, rail, id)); err != nil {
		return fmt.Errorf("noting a payment of %s: %w", number, err)
	}
	for {
		m, err := o.movement(ctx, rail, id)
		switch {
		case err != nil:
			return err
		case m == nil:
			return fmt.Errorf("the payment %s of %s: %w", id, rail, ErrUnknown)
		case m.assigned == number && m.assignedAmount.Cmp(units) == 0:
			return errors.Join(o.settle(ctx, rail, id), o.Resolve(ctx, m.Payment, fmt.Sprintf("%s to %s by %s", amount, number, m.assignedBy)))
		case m.assigned != "":
			return fmt.Errorf("it is for %s: %w", m.assigned, ErrMatched)
		}
		if counts, err := o.counts(ctx, m); err != nil || counts {
			return errors.Join(err, wrap(ErrMatched, "it counts for %s", m.Invoice))
		}
		err = o.decide(ctx, scylla.Bind(updateMatch, number, units, by, []string{number}, rail, id, m.version, nil))
		if err != nil {
			return fmt.Errorf("assigning the payment %s of %s: %w", id, rail, err)
		}
	}
}

// counts tells whether a movement counts for the invoice that its rail has named.
func (o *Office) counts(ctx context.Context, m *movement) (bool, error) {
	if m.Invoice == "" {
		return false, nil
	}
	r, err := o.byNumber(ctx, m.Invoice)
	if errors.Is(err, ErrUnknown) {
		return false, nil
	}
	if err != nil {
		return false, err
	}
	n, _ := m.counted(r)
	return n != nil, nil
}

// Resolve notes what somebody has done about a payment that was to be looked at, as that it was given
// back.
func (o *Office) Resolve(ctx context.Context, p rails.Payment, what string) error {
	if what == "" {
		return errors.New("what was done about a payment is said")
	}
	return wrap(o.write(ctx, scylla.Bind(updateResolved, what, p.Rail, monthOfTime(p.At), p.ID)), "noting what was done about the payment %s of %s", p.ID, p.Rail)
}

// Asked returns an issued invoice as rails are asked for its payment. Rev and customer are theirs. The
// error is invoice.ErrState if nothing is to be paid of it.
func (o *Office) Asked(ctx context.Context, number string, rev int, customer string) (rails.Invoice, error) {
	r, err := o.byNumber(ctx, number)
	if err != nil {
		return rails.Invoice{}, err
	}
	if r.creditNote() || r.state != invoice.Open && r.state != invoice.Uncollectible {
		return rails.Invoice{}, fmt.Errorf("%s is %s: %w", number, r.state, invoice.ErrState)
	}
	d, err := r.document()
	if err != nil {
		return rails.Invoice{}, err
	}
	out := rails.Invoice{
		Number: number, Rev: rev, Owner: r.owner, Currency: rails.Currency{Code: r.currency.Code(), Digits: r.currency.Digits()}, Total: r.total,
		Due: dayTime(r.due + 1), Customer: customer,
	}
	for _, l := range d.Lines {
		n, err := l.Amount.Minor()
		if err != nil {
			return rails.Invoice{}, err
		}
		out.Lines = append(out.Lines, rails.Line{Description: l.Description, Amount: n})
	}
	for _, t := range d.Taxes {
		n, err := t.Amount.Minor()
		if err != nil {
			return rails.Invoice{}, err
		}
		out.Lines = append(out.Lines, rails.Line{Description: t.Name, Amount: n})
	}
	return out, out.Check()
}
