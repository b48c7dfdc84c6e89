package invoicing

import (
	"context"
	"encoding/hex"
	"errors"
	"fmt"
	"math/big"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/invoice"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/plan"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// ErrUnknown says that there is no such document.
var ErrUnknown = errors.New("there is no such document")

// stateIssued is the state of a credit note that has its number.
const stateIssued invoice.State = "issued"

// place is where a document is.
type place struct {
	owner  string
	period int
	rev    int
}

func (p place) String() string {
	return fmt.Sprintf("document %d of %q in %d", p.rev, p.owner, p.period)
}

// row is a row of invoices.
type row struct {
	place
	kind     string
	of       *int
	request  string
	series   string
	want     *int64
	number   string
	state    invoice.State
	currency money.Currency
	total    *big.Int
	credited *big.Int
	paid     *big.Int
	doc      string
	digest   []byte
	terms    int
	due      int32
	issued   int32
	turn     int64
	paidTurn int64
	mark     gocql.UUID

	code, stateText string
}

func newRow(at place) *row { return &row{place: at} }

func (r *row) scan() []any {
	return []any{
		&r.rev, &r.kind, &r.of, &r.request, &r.series, &r.want, &r.number, &r.stateText, &r.code, &r.total, &r.credited, &r.paid, &r.doc, &r.digest,
		&r.terms, &r.due, &r.issued, &r.turn, &r.paidTurn, &r.mark,
	}
}

func (r *row) decode() (*row, error) {
	var err error
	r.state = invoice.State(r.stateText)
	if r.currency, err = money.ByCode(r.code); err != nil {
		return nil, fmt.Errorf("%s as it is stored: %w", r.place, err)
	}
	if r.total == nil || r.credited == nil || r.paid == nil || r.doc == "" || len(r.digest) == 0 || r.kind == string(invoice.KindCreditNote) && r.of == nil {
		return nil, fmt.Errorf("%s as it is stored: the row is not complete", r.place)
	}
	return r, nil
}

// document returns the document, which must be the one with the digest.
func (r *row) document() (invoice.Document, error) {
	d, err := invoice.Verify([]byte(r.doc), hex.EncodeToString(r.digest))
	return d, wrap(err, "%s as it is stored", r.place)
}

func (r *row) draft() bool      { return r.state == invoice.Draft }
func (r *row) creditNote() bool { return r.kind == string(invoice.KindCreditNote) }

// row returns a document's row. The error is ErrUnknown if there is none.
func (o *Office) row(ctx context.Context, at place) (*row, error) {
	r := newRow(at)
	found, err := o.db.Read(ctx, gocql.Serial, scylla.Bind(selectRow, at.owner, at.period, at.rev), r.scan()...)
	switch {
	case err != nil:
		return nil, fmt.Errorf("reading the %s: %w", at, err)
	case !found || r.kind == "":
		return nil, fmt.Errorf("the %s: %w", at, ErrUnknown)
	}
	return r.decode()
}

// rows returns the documents of a month, in the order in which they were begun.
func (o *Office) rows(ctx context.Context, owner string, period int) ([]*row, error) {
	rows := o.db.Rows(ctx, gocql.Serial, page, scylla.Bind(selectRows, owner, period))
	defer rows.Close()
	var out []*row
	at := place{owner: owner, period: period}
	for r := newRow(at); rows.Next(r.scan()...); r = newRow(at) {
		if _, err := r.decode(); err != nil {
			return nil, err
		}
		out = append(out, r)
	}
	return out, wrap(rows.Close(), "reading the documents of %q in %d", owner, period)
}

// byNumber returns the row of a number. The error is ErrUnknown if it has no document.
func (o *Office) byNumber(ctx context.Context, number string) (*row, error) {
	var at place
	found, err := o.db.Read(ctx, gocql.Quorum, scylla.Bind(selectByNumber, number), &at.owner, &at.period, &at.rev)
	switch {
	case err != nil:
		return nil, fmt.Errorf("looking for %s: %w", number, err)
	case !found:
		return nil, fmt.Errorf("%s: %w", number, ErrUnknown)
	}
	r, err := o.row(ctx, at)
	if err == nil && r.number != number { // the row is written before it is issued
		err = fmt.Errorf("%s: %w", number, ErrUnknown)
	}
	return r, err
}

// Document is an invoice or a credit note that is kept.
type Document struct {
	invoice.Document
	// Rev is its place among the documents of the month.
	Rev int
	// Digest is that of its canonical JSON, in hex.
	Digest string
	// State is what has become of it. A credit note is draft, issued or void.
	State invoice.State
	// Standing is that of an invoice.
	Standing invoice.Standing
}

func (r *row) public() (Document, error) {
	d, err := r.document()
	if err != nil {
		return Document{}, err
	}
	out := Document{Document: d, Rev: r.rev, Digest: hex.EncodeToString(r.digest), State: r.state}
	if !r.creditNote() {
		out.Standing = invoice.Standing{
			State: r.state, Total: money.FromMinor(r.total, r.currency), Credited: money.FromMinor(r.credited, r.currency), Paid: money.FromMinor(r.paid, r.currency),
		}
	}
	return out, nil
}

// Document returns the document that has a number. The error is ErrUnknown if there is none.
func (o *Office) Document(ctx context.Context, number string) (Document, error) {
	r, err := o.byNumber(ctx, number)
	if err != nil {
		return Document{}, err
	}
	return r.public()
}

// Documents returns all documents of an owner, those of the last month first. Drafts are among them
// that were begun and have no number yet.
func (o *Office) Documents(ctx context.Context, owner string) ([]Document, error) {
	rows := o.db.Rows(ctx, gocql.Quorum, page, scylla.Bind(selectMonths, owner))
	defer rows.Close()
	var out []Document
	at := place{owner: owner}
	for r := newRow(at); rows.Next(append([]any{&r.period}, r.scan()...)...); r = newRow(at) {
		if _, err := r.decode(); err != nil {
			return nil, err
		}
		d, err := r.public()
		if err != nil {
			return nil, err
		}
		out = append(out, d)
	}
	return out, wrap(rows.Close(), "reading the documents of %q", owner)
}

// month returns the month of the row as 2026-12.
func (r *row) month() plan.Month { return monthOf(r.period) }
