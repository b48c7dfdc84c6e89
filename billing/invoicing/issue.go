package invoicing

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/plan"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// ErrNothing says that a month costs nothing, and has no invoice.
var ErrNothing = errors.New("there is nothing to be paid")

// Issue issues the invoice of an owner's month, once: if there is one that is not void, it is
// returned. After an error, or a crash, it goes on where it was. The draft that was kept first counts,
// whatever has changed since. Errors: ErrHeld, ErrNothing.
func (o *Office) Issue(ctx context.Context, owner string, month plan.Month) (Document, error) {
	book, err := o.Book(ctx)
	if err != nil {
		return Document{}, err
	}
	return o.issue(ctx, book, owner, month)
}

func (o *Office) issue(ctx context.Context, book *plan.Book, owner string, month plan.Month) (Document, error) {
	for {
		rows, err := o.rows(ctx, owner, periodOf(month))
		if err != nil {
			return Document{}, err
		}
		i := slices.IndexFunc(rows, func(r *row) bool { return !r.creditNote() && r.state != invoice.Void })
		switch {
		case i >= 0 && rows[i].draft():
			return o.finish(ctx, rows[i].place)
		case i >= 0:
			return rows[i].public()
		}
		d, err := o.invoiceOf(ctx, book, owner, month)
		if err != nil {
			return Document{}, err
		}
		at := place{owner, periodOf(month), nextRev(rows)}
		if err := o.keep(ctx, at, d, o.opts.Series, o.opts.Terms, nil, ""); err != nil { // or another one that was first
			return Document{}, err
		}
	}
}

func nextRev(rows []*row) int {
	if len(rows) == 0 {
		return 0
	}
	return rows[len(rows)-1].rev + 1
}

// invoiceOf returns the draft of an invoice that may be issued.
func (o *Office) invoiceOf(ctx context.Context, book *plan.Book, owner string, month plan.Month) (invoice.Document, error) {
	if !o.over(month) {
		return invoice.Document{}, held("%s is not over", month)
	}
	buyer, err := o.opts.Buyer(ctx, owner)
	if err != nil {
		return invoice.Document{}, fmt.Errorf("asking who %q is: %w", owner, err)
	}
	schedule, err := o.schedule(ctx, book, owner, periodOf(month))
	if err != nil {
		return invoice.Document{}, err
	}
	d, err := o.draft(ctx, owner, month, schedule, buyer, true)
	switch {
	case err != nil:
		return invoice.Document{}, err
	case d.Totals.Gross.Sign() < 0:
		return invoice.Document{}, held("the total is %s: give that back by a credit note to an earlier invoice", d.Totals.Gross)
	case d.Totals.Gross.Sign() == 0:
		return invoice.Document{}, ErrNothing
	}
	return d, nil
}

// keep stores a draft, unless there is one at its place.
func (o *Office) keep(ctx context.Context, at place, d invoice.Document, series string, terms int, of *int, request string) error {
	doc, err := d.Canonical()
	if err != nil {
		return err
	}
	digest, err := digestOf(d)
	if err != nil {
		return err
	}
	total, err := d.Totals.Gross.Minor()
	if err != nil {
		return err
	}
	mark, err := newMark()
	if err != nil {
		return err
	}
	zero := new(big.Int)
	err = o.decide(ctx, scylla.Bind(insertDraft, at.owner, at.period, at.rev, string(d.Kind), of, request, series, string(invoice.Draft), d.Currency.Code(),
		total, zero, zero, string(doc), digest, terms, int64(0), mark))
	return wrap(err, "keeping a draft, the %s", at)
}

func digestOf(d invoice.Document) ([]byte, error) {
	sum, err := d.Digest()
	if err != nil {
		return nil, err
	}
	return hex.DecodeString(sum)
}

