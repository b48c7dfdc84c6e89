package plan

import (
	"math/big"
	"strings"
	"testing"
)

// tb is what both testing.TB and rapid.T have.
type tb interface {
	Helper()
	Fatal(args ...any)
	Fatalf(format string, args ...any)
}

func parse(t tb, text string) *Plan {
	t.Helper()
	p, err := Parse("plan.yaml", []byte(text))
	if err != nil {
		t.Fatalf("%v\n%s", err, text)
	}
	return p
}

// simple is a plan in YAML with some charges, in December 2026 and later.
func simple(currency string, charges ...string) string {
	return "plan: simple\nversion: 1\ncurrency: " + currency + "\neffective: 2026-12-01\ncharges:\n  - " + strings.Join(charges, "\n  - ") + "\n"
}

func day(t tb, text string) Day {
	t.Helper()
	d, err := ParseDay(text)
	if err != nil {
		t.Fatal(err)
	}
	return d
}

var december = Month{2026, 12}

// gib is so many GiB that are stored for so many days, in byte·ms.
func gib(n, days int64) *big.Int {
	x := big.NewInt(n * days * DayMS)
	return x.Mul(x, big.NewInt(1<<30))
}

// amounts writes the lines of a rating, one a line, with the total.
func amounts(r Rating) string {
	var b strings.Builder
	for _, l := range r.Lines {
		b.WriteString(l.Description + " | " + l.Quantity + " " + l.Unit + " | " + l.UnitPrice.Text() + " | " + l.Amount.Text() + "\n")
	}
	b.WriteString("total " + r.Total.String() + "\n")
	return b.String()
}

// storage rates byte·ms in December by one plan.
func storage(t testing.TB, p *Plan, used *big.Int) Rating {
	t.Helper()
	r, err := Rate(december, []Stretch{{p, december.First(), december.end(), Quantities{Storage: used}}})
	if err != nil {
		t.Fatal(err)
	}
	return r
}
