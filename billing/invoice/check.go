package invoice

import (
	"encoding/hex"
	"errors"
	"fmt"
	"math"
	"math/big"
	"regexp"
	"strings"
	"unicode/utf8"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// How much there may be of what. A correction is a line for each day corrected.
const (
	maxText    = 2000 // bytes
	maxLines   = 2000
	maxTaxes   = 10
	maxPlans   = 100
	maxAddress = 10
	maxNotes   = 20
)

// needed says that a text must not be empty.
const needed = 1

// text checks that a text is one, and has so many bytes at least. Any characters may be in
// it: whoever shows it takes care of them.
func text(what, text string, atLeast int) error {
	switch {
	case len(text) < atLeast || atLeast > 0 && strings.TrimSpace(text) == "":
		return fmt.Errorf("%s is empty", what)
	case len(text) > maxText:
		return fmt.Errorf("%s has %d bytes, more than %d", what, len(text), maxText)
	case !utf8.ValidString(text):
		return fmt.Errorf("%s is not UTF-8", what)
	}
	return nil
}

func limit(what string, n, most int) error {
	if n > most {
		return fmt.Errorf("%d %s, more than %d", n, what, most)
	}
	return nil
}

// numbers are the numbers of documents, and their series.
var numbers = regexp.MustCompile(`\A[A-Za-z0-9][A-Za-z0-9./_-]{0,63}\z`)

func numbered(what, text string) error {
	if !numbers.MatchString(text) {
		return fmt.Errorf("%s %q is not of the form %s", what, text, numbers)
	}
	return nil
}

func digest(what, sum string) error {
	if raw, err := hex.DecodeString(sum); err != nil || len(raw) != 32 || sum != strings.ToLower(sum) {
		return fmt.Errorf("%s %q is not a SHA-256 in hex", what, sum)
	}
	return nil
}

// Check returns what is wrong with a document: what is missing, what does not add up, and
// what a document of its kind and state does not have.
func (d Document) Check() error {
	problems := []error{
		text("the owner", d.Owner, needed), d.Period.check(), d.Seller.check("seller"), d.Buyer.check("buyer"),
		text("the tax region", d.Region, needed), digest("the digest of the usage", d.Usage),
		limit("lines", len(d.Lines), maxLines), limit("taxes", len(d.Taxes), maxTaxes), limit("plans", len(d.Plans), maxPlans), limit("notes", len(d.Notes), maxNotes),
	}
	complain := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if d.Format != format {
		complain("the format is %d, not %d", d.Format, format)
	}
	if d.Currency == (money.Currency{}) {
		complain("there is no currency")
	}
	for _, note := range d.Notes {
		problems = append(problems, text("a note", note, needed))
	}
	for _, p := range d.Plans {
		problems = append(problems, text("the name of a plan", p.Name, needed), digest("the digest of a plan", p.Digest), p.Period.check())
		if p.Version <= 0 || p.Version > math.MaxInt32 {
			complain("plan %q has the version %d", p.Name, p.Version)
		}
	}
	problems = append(problems, d.checkStage(), d.checkKind())
	return errors.Join(append(problems, d.checkLines(), d.checkTaxes(), d.checkTotals())...)
}

// checkStage looks at what an issued document has and a draft has not.
func (d Document) checkStage() error {
	if d.Draft() {
		if d.Series != "" || d.Issued != 0 || d.Due != 0 {
			return errors.New("a document without a number has a series or a date")
		}
		return nil
	}
	problems := []error{numbered("the series", d.Series), numbered("the number", d.Number)}
	if d.Issued <= 0 || d.Issued > maxDate || d.Due < 0 || d.Due > maxDate {
		problems = append(problems, errors.New("an issued document has the day on which it was"))
	}
	switch {
	case d.Kind == KindInvoice && d.Due < d.Issued:
		problems = append(problems, fmt.Errorf("what is issued on %s is due on %s", d.Issued, d.Due))
	case d.Kind == KindCreditNote && d.Due != 0:
		problems = append(problems, errors.New("a credit note is not due"))
	}
	return errors.Join(problems...)
}

func (d Document) checkKind() error {
	switch {
	case d.Kind != KindInvoice && d.Kind != KindCreditNote:
		return fmt.Errorf("%q: a document is an invoice or a credit_note", d.Kind)
	case (d.Kind == KindCreditNote) != (d.Credits != nil):
		return errors.New("a credit note names an invoice, and an invoice none")
	case d.Credits != nil:
		return errors.Join(numbered("the number of the invoice", d.Credits.Number), digest("the digest of the invoice", d.Credits.Digest),
			text("the reason", d.Credits.Reason, needed))
	}
	return nil
}

func (p Party) check(who string) error {
	problems := []error{
		text("the name of the "+who, p.Name, needed), text("the tax id of the "+who, p.TaxID, 0), text("the contact of the "+who, p.Contact, 0),
		limit("lines of an address", len(p.Address), maxAddress),
	}
	for _, line := range p.Address {
		problems = append(problems, text("the address of the "+who, line, needed))
	}
	return errors.Join(problems...)
}

func (d Document) checkLines() error {
	var problems []error
	complain := func(l Line, format string, args ...any) {
		problems = append(problems, fmt.Errorf("line %d: %w", l.Line, fmt.Errorf(format, args...)))
	}
	for i, l := range d.Lines {
		err := errors.Join(text("the meter", l.Meter, 0), text("the description", l.Description, needed), text("the kind", l.Kind, needed), text("the tier", l.TierFrom+l.TierTo, 0), text("the unit", l.Unit, 0),
			l.Period.check())
		if err != nil {
			complain(l, "%w", err)
		}
		if d.Kind == KindInvoice && l.Line != i+1 || l.Line <= 0 || l.Line > maxLines || i > 0 && l.Line <= d.Lines[i-1].Line {
			complain(l, "it is at place %d", i+1)
		}
		switch {
		case l.Unit == "" && (!l.Quantity.IsZero() || l.Exact != "" || l.UnitPrice.Currency() != money.Currency{}):
			complain(l, "a quantity or its price without a unit")
		case l.Unit != "" && l.UnitPrice.Currency() != d.Currency:
			complain(l, "the unit price is %s, and the document is in %s", l.UnitPrice, d.Currency)
		}
		if _, ok := fraction(l.Exact); l.Exact != "" && !ok {
			complain(l, "%.50q is not a fraction or a whole number in lowest terms", l.Exact)
		}
		switch l.Measure {
		case ByteMS, PinMS:
		case "":
			if !l.Measured.IsZero() {
				complain(l, "what was measured without its measure")
			}
		default:
			complain(l, "%q: a measure is byte-ms or pin-ms", l.Measure)
		}
	}
	return errors.Join(problems...)
}

func (d Document) checkTaxes() error {
	net, err := d.net()
	if err != nil {
		return err
	}
	var problems []error
	for _, t := range d.Taxes {
		if err := d.checkTax(t, net); err != nil {
			problems = append(problems, fmt.Errorf("tax %q: %w", t.Name, err))
		}
	}
	return errors.Join(problems...)
}

func (d Document) checkTax(t Tax, net *big.Int) error {
	base, err := d.minor("the base", t.Base)
	if err != nil {
		return err
	}
	amount, err := d.minor("the amount", t.Amount)
	if err != nil {
		return err
	}
	due, err := t.due(base)
	problems := []error{err, text("the name", t.Name, needed), text("the note", t.Note, 0), percent(t.Percent), t.Treatment.check()}
	complain := func(format string, args ...any) { problems = append(problems, fmt.Errorf(format, args...)) }
	if base.Cmp(net) != 0 {
		complain("its base is %s and the lines add up to %s", t.Base, money.FromMinor(net, d.Currency))
	}
	// A credit note has its share of the tax, which may be one unit off.
	if err == nil && d.Kind == KindInvoice && amount.Cmp(due) != 0 {
		complain("it is %s, and %s%% of %s is %s", t.Amount, t.Percent, t.Base, money.FromMinor(due, d.Currency))
	}
	if t.Treatment != Standard && (t.Percent.Sign() != 0 || amount.Sign() != 0 || t.Note == "") {
		complain("without the standard treatment there is a note, and no tax")
	}
	if t.Treatment == ReverseCharge && (d.Buyer.TaxID == "" || d.Seller.TaxID == "") {
		complain("with a reverse charge seller and buyer have tax ids")
	}
	return errors.Join(problems...)
}

func (d Document) checkTotals() error {
	want, err := d.totals()
	if err != nil {
		return nil // it is told of the line or the tax
	}
	has, gross := d.Totals, d.Totals.Gross
	for _, sum := range []struct {
		what      string
		has, want money.Amount
	}{{"net", has.Net, want.Net}, {"tax", has.Tax, want.Tax}, {"gross", gross, want.Gross}} {
		if same, err := sum.has.Cmp(sum.want); err != nil || same != 0 {
			return fmt.Errorf("the total %s is %s, and what it is of adds up to %s", sum.what, sum.has, sum.want)
		}
	}
	if d.Kind == KindCreditNote && gross.Sign() <= 0 {
		return fmt.Errorf("a credit note of %s", gross)
	}
	if !d.Draft() && gross.Sign() < 0 {
		return fmt.Errorf("%s: %w", gross, ErrNegative)
	}
	return nil
}