// finish gives a draft that is kept its number, and issues it. Whoever does it makes the same bytes:
// the date is that of the number.
func (o *Office) finish(ctx context.Context, at place) (Document, error) {
	r, err := o.row(ctx, at)
	if err != nil {
		return Document{}, err
	}
	draft := r
	n, since, ok, err := o.number(ctx, at)
	if err != nil {
		return Document{}, err
	}
	if ok && draft.draft() {
		if err := o.seal(ctx, draft, n, invoice.DateOf(since)); err != nil {
			return Document{}, err
		}
	}
	if r, err = o.row(ctx, at); err != nil {
		return Document{}, err
	}
	if r.draft() {
		return Document{}, fmt.Errorf("the %s is a draft after it was issued", at)
	}
	return r.public()
}

// seal makes an issued document of a draft whose number is known.
func (o *Office) seal(ctx context.Context, r *row, n int64, issued invoice.Date) error {
	d, err := r.document()
	if err != nil {
		return err
	}
	var due invoice.Date
	state := stateIssued
	if !r.creditNote() {
		due, state = issued+invoice.Date(r.terms), invoice.Open
	}
	number := text(r.series, n)
	if d, err = d.Issue(r.series, number, issued, due); err != nil {
		return fmt.Errorf("issuing the %s as %s: %w", r.place, number, err)
	}
	doc, err := d.Canonical()
	if err != nil {
		return err
	}
	digest, err := digestOf(d)
	if err != nil {
		return err
	}
	if err := o.write(ctx, scylla.Bind(insertByNumber, number, r.owner, r.period, r.rev)); err != nil {
		return fmt.Errorf("noting whose the number %s is: %w", number, err)
	}
	if err := o.announce(ctx, o.issuedEvents(r, d, hex.EncodeToString(digest))...); err != nil {
		return err
	}
	mark, err := newMark()
	if err != nil {
		return err
	}
	err = o.decide(ctx, scylla.Bind(updateIssued, string(state), number, string(doc), digest, int32(due), int32(issued), int64(1), mark, //nolint:gosec // days
		r.owner, r.period, r.rev, string(invoice.Draft), n))
	return wrap(err, "issuing %s", number)
}

// Recompute makes the draft of an issued invoice again, from what was used and the plans, and tells
// whether it is the same to the byte. Who seller and buyer were, and the taxes, are those of
// the invoice.
func (o *Office) Recompute(ctx context.Context, number string) (same bool, again invoice.Document, err error) {
	r, err := o.byNumber(ctx, number)
	if err != nil {
		return false, invoice.Document{}, err
	}
	d, err := r.document()
	if err != nil {
		return false, invoice.Document{}, err
	}
	if r.creditNote() {
		return false, invoice.Document{}, fmt.Errorf("%s is no invoice", number)
	}
	book, err := o.Book(ctx)
	if err != nil {
		return false, invoice.Document{}, err
	}
	schedule, err := o.planned(ctx, book, r.owner)
	if err != nil {
		return false, invoice.Document{}, err
	}
	then := *o
	then.opts.Seller, then.opts.Regions, then.opts.MostUnsized = d.Seller, invoice.Regions{regionOf(d)}, -1
	again, err = then.draft(ctx, r.owner, r.month(), schedule, Buyer{d.Buyer, d.Region, d.Notes}, true)
	if err != nil {
		return false, invoice.Document{}, err
	}
	was, err := d.DraftDigest()
	if err != nil {
		return false, invoice.Document{}, err
	}
	is, err := again.DraftDigest()
	return was == is, again, err
}

// regionOf returns the tax region of a document as it was.
func regionOf(d invoice.Document) invoice.Region {
	out := invoice.Region{Name: d.Region}
	for _, t := range d.Taxes {
		out.Treatment, out.Note, out.Rounding = t.Treatment, t.Note, t.Rounding
		if t.Treatment == invoice.Standard {
			out.Rates = append(out.Rates, invoice.Rate{Name: t.Name, Percent: t.Percent})
		}
	}
	return out
}
