package invoice

import (
	"encoding/csv"
	"fmt"
	"io"
	"regexp"
	"strconv"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// CSV writes the copy as a table: a row for each line, tax and total, and for each day and pin
// of the explanations. The first column says which. Numbers are exact and have no commas.
// Texts cannot be formulas: what a spreadsheet would compute has a "'" before it. Nothing is
// written if the copy is not right.
func (c Copy) CSV(w io.Writer) error {
	if err := c.check(); err != nil {
		return err
	}
	d := c.Document
	out := csv.NewWriter(w)
	out.UseCRLF = true                                  // RFC 4180
	row := func(r csvRow) { _ = out.Write(r.cells(d)) } // Flush keeps the error
	_ = out.Write([]string{"row", "document", "lines", "item", "description", "detail", "from", "to", "quantity", "unit", "unit_price", "measured", "measure", "amount", "currency"})
	for _, l := range d.Lines {
		r := csvRow{kind: "line", lines: []int{l.Line}, item: l.Kind, description: l.Description, detail: l.Meter, from: l.Period.From.String(), to: l.Period.last().String(), unit: l.Unit, measure: l.Measure, amount: l.Amount}
		if l.Unit != "" {
			r.quantity, r.price = &l.Quantity, l.UnitPrice
		}
		if l.Measure != "" {
			r.measured = &l.Measured
		}
		row(r)
	}
	for _, t := range d.Taxes {
		row(csvRow{kind: "tax", item: string(t.Treatment), description: t.Name, detail: t.Note, quantity: &t.Percent, unit: "%", amount: t.Amount})
	}
	for _, total := range []struct {
		name   string
		amount money.Amount
	}{{"net", d.Totals.Net}, {"tax", d.Totals.Tax}, {"gross", d.Totals.Gross}} {
		row(csvRow{kind: "total", item: total.name, amount: total.amount})
	}
	for _, e := range c.Explanations {
		for _, day := range e.Days {
			row(csvRow{kind: "day", lines: e.Lines, from: day.Date.String(), to: day.Date.String(), measured: &day.Quantity, measure: e.Measure})
		}
		for _, p := range e.Pins {
			row(csvRow{kind: "pin", lines: e.Lines, item: p.RequestID, description: p.Name, detail: p.CID, from: moment(p.From), to: moment(p.To), measured: &p.Quantity, measure: e.Measure})
		}
		if e.Others > 0 {
			row(csvRow{kind: "pins", lines: e.Lines, description: others(e.Others), measured: &e.OthersTotal, measure: e.Measure})
		}
	}
	out.Flush()
	if err := out.Error(); err != nil {
		return fmt.Errorf("write %s as CSV: %w", d.title(), err)
	}
	return nil
}

// csvRow is a row. What is not set is an empty cell.
type csvRow struct {
	kind                                string
	lines                               []int
	item, description, detail, from, to string
	quantity                            *Decimal
	unit                                string
	price                               money.Amount
	measured                            *Decimal
	measure                             Measure
	amount                              money.Amount
}

func (r csvRow) cells(d Document) []string {
	number := func(d *Decimal) string {
		if d == nil {
			return ""
		}
		return d.String()
	}
	sum := func(a money.Amount) string {
		if a.Currency() == (money.Currency{}) {
			return ""
		}
		return a.Text()
	}
	currency, lines := "", make([]string, 0, len(r.lines))
	for _, n := range r.lines {
		lines = append(lines, strconv.Itoa(n))
	}
	if r.amount.Currency() != (money.Currency{}) {
		currency = d.Currency.Code()
	}
	return []string{r.kind, d.Number, strings.Join(lines, " "), cell(r.item), cell(r.description), cell(r.detail), r.from, r.to, number(r.quantity), cell(r.unit), sum(r.price), number(r.measured), string(r.measure), sum(r.amount), currency}
}

// formula is what a spreadsheet takes for the beginning of one: at the beginning of a cell,
// and after what separates cells in some countries.
var formula = regexp.MustCompile(`(^|[;|])([\s'"]*[=+\-@＝＋－＠])`)

// cell returns a text for a cell. What would be a formula has a "'" before it.
func cell(text string) string {
	return formula.ReplaceAllString(visible(text), "$1'$2")
}
