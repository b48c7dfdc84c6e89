package invoice

import (
	"bytes"
	"encoding/csv"
	"regexp"
	"slices"
	"strings"
	"testing"
	"unicode/utf8"

	"golang.org/x/net/html"
)

// hostile are texts of people who mean harm.
func hostile() []string {
	return []string{
		`<script>alert(1)</script>`, `"><img src=x onerror=alert(1)>`, `</style><script>x</script>`, `{{.Style}}`, `javascript:alert(1)`, `&lt;b&gt;`,
		`=cmd|' /C calc'!A0`, `+1+1`, `-1+1`, `@SUM(1)`, "\t=1+1", "\r\n=1+1", ` =1+1`, `a;=1+1`, `'=1+1`, "＝1+1", `"=1+1`, "x|=1+1", "\u200b=1+1",
		"nul\x00 esc\x1b[31m bell\a del\x7f c1\u0085", "line\none\u2028two", "\u202etxt.exe", "\u2066a\u2069", "\u200fabc", "שלום", "مرحبا", "漢字", "👩\u200d👩", "\ufeffbom", "e\u0301\u0301\u0301",
		strings.Repeat("a", 2000), strings.Repeat("𝔘 ", 400), "{nb}", "\ue000", "\U000e0041",
	}
}

// withTexts returns a copy that has texts, one after another, wherever somebody else writes
// one.
func withTexts(tb testing.TB, texts []string) Copy {
	tb.Helper()
	c := contents(tb)
	at := 0
	next := func() string {
		at++
		return texts[at%len(texts)]
	}
	c.Owner, c.Buyer.Name, c.Buyer.TaxID, c.Buyer.Contact = next(), next(), next(), next()
	c.Buyer.Address = []string{next(), next(), next()}
	template := c.Lines[1]
	c.Lines = nil
	for range texts {
		l := template
		l.Description, l.Kind, l.Unit, l.Meter = next(), next(), next(), next()
		c.Lines = append(c.Lines, l)
	}
	c.Notes = texts[:min(len(texts), maxNotes)]
	c.Plans[0].Name, c.Region.Name, c.Region.Note, c.Region.Rates[0].Name = next(), next(), next(), next()
	d := issued(tb, made(tb, c), "2026-000666")
	var lines []int
	for _, l := range d.Lines {
		lines = append(lines, l.Line)
	}
	begin, end := d.Period.From.time(), d.Period.To.time()
	var pins []Pin
	for _, text := range texts {
		pins = append(pins, Pin{RequestID: next(), CID: next(), Name: text, From: begin, To: end, Level: number(tb, "1"), Quantity: number(tb, "0")})
	}
	explained, err := Explain(d, lines, []Day{{Date: d.Period.From, Quantity: template.Measured}}, pins, 1)
	if err != nil {
		tb.Fatal(err)
	}
	var links []Link
	for range min(len(texts), 10) {
		links = append(links, Link{next(), "https://pay.example.org/?x=" + `"><script>alert(1)</script>`})
	}
	return Copy{Document: d, Links: links, Explanations: []Explanation{explained}}
}

func hostileCopy(tb testing.TB) Copy {
	tb.Helper()
	return withTexts(tb, hostile())
}

// tagsOf returns the tags of a page, with the names of their attributes, and its text.
func tagsOf(tb testing.TB, page []byte) (tags []string, text string) {
	tb.Helper()
	root, err := html.Parse(bytes.NewReader(page))
	if err != nil {
		tb.Fatal(err)
	}
	var all strings.Builder
	for n := range root.Descendants() {
		switch n.Type {
		case html.ElementNode:
			tag := n.Data
			for _, a := range n.Attr {
				tag += " " + a.Key
				if a.Key == "href" && !strings.HasPrefix(a.Val, "https://pay.example.org/") && !strings.HasPrefix(a.Val, "ethereum:") {
					tb.Errorf("a link to %q", a.Val)
				}
			}
			tags = append(tags, tag)
		case html.TextNode:
			if n.Parent.Data != "style" {
				all.WriteString(n.Data)
			}
		case html.CommentNode:
			tb.Errorf("a comment: %q", n.Data)
		}
	}
	slices.Sort(tags)
	return slices.Compact(tags), all.String()
}

func checkHTML(tb testing.TB, c Copy, allowed, texts []string) {
	tb.Helper()
	var page bytes.Buffer
	if err := c.HTML(&page); err != nil {
		tb.Fatal(err)
	}
	if !utf8.Valid(page.Bytes()) {
		tb.Error("the page is not UTF-8")
	}
	tags, text := tagsOf(tb, page.Bytes())
	for _, tag := range tags {
		if !slices.Contains(allowed, tag) {
			tb.Errorf("the page has <%s>", tag)
		}
	}
	for _, want := range texts {
		if !strings.Contains(text, visible(want)) {
			tb.Errorf("the page does not show %q", want)
		}
	}
	for _, r := range text {
		if r != '\n' && visible(string(r)) != string(r) {
			tb.Errorf("the page has %U", r)
		}
	}
}

