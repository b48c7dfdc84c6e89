package invoice

import (
	"fmt"
	"strings"
)

// draw draws a sheet, with so many pages in its feet, and says if lacked that the font has not
// all characters.
func (c Copy) draw(s sheet, pages int, lacked bool) (*paper, error) {
	p, err := newPaper(s.Title, pages)
	if err != nil {
		return nil, err
	}
	made := c.Document.Issued
	if made == 0 {
		made = c.Document.Period.To
	}
	p.file.SetCreationDate(made.time())
	p.file.SetModificationDate(made.time())
	p.head(s)
	p.body(s)
	p.fine(s, lacked)
	for _, part := range s.Parts {
		p.file.AddPage()
		p.part(part)
	}
	if err := p.file.Error(); err != nil {
		return nil, fmt.Errorf("draw %s: %w", s.Title, err)
	}
	return p, nil
}

func (p *paper) head(s sheet) {
	p.letters("B", headline, false)
	for _, line := range p.split(s.Title, wide) {
		p.file.CellFormat(wide, headline/2, line, "", 1, "L", false, 0, "")
	}
	if s.Stamp != "" {
		p.file.SetFont(face, "B", heading)
		p.file.SetTextColor(164, 34, 43)
		p.paragraph(s.Stamp, wide)
	}
	p.file.Ln(gap)
	for _, f := range s.Facts {
		p.pair(f.Name, f.Value)
	}
	p.file.Ln(gap)
	halves := []column{{width: wide / 2}, {width: wide / 2}}
	for _, row := range [][]entry{{{details: []string{s.Seller.Role}}, {details: []string{s.Buyer.Role}}}, {s.Seller.entry(), s.Buyer.entry()}} {
		p.cells(halves, row, "B", normal, nil)
	}
}

func (p party) entry() entry { return entry{text: p.Name, details: p.Rest} }

// fit makes columns of numbers wider, of which the first is that of a place in the rows, so
// that a number of a currency of many digits is on one line.
func (p *paper) fit(columns []column, rows [][]entry, place int) {
	const most = 48.0
	p.letters("", normal, false)
	for i := range columns {
		for _, row := range rows {
			columns[i].width = min(most, max(columns[i].width, p.file.GetStringWidth(row[place+i].text)+gap+1))
		}
	}
}

// pair writes a name and its value beside it.
func (p *paper) pair(name, value string) {
	const first = 38.0
	p.letters("", normal, false)
	for i, line := range p.split(value, wide-first) {
		p.room(leading)
		if i > 0 {
			name = ""
		}
		p.letters("", normal, true)
		p.file.CellFormat(first, leading, p.glyphs(name), "", 0, "L", false, 0, "")
		p.letters("", normal, false)
		p.file.CellFormat(wide-first, leading, line, "", 1, "L", false, 0, "")
	}
}

func (p *paper) body(s sheet) {
	p.heading("Lines")
	if len(s.Lines) == 0 {
		p.letters("", normal, false)
		p.paragraph("There are none: nothing was used that has a price.", wide)
	} else {
		var rows [][]entry
		for _, l := range s.Lines {
			rows = append(rows, []entry{{text: fmt.Sprint(l.Line)}, {l.Description, l.Details}, {text: strings.TrimSpace(l.Quantity + " " + l.Unit)}, {text: l.Price}, {text: l.Amount}})
		}
		columns := []column{{"No.", 10, false}, {"Description", 0, false}, {"Quantity", 36, true}, {"Unit price, " + s.Currency, 28, true}, {"Amount, " + s.Currency, 30, true}}
		p.fit(columns[3:], rows, 3)
		columns[1].width = wide - columns[0].width - columns[2].width - columns[3].width - columns[4].width
		p.table(columns, rows, normal)
	}
	p.heading("Sums")
	columns := []column{{"", wide - 80, false}, {s.Currency, 80, true}}
	for _, sum := range s.Sums {
		p.row(columns, []entry{{text: sum.Name}, {text: sum.Value}}, "", normal, nil)
	}
	p.row(columns, []entry{{text: s.Due.Name + ", " + s.Currency}, {text: s.Due.Value}}, "B", heading, nil)
	if len(s.CreditNotes) > 0 {
		p.heading("Credit notes")
		for _, n := range s.CreditNotes {
			p.row(columns, []entry{{text: n.Name}, {text: n.Value}}, "", normal, nil)
		}
	}
	if len(s.Links) > 0 {
		p.heading("How to pay")
	}
	for _, l := range s.Links {
		p.letters("", normal, false)
		p.paragraph(l.Label, wide)
		p.letters("", small, true)
		for _, line := range p.split(l.URL, wide) {
			p.room(leading)
			p.file.CellFormat(wide, leading, line, "", 1, "L", false, 0, l.URL)
		}
	}
	if len(s.Notes) > 0 {
		p.heading("Notes")
	}
	for _, n := range s.Notes {
		p.letters("", normal, false)
		p.paragraph(n, wide)
	}
}

func (p *paper) part(part part) {
	p.heading(part.Heading)
	p.letters("", small, true)
	p.paragraph("Each day, in "+part.Unit, wide)
	var rows [][]entry
	for _, d := range part.Days {
		rows = append(rows, []entry{{text: d[0]}, {text: d[1]}, {text: d[2]}, {text: d[3]}})
	}
	rows = append(rows, []entry{{text: "Sum"}, {text: part.Sum + " " + part.Unit + " × days"}, {}, {}})
	p.table([]column{{"Day", 36, false}, {"Average", 50, true}, {"Peak", 44, true}, {"At its end", 44, true}}, rows, small)
	if len(part.Pins) == 0 {
		return
	}
	p.file.Ln(gap)
	p.letters("", small, true)
	p.paragraph("Each pin, in "+part.Unit+" × days", wide)
	rows = nil
	for _, pin := range part.Pins {
		name := pin.Name
		if name == "" {
			name = "No name"
		}
		rows = append(rows, []entry{{name, []string{pin.CID}}, {text: pin.From}, {text: pin.To}, {text: pin.Level}, {text: pin.Sum}})
	}
	if part.Others != "" {
		rows = append(rows, []entry{{text: part.Others}, {}, {}, {}, {text: part.OthersSum}})
	}
	p.table([]column{{"Pin", 64, false}, {"From, UTC", 34, false}, {"To, UTC", 34, false}, {"Level", 20, true}, {"Part", 22, true}}, rows, small)
}

func (p *paper) fine(s sheet, lacked bool) {
	p.file.Ln(gap)
	for _, text := range append(s.Plans, s.Fine...) {
		p.letters("", small, true)
		p.paragraph(text, wide)
	}
	// The parts come after it: whether they lack something is known when all was drawn once.
	if p.lacked || lacked {
		p.letters("", small, true)
		p.paragraph(string(lacking)+" stands for a character that is not in the font of this file. The other forms of this document have it.", wide)
	}
}
