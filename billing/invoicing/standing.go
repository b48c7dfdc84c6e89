package invoicing

import (
	"context"
	"errors"
	"fmt"
	"math/big"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// apply brings what an invoice stands at to what its payments and credit notes come to, changed by a
// function, and returns its row. It reads the row, then what counts, and writes under the
// condition that nobody has written meanwhile: so of several that do it at once the last one has
// seen everything. A nil change is none.
func (o *Office) apply(ctx context.Context, at place, change func(invoice.Standing) (invoice.Standing, error)) (*row, error) {
	for {
		r, err := o.row(ctx, at)
		if err != nil {
			return nil, err
		}
		if r.draft() || r.creditNote() {
			return nil, fmt.Errorf("the %s has no number, or is no invoice: %w", at, invoice.ErrState)
		}
		now, err := o.standing(ctx, r)
		if err != nil {
			return nil, err
		}
		if change != nil {
			if now, err = change(now); err != nil {
				return r, err
			}
		}
		done, err := o.stand(ctx, r, now)
		if err != nil || done {
			return r, err
		}
	}
}

// standing says what an invoice stands at, by what has become of it.
func (o *Office) standing(ctx context.Context, r *row) (invoice.Standing, error) {
	total := money.FromMinor(r.total, r.currency)
	s := invoice.Standing{State: r.state, Total: total, Credited: money.Zero(r.currency), Paid: money.Zero(r.currency)}
	if r.state == invoice.Void {
		return s, nil
	}
	paid, _, err := o.paid(ctx, r)
	if err != nil {
		return s, err
	}
	notes, err := o.notes(ctx, r)
	if err != nil {
		return s, err
	}
	credited := new(big.Int)
	for _, note := range notes {
		credited.Add(credited, note.total)
	}
	s.Credited, s.Paid = money.FromMinor(credited, r.currency), money.FromMinor(paid, r.currency)
	due, err := s.Due()
	switch {
	case err != nil:
		return s, err
	case due.Sign() <= 0:
		s.State = invoice.Paid
	case s.State == invoice.Paid:
		s.State = invoice.Open
	}
	return s, nil
}

// stand writes what an invoice stands at, and tells whether it does, by then, as it was to.
func (o *Office) stand(ctx context.Context, r *row, now invoice.Standing) (bool, error) {
	credited, err := now.Credited.Minor()
	if err != nil {
		return false, err
	}
	paid, err := now.Paid.Minor()
	if err != nil {
		return false, err
	}
	if r.state == now.State && r.credited.Cmp(credited) == 0 && r.paid.Cmp(paid) == 0 {
		return true, nil
	}
	turn, paidTurn := r.turn+1, r.paidTurn
	if now.State == invoice.Paid && r.state != invoice.Paid {
		paidTurn = turn
		event, err := o.paidEvent(r, turn)
		if err != nil {
			return false, err
		}
		if err := o.announce(ctx, event); err != nil {
			return false, err
		}
	}
	mark, err := newMark()
	if err != nil {
		return false, err
	}
	err = o.decide(ctx, scylla.Bind(updateStanding, string(now.State), credited, paid, turn, paidTurn, mark, r.owner, r.period, r.rev, r.mark))
	if err != nil {
		return false, fmt.Errorf("writing what %s stands at: %w", r.number, err)
	}
	after, err := o.row(ctx, r.place)
	if err != nil || after.mark != mark {
		return false, err
	}
	*r = *after
	return true, nil
}

// change changes what an invoice stands at.
func (o *Office) change(ctx context.Context, number string, f func(invoice.Standing) (invoice.Standing, error)) (Document, error) {
	r, err := o.byNumber(ctx, number)
	if err != nil {
		return Document{}, err
	}
	if r, err = o.apply(ctx, r.place, f); err != nil {
		return Document{}, fmt.Errorf("%s: %w", number, err)
	}
	return r.public()
}

// Void says that an invoice was a mistake: its number stays used, and its month may have another
// invoice. Rails are to be told before (Collector.Cancel): what is paid for it later is unmatched.
// The error is invoice.ErrState if something was paid for it or credited of it, or is being.
func (o *Office) Void(ctx context.Context, number string) (Document, error) {
	return o.change(ctx, number, func(s invoice.Standing) (invoice.Standing, error) {
		if s.State == invoice.Void {
			return s, nil
		}
		return s.Void()
	})
}

// WriteOff says that nobody expects an invoice to be paid. What is paid for it counts all the same.
// The error is invoice.ErrState if it is not open.
func (o *Office) WriteOff(ctx context.Context, number string) (Document, error) {
	return o.change(ctx, number, func(s invoice.Standing) (invoice.Standing, error) {
		if s.State == invoice.Uncollectible {
			return s, nil
		}
		return s.WriteOff()
	})
}

// notes returns the rows of the credit notes of an invoice, also those that have no number yet.
func (o *Office) notes(ctx context.Context, r *row) ([]*row, error) {
	rows, err := o.rows(ctx, r.owner, r.period)
	if err != nil {
		return nil, err
	}
	var out []*row
	for _, note := range rows {
		if note.creditNote() && *note.of == r.rev && note.state != invoice.Void {
			out = append(out, note)
		}
	}
	return out, nil
}

// Credit takes back a part of an invoice, taxes in it, by a credit note with a number of its own.
// It is made once for a request, which whoever asks for it names: asked again, the same note is
// returned. Errors: invoice.ErrTooMuch, and invoice.ErrState if the invoice is void.
func (o *Office) Credit(ctx context.Context, number string, amount money.Amount, reason, request string) (Document, error) {
	if request == "" {
		return Document{}, errors.New("a credit note is asked for by a request that has a name")
	}
	r, err := o.byNumber(ctx, number)
	if err != nil {
		return Document{}, err
	}
	of, err := r.document()
	if err != nil {
		return Document{}, err
	}
	if r.creditNote() {
		return Document{}, fmt.Errorf("%s is no invoice", number)
	}
	for {
		rows, err := o.rows(ctx, r.owner, r.period)
		if err != nil {
			return Document{}, err
		}
		var earlier []invoice.Document
		for _, note := range rows {
			if !note.creditNote() || *note.of != r.rev {
				continue
			}
			if note.state != invoice.Void {
				issued, err := o.finishNote(ctx, r, note)
				if err != nil && (note.request == request || !errors.Is(err, invoice.ErrState)) {
					return Document{}, err
				}
				if err == nil {
					if note.request == request {
						return issued, nil
					}
					earlier = append(earlier, issued.Document)
				}
			} else if note.request == request {
				return Document{}, fmt.Errorf("%s is void: %w", number, invoice.ErrState)
			}
		}
		draft, err := invoice.Credit(of, earlier, amount, reason)
		if err != nil {
			return Document{}, fmt.Errorf("crediting %s: %w", number, err)
		}
		at := place{r.owner, r.period, nextRev(rows)}
		if err := o.keep(ctx, at, draft, o.opts.CreditSeries, 0, &r.rev, request); err != nil { // or another document that was first
			return Document{}, err
		}
	}
}

// finishNote issues a credit note that is kept. It counts for what the invoice stands at before
// it has a number, so that the invoice is not void from then on. One whose invoice is void is
// dropped, before it has one.
func (o *Office) finishNote(ctx context.Context, of, note *row) (Document, error) {
	if !note.draft() {
		return note.public()
	}
	stands, err := o.apply(ctx, of.place, nil)
	if err != nil {
		return Document{}, err
	}
	if stands.state == invoice.Void {
		mark, err := newMark()
		if err != nil {
			return Document{}, err
		}
		err = o.decide(ctx, scylla.Bind(updateDropped, string(invoice.Void), mark, note.owner, note.period, note.rev, string(invoice.Draft), nil))
		return Document{}, errors.Join(fmt.Errorf("%s is void: %w", of.number, invoice.ErrState), wrap(err, "dropping the %s", note.place))
	}
	return o.finish(ctx, note.place)
}
