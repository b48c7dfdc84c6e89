package invoice

import (
	"fmt"
	"io"
	"strings"

	"github.com/go-pdf/fpdf"
	"golang.org/x/image/font/gofont/gobold"
	"golang.org/x/image/font/gofont/goregular"
	"golang.org/x/image/font/sfnt"
)

// PDF writes the copy as PDF, on A4. The same copy has the same bytes: the document says when
// it was made, not the clock. What the font has no glyph for is shown as "□", and the page says
// so. Nothing is written if the copy is not right.
func (c Copy) PDF(w io.Writer) error {
	s, err := c.sheet()
	if err != nil {
		return err
	}
	// How many pages there are, and what the font lacks, is known after they are drawn.
	first, err := c.draw(s, 0, false)
	if err != nil {
		return err
	}
	if first.lacked {
		if first, err = c.draw(s, 0, true); err != nil {
			return err
		}
	}
	drawn, err := c.draw(s, first.file.PageCount(), first.lacked)
	if err != nil {
		return err
	}
	if err := drawn.file.Output(w); err != nil {
		return fmt.Errorf("write %s as PDF: %w", s.Title, err)
	}
	return nil
}

// Measures of a page in mm, and sizes of letters in points.
const (
	margin   = 18.0
	bottom   = 22.0
	wide     = 210 - 2*margin
	tall     = 297 - margin - bottom
	leading  = 4.6
	gap      = 2.5
	normal   = 9.5
	small    = 8.0
	heading  = 11.5
	headline = 20.0
	// lacking stands for what the font has not.
	lacking = '□'
)

const face = "go"

// paper is a PDF that is being drawn. Errors stay in file until its end.
type paper struct {
	file  *fpdf.Fpdf
	font  *sfnt.Font
	pages int
	title string
	// lacked tells whether a character was replaced.
	lacked bool
}

func newPaper(title string, pages int) (*paper, error) {
	font, err := sfnt.Parse(goregular.TTF)
	if err != nil {
		return nil, fmt.Errorf("the font of PDFs: %w", err)
	}
	p := &paper{file: fpdf.New("P", "mm", "A4", ""), font: font, pages: pages, title: title}
	f := p.file
	f.AddUTF8FontFromBytes(face, "", goregular.TTF)
	f.AddUTF8FontFromBytes(face, "B", gobold.TTF)
	f.SetCatalogSort(true)
	f.SetMargins(margin, margin, margin)
	f.SetCellMargin(0)
	f.SetAutoPageBreak(false, bottom)
	f.SetLang("en")
	f.SetTitle(p.glyphs(title), true)
	f.SetFooterFunc(p.foot)
	f.SetDrawColor(160, 168, 178)
	p.file.AddPage()
	return p, nil
}

func (p *paper) foot() {
	p.file.SetXY(margin, 297-bottom+8)
	p.letters("", small, true)
	p.file.CellFormat(wide/2, leading, p.glyphs(p.title), "", 0, "L", false, 0, "")
	p.file.CellFormat(wide/2, leading, fmt.Sprintf("Page %d of %d", p.file.PageNo(), p.pages), "", 0, "R", false, 0, "")
}

// glyphs returns a text with what the font has.
func (p *paper) glyphs(text string) string {
	var buffer sfnt.Buffer
	return strings.Map(func(r rune) rune {
		// fpdf knows the first 65,536 characters only.
		if glyph, err := p.font.GlyphIndex(&buffer, r); r > 0xffff || err != nil || glyph == 0 {
			p.lacked = true
			return lacking
		}
		return r
	}, text)
}

func (p *paper) letters(style string, size float64, grey bool) {
	p.file.SetFont(face, style, size)
	if grey {
		p.file.SetTextColor(79, 91, 107)
	} else {
		p.file.SetTextColor(27, 36, 48)
	}
}

// room begins another page if there is no room for so much, in mm. It tells whether it did.
func (p *paper) room(height float64) bool {
	if p.file.GetY()+height <= 297-bottom {
		return false
	}
	p.file.AddPage()
	return true
}

// heading writes a heading that does not stand alone at the end of a page.
func (p *paper) heading(text string) {
	p.room(3*leading + gap)
	p.file.Ln(gap)
	p.letters("B", heading, false)
	p.paragraph(text, wide)
	p.file.Ln(gap / 2)
}

// paragraph writes a text, with the letters that are set, below what was written.
func (p *paper) paragraph(text string, width float64) {
	for _, line := range p.split(text, width) {
		p.room(leading)
		p.file.CellFormat(width, leading, line, "", 1, "L", false, 0, "")
	}
}

func (p *paper) split(text string, width float64) []string {
	return p.file.SplitText(p.glyphs(text), width)
}

// column is one of a table.
type column struct {
	head  string
	width float64 // mm
	right bool    // its numbers end where it does
}

// entry is what stands in a cell: a text, and small ones below it.
type entry struct {
	text    string
	details []string
}

// written is a line of an entry.
type written struct {
	text  string
	small bool
}

func (p *paper) lines(e entry, width float64, style string, size float64) []written {
	var all []written
	p.letters(style, size, false)
	for _, line := range p.split(e.text, width) {
		all = append(all, written{line, false})
	}
	p.letters("", small, true)
	for _, detail := range e.details {
		for _, line := range p.split(detail, width) {
			all = append(all, written{line, true})
		}
	}
	return all
}

// table writes rows, and the head of the columns again on each page.
func (p *paper) table(columns []column, rows [][]entry, size float64) {
	head := make([]entry, len(columns))
	for i, c := range columns {
		head[i] = entry{text: c.head}
	}
	start := func() { p.row(columns, head, "B", small, nil) }
	p.room(4 * leading)
	start()
	for _, row := range rows {
		p.row(columns, row, "", size, start)
	}
}

// row writes a row, as cells does, and a line below it.
func (p *paper) row(columns []column, row []entry, style string, size float64, again func()) {
	p.cells(columns, row, style, size, again)
	y := p.file.GetY() + gap/4
	p.file.Line(margin, y, margin+wide, y)
	p.file.SetY(y)
}

// cells writes the cells of a row. One that does not fit begins on the next page, after again,
// unless it is longer than that.
func (p *paper) cells(columns []column, row []entry, style string, size float64, again func()) {
	cells, most := make([][]written, len(columns)), 1
	for i, c := range columns {
		cells[i] = p.lines(row[i], c.width-gap, style, size)
		most = max(most, len(cells[i]))
	}
	need := func(height float64) {
		if p.room(height) && again != nil {
			again()
		}
	}
	p.file.Ln(gap / 4)
	high := leading * max(1, size/normal)
	need(min(float64(most)*high, tall/2))
	for n := range most {
		need(high)
		p.file.SetX(margin)
		for i, c := range columns {
			line := written{}
			if n < len(cells[i]) {
				line = cells[i][n]
			}
			if line.small {
				p.letters("", small, true)
			} else {
				p.letters(style, size, false)
			}
			// The gap is after what begins at the left, and before what ends at the right.
			if c.right {
				p.file.SetX(p.file.GetX() + gap)
				p.file.CellFormat(c.width-gap, high, line.text, "", 0, "R", false, 0, "")
			} else {
				p.file.CellFormat(c.width, high, line.text, "", 0, "L", false, 0, "")
			}
		}
		p.file.Ln(high)
	}
}