// allowedTags are those of pages without harm.
func allowedTags(tb testing.TB) []string {
	tb.Helper()
	all := []string{}
	for _, c := range copies(tb) {
		var page bytes.Buffer
		if err := c.HTML(&page); err != nil {
			tb.Fatal(err)
		}
		tags, _ := tagsOf(tb, page.Bytes())
		all = append(all, tags...)
	}
	return all
}

var aNumber = regexp.MustCompile(`^-?[0-9]+(\.[0-9]+)?$`)

func checkCSV(tb testing.TB, c Copy) {
	tb.Helper()
	var table bytes.Buffer
	if err := c.CSV(&table); err != nil {
		tb.Fatal(err)
	}
	// Somebody's spreadsheet takes other characters between cells.
	for _, between := range []rune{',', ';', '\t', '|'} {
		r := csv.NewReader(bytes.NewReader(table.Bytes()))
		r.Comma, r.LazyQuotes, r.FieldsPerRecord = between, true, -1
		rows, err := r.ReadAll()
		if err != nil {
			tb.Fatal(err)
		}
		for _, row := range rows {
			if between == ',' && len(row) != len(rows[0]) {
				tb.Errorf("a row of %d cells: %q", len(row), row)
			}
			for _, cell := range row {
				if begin := strings.TrimLeft(cell, " \"\u00a0\u3000"); begin != "" && strings.ContainsRune("=+-@＝＋－＠\t\r", []rune(begin)[0]) && !aNumber.MatchString(cell) {
					tb.Errorf("cells between %q: a formula: %q", between, cell)
				}
			}
		}
	}
	for _, r := range table.String() {
		if r != '\r' && r != '\n' && visible(string(r)) != string(r) {
			tb.Errorf("the table has %U", r)
		}
	}
}

func checkJSON(tb testing.TB, c Copy, texts []string) {
	tb.Helper()
	text := canonicalOf(tb, c.Document)
	read, err := Parse(text)
	if err != nil {
		tb.Fatal(err)
	}
	if again := canonicalOf(tb, read); !bytes.Equal(again, text) {
		tb.Errorf("%s\nbecame\n%s", text, again)
	}
	for i, l := range read.Lines {
		if l.Description != c.Document.Lines[i].Description {
			tb.Errorf("line %d: %q", l.Line, l.Description)
		}
	}
	for i := range min(len(texts), maxNotes) {
		if read.Notes[i] != texts[i] {
			tb.Errorf("%q became %q", texts[i], read.Notes[i])
		}
	}
}

// Whatever owners write is text, in each form: it runs nothing, loads nothing, computes
// nothing, and changes nothing around it.
func TestHostileTexts(t *testing.T) {
	texts := hostile()
	c := hostileCopy(t)
	checkHTML(t, c, allowedTags(t), texts)
	checkCSV(t, c)
	checkJSON(t, c, texts)
	text := textOf(t, pdf(t, c))
	for _, want := range []string{"{nb}", "<script>alert(1)</script>", "{{.Style}}", "Page 1 of ", "nul�", "□□□□"} {
		if !strings.Contains(text, want) {
			t.Errorf("the PDF does not show %q", want)
		}
	}
}

// A cell keeps its numbers, and loses formulas.
func TestCell(t *testing.T) {
	for in, want := range map[string]string{
		"": "", "plain": "plain", "a=b": "a=b", "=1": "'=1", "-1": "'-1", " =1": "' =1", "a;=1": "a;'=1", "a; =1": "a;' =1", "a|@x": "a|'@x", "'=1": "''=1", `"=1`: `'"=1`,
		"\t=1": "' =1", "\n+1": "' +1", "＝1": "'＝1", "\u200b=1": "�=1", "a-b": "a-b", "x;y": "x;y",
	} {
		if got := cell(in); got != want {
			t.Errorf("%q became %q, want %q", in, got, want)
		}
	}
}

func FuzzTexts(f *testing.F) {
	for _, text := range hostile() {
		f.Add(text)
	}
	allowed := allowedTags(f)
	f.Fuzz(func(t *testing.T, text string) {
		if !utf8.ValidString(text) || strings.TrimSpace(text) == "" || len(text) > maxText {
			t.Skip()
		}
		texts := []string{text}
		c := withTexts(t, texts)
		checkHTML(t, c, allowed, texts)
		checkCSV(t, c)
		checkJSON(t, c, texts)
		pdf(t, c)
	})
}

// FuzzParse reads any text. What it takes for a document can be written in each form, and is
// read again as the same.
func FuzzParse(f *testing.F) {
	for _, c := range copies(f) {
		f.Add(canonicalOf(f, c.Document))
	}
	f.Add(canonicalOf(f, hostileCopy(f).Document))
	f.Fuzz(func(t *testing.T, text []byte) {
		d, err := Parse(text)
		if err != nil {
			t.Skip()
		}
		c := Copy{Document: d}
		checkJSON(t, c, nil)
		checkCSV(t, c)
		var page bytes.Buffer
		if err := c.HTML(&page); err != nil {
			t.Fatal(err)
		}
		pdf(t, c)
	})
}
