package invoice

import (
	"fmt"
	"slices"
	"strconv"
	"strings"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// sheet is a copy as a page shows it, on a screen or on paper: texts only, which hold nothing
// that a page must not show.
type sheet struct {
	Title string
	// Stamp says what the document is not, or not any more. May be empty.
	Stamp         string
	Facts         []fact
	Seller, Buyer party
	Currency      string
	Lines         []item
	Sums          []amount
	// Due is the last sum.
	Due         amount
	Links       []Link
	CreditNotes []amount
	Notes       []string
	Plans       []string
	Fine        []string
	Parts       []part
}

type fact struct{ Name, Value string }

type amount struct{ Name, Value string }

type party struct {
	Role, Name string
	Rest       []string
}

type item struct {
	Line        int
	Description string
	// Details are small: the period.
	Details                       []string
	Quantity, Unit, Price, Amount string
}

// part is an explanation.
type part struct {
	ID, Heading string
	Unit        string
	Days        [][]string // day, average, peak, end
	Sum         string
	Pins        []pinRow
	// Others is the last row of the pins. May be empty.
	Others, OthersSum string
}

type pinRow struct{ Name, CID, From, To, Level, Sum string }

const pageDay = "2 January 2006"

func day(d Date) string { return d.time().Format(pageDay) }

func days(p Period) string {
	from, last := p.From.time(), p.last().time()
	switch {
	case from.Equal(last):
		return day(p.From)
	case from.Year() == last.Year() && from.Month() == last.Month():
		return from.Format("2") + "–" + day(p.last())
	}
	return day(p.From) + " – " + day(p.last())
}

func moment(t time.Time) string { return t.UTC().Format("2006-01-02 15:04:05") }

// sheet checks the copy and returns what a page shows of it.
func (c Copy) sheet() (sheet, error) {
	if err := c.check(); err != nil {
		return sheet{}, err
	}
	d := c.Document
	digest, err := d.Digest()
	if err != nil {
		return sheet{}, err
	}
	due, err := c.due()
	if err != nil {
		return sheet{}, err
	}
	s := sheet{
		Title: d.title(), Stamp: c.stamp(due), Facts: d.facts(), Currency: d.Currency.Code(),
		Seller: d.Seller.shown("From"), Buyer: d.Buyer.shown("To"), Notes: d.notes(),
	}
	for _, l := range d.Lines {
		s.Lines = append(s.Lines, l.shown())
	}
	s.Sums, s.Due = c.sums(due)
	if c.Standing.State != Void {
		for _, l := range c.Links {
			s.Links = append(s.Links, Link{visible(l.Label), l.URL})
		}
	}
	for _, r := range c.CreditNotes {
		s.CreditNotes = append(s.CreditNotes, amount{r.Number + ", " + day(r.Issued), grouped(r.Gross.Text())})
	}
	for _, p := range d.Plans {
		s.Plans = append(s.Plans, fmt.Sprintf("Plan %s, version %d, for %s (SHA-256 %s)", visible(p.Name), p.Version, days(p.Period), p.Digest))
	}
	s.Fine = append(s.Fine, "Days are those of UTC. Quantities are rounded for reading; the data of this document has them exactly.",
		"SHA-256 of the usage: "+d.Usage, "SHA-256 of the data of this document: "+digest)
	for i, e := range c.Explanations {
		s.Parts = append(s.Parts, e.shown(i+1))
	}
	return s, nil
}

// due is what is left to pay, as far as that is told.
func (c Copy) due() (money.Amount, error) {
	if c.Standing.State == "" {
		return c.Document.Totals.Gross, nil
	}
	return c.Standing.Due()
}

func (c Copy) stamp(due money.Amount) string {
	switch {
	case c.Document.Draft():
		return "Draft: nothing is due"
	case c.Standing.State == Void:
		return "Void: nothing is due"
	case c.Standing.State == Paid && due.Sign() == 0:
		return "Nothing is left to pay"
	}
	return ""
}

func (d Document) facts() []fact {
	var facts []fact
	add := func(name, value string) { facts = append(facts, fact{name, value}) }
	if !d.Draft() {
		add("Number", d.Number)
		add("Issued", day(d.Issued))
	}
	if d.Credits != nil {
		add("Credits invoice", d.Credits.Number)
		add("Reason", visible(d.Credits.Reason))
	}
	add("Period", days(d.Period))
	if d.Due != 0 {
		add("Due", day(d.Due))
	}
	add("Account", visible(d.Owner))
	return facts
}

func (p Party) shown(role string) party {
	s := party{Role: role, Name: visible(p.Name), Rest: visibles(p.Address)}
	if p.TaxID != "" {
		s.Rest = append(s.Rest, "Tax id "+visible(p.TaxID))
	}
	if p.Contact != "" {
		s.Rest = append(s.Rest, visible(p.Contact))
	}
	return s
}

func (d Document) notes() []string {
	var notes []string
	for _, t := range d.Taxes {
		if t.Note != "" && !slices.Contains(notes, visible(t.Note)) {
			notes = append(notes, visible(t.Note))
		}
	}
	return append(notes, visibles(d.Notes)...)
}

func (l Line) shown() item {
	s := item{Line: l.Line, Description: visible(l.Description), Details: []string{days(l.Period)}, Amount: grouped(l.Amount.Text())}
	if l.Unit != "" {
		quantity := l.Quantity.over(one())
		if exact, ok := fraction(l.Exact); ok {
			quantity = exact
		}
		s.Quantity, s.Unit, s.Price = readable(quantity), visible(l.Unit), grouped(l.UnitPrice.Text())
	}
	return s
}

// sums returns what stands below the lines.
func (c Copy) sums(due money.Amount) ([]amount, amount) {
	d := c.Document
	sums := []amount{{"Sum without tax", grouped(d.Totals.Net.Text())}}
	for _, t := range d.Taxes {
		name := visible(t.Name)
		if t.Treatment == Standard {
			name += " " + t.Percent.String() + "%"
		}
		sums = append(sums, amount{name, grouped(t.Amount.Text())})
	}
	total := amount{"Total", grouped(d.Totals.Gross.Text())}
	if d.Kind == KindCreditNote {
		total.Name = "Credited"
	}
	s := c.Standing
	if s.State == "" || s.State == Draft || s.Credited.Sign() == 0 && s.Paid.Sign() == 0 {
		return sums, total
	}
	sums = append(sums, total)
	if s.Credited.Sign() != 0 {
		sums = append(sums, amount{"Credited", "-" + grouped(s.Credited.Text())})
	}
	if s.Paid.Sign() != 0 {
		sums = append(sums, amount{"Paid", "-" + grouped(s.Paid.Text())})
	}
	if due.Sign() < 0 {
		return sums, amount{"To be paid back", grouped(strings.TrimPrefix(due.Text(), "-"))}
	}
	return sums, amount{"Left to pay", grouped(due.Text())}
}

func others(n int) string {
	if n == 1 {
		return "1 other pin"
	}
	return grouped(strconv.Itoa(n)) + " other pins"
}

// maxPins is how many pins of an explanation are on a page. More are in CSV and JSON.
const maxPins = 500

func (e Explanation) shown(number int) part {
	names := make([]string, 0, len(e.Lines))
	for _, n := range e.Lines {
		names = append(names, fmt.Sprint(n))
	}
	s := part{ID: fmt.Sprintf("part-%d", number), Heading: "line " + names[0], Unit: e.Measure.unitName(), Sum: readable(e.Total.over(e.Measure.dayOf()))}
	verb := " comes from"
	if len(names) > 1 {
		verb = " come from"
		s.Heading = "lines " + strings.Join(names[:len(names)-1], ", ") + " and " + names[len(names)-1]
	}
	s.Heading = "Where " + s.Heading + verb
	for _, day := range e.Days {
		s.Days = append(s.Days, []string{
			day.Date.String(), readable(day.Quantity.over(e.Measure.dayOf())), readable(day.Peak.over(e.Measure.unit())), readable(day.Closing.over(e.Measure.unit())),
		})
	}
	rest, restTotal := e.Others, e.OthersTotal
	for i, p := range e.Pins {
		if i >= maxPins {
			rest, restTotal = rest+1, restTotal.add(p.Quantity)
			continue
		}
		row := pinRow{visible(p.Name), visible(p.CID), moment(p.From), moment(p.To), readable(p.Level.over(one())), readable(p.Quantity.over(e.Measure.dayOf()))}
		if e.Measure == ByteMS {
			row.Level = size(p.Level)
		}
		s.Pins = append(s.Pins, row)
	}
	if rest > 0 {
		s.Others, s.OthersSum = others(rest), readable(restTotal.over(e.Measure.dayOf()))
	}
	return s
}
