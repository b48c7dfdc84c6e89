package scale

import (
	"fmt"
	"strconv"
	"strings"
)

// Column is a cluster of a table.
type Column struct {
	Title   string
	Cluster Cluster
}

// Clusters are those of the page.
func Clusters() []Column {
	return []Column{
		{"10 peers, 10⁶ pins", Cluster{Peers: 10, Nodes: 3, Copies: 2, Pins: 1e6}},
		{"100 peers, 10⁸ pins", Cluster{Peers: 100, Nodes: 9, Remote: 3, Copies: 2, Pins: 1e8, Writes: 1e3}},
		{"1,000 peers, 10⁹ pins", Cluster{Peers: 1000, Nodes: 30, Remote: 6, Copies: 2, Pins: 1e9, Writes: 1e4}},
	}
}

// Statements is the table of statements a second.
func Statements() string {
	var b strings.Builder
	columns := Clusters()
	b.WriteString("| statements a second | formula | from |")
	for _, col := range columns {
		b.WriteString(" " + col.Title + " |")
	}
	b.WriteString("\n|---|---|---|" + strings.Repeat("---|", len(columns)) + "\n")
	row := func(what, formula, source string, perSecond func(c Cluster) float64) {
		fmt.Fprintf(&b, "| %s | %s | %s |", what, formula, source)
		for _, col := range columns {
			b.WriteString(" " + Number(perSecond(col.Cluster)) + " |")
		}
		b.WriteString("\n")
	}
	for _, t := range AtRest() {
		row(t.What, t.Formula, t.Source, t.PerSecond)
	}
	row("**at rest**", "", "", func(c Cluster) float64 { return Sum(AtRest(), c) })
	row("new pins a second", "", "", func(c Cluster) float64 { return c.Writes })
	for _, t := range Writing() {
		row(t.What, t.Formula, t.Source, t.PerSecond)
	}
	row("**with these pins**", "", "", func(c Cluster) float64 { return Sum(AtRest(), c) + Sum(Writing(), c) })
	return b.String()
}

// SizesTable is the table of Sizes for the largest of the clusters.
func SizesTable() string {
	var b strings.Builder
	columns := Clusters()
	last := columns[len(columns)-1]
	fmt.Fprintf(&b, "| %s | formula | |\n|---|---|---|\n", last.Title)
	for _, s := range Sizes() {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", s.What, s.Formula, strings.TrimSpace(Number(s.Value(last.Cluster))+" "+s.Unit))
	}
	return b.String()
}

// Number is a figure with three digits that count.
func Number(v float64) string {
	switch {
	case v == 0:
		return "0"
	case v < 0.1:
		return strconv.FormatFloat(v, 'g', 1, 64)
	case v < 10:
		return strconv.FormatFloat(v, 'f', 1, 64)
	case v >= 1e7:
		exponent, mantissa := 0, v
		for mantissa >= 10 {
			mantissa /= 10
			exponent++
		}
		return fmt.Sprintf("%.1f × 10%s", mantissa, superscript(exponent))
	}
	digits := strconv.FormatFloat(v, 'f', 0, 64)
	for i := len(digits) - 3; i > 0; i -= 3 {
		digits = digits[:i] + "," + digits[i:]
	}
	return digits
}

func superscript(n int) string {
	return strings.NewReplacer("0", "⁰", "1", "¹", "2", "²", "3", "³", "4", "⁴", "5", "⁵", "6", "⁶", "7", "⁷", "8", "⁸", "9", "⁹").Replace(strconv.Itoa(n))
}
