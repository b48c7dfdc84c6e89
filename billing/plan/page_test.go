package plan

import (
	"fmt"
	"math/big"
	"os"
	"regexp"
	"strings"
	"testing"
)

const page = "../../docs/billing-plans.md"

// examples are the plans of the page, by their names.
type examples struct {
	t     *testing.T
	texts map[string]string
}

var planBlock = regexp.MustCompile("(?s)```yaml\n(plan: ([a-z]+)\n.*?)```")

// TestPage: the plans of docs/billing-plans.md are plans, and their bills what the code
// makes. With -update it writes the bills.
func TestPage(t *testing.T) {
	committed, err := os.ReadFile(page)
	if err != nil {
		t.Fatal(err)
	}
	example, err := os.ReadFile(examplePlan)
	if err != nil {
		t.Fatal(err)
	}
	text := string(committed)
	text = replaced(t, text, "<!-- plan: billing/plan/example/standard-1.yaml -->\n```yaml\n", "```\n", string(example))
	e := examples{t, map[string]string{"standard": string(example)}}
	for _, m := range planBlock.FindAllStringSubmatch(text, -1) {
		e.texts[m[2]] = m[1]
	}
	for name, made := range map[string]string{
		"standard":   e.bills("standard", december31{"4 GiB and 800 pins", 4, 800}, december31{"300 GiB and 1,200 pins", 300, 1200}, december31{"2 TiB and 2,500 pins", 2048, 2500}),
		"graduated":  e.bills("graduated", december31{"100 GiB", 100, 0}, december31{"101 GiB", 101, 0}),
		"volume":     e.bills("volume", december31{"100 GiB", 100, 0}, december31{"101 GiB", 101, 0}),
		"packages":   e.bills("packages", december31{"100 pins", 0, 100}, december31{"101 pins", 0, 101}, december31{"3,000 pins", 0, 3000}),
		"months":     e.months(),
		"carrying":   e.change(e.texts["carrying"]),
		"resetting":  e.change(strings.Replace(e.texts["carrying"], "tiers: carry", "tiers: reset", 1)),
		"accruing":   e.accruing(),
		"estimating": e.estimating(),
		"mistakes":   e.mistakes(),
	} {
		text = replaced(t, text, "<!-- bills of "+name+": made by go generate ./billing/plan -->\n", "<!-- end of "+name+" -->", made)
	}
	if *update {
		if err := os.WriteFile(page, []byte(text), 0o644); err != nil {
			t.Fatal(err)
		}
		return
	}
	if text != string(committed) {
		t.Errorf("the bills of %s are not what the code makes: go generate ./billing/plan", page)
	}
}

// replaced puts made between two marks of a text.
func replaced(t *testing.T, text, begin, end, made string) string {
	t.Helper()
	before, rest, ok := strings.Cut(text, begin)
	_, after, ended := strings.Cut(rest, end)
	if !ok || !ended {
		t.Fatalf("%s has no place between %q and %q", page, begin, end)
	}
	return before + begin + made + end + after
}

// december31 is what was there all December.
type december31 struct {
	name      string
	gib, pins int64
}

func (e examples) plan(name string) *Plan {
	e.t.Helper()
	p, err := Parse(name+".yaml", []byte(e.texts[name]))
	if err != nil {
		e.t.Fatal(err)
	}
	return p
}

// bills has the bills of December.
func (e examples) bills(name string, all ...december31) string {
	e.t.Helper()
	var b strings.Builder
	b.WriteString(head)
	for _, d := range all {
		used := Quantities{Storage: gib(d.gib, 31), Pins: big.NewInt(d.pins * 31 * DayMS)}
		fmt.Fprintf(&b, "| **%s** | | | | |\n%s", d.name, rows(e.rate(december, Stretch{e.plan(name), december.First(), december.end(), used})))
	}
	return b.String()
}

func (e examples) rate(m Month, stretches ...Stretch) Rating {
	e.t.Helper()
	r, err := Rate(m, stretches)
	if err != nil {
		e.t.Fatal(err)
	}
	return r
}

const head = "| line | quantity | unit | price | amount |\n|---|--:|---|--:|--:|\n"

// rows writes a bill.
func rows(r Rating) string {
	var b strings.Builder
	for _, l := range r.Lines {
		fmt.Fprintf(&b, "| %s | %s | %s | %s | %s |\n", l.Description, l.Quantity, l.Unit, l.UnitPrice.Text(), l.Amount.Text())
	}
	fmt.Fprintf(&b, "| total | | | | **%s** |\n", r.Total)
	return b.String()
}

// months has what 1000 GiB cost in December and in February, by each basis.
func (e examples) months() string {
	e.t.Helper()
	var b strings.Builder
	b.WriteString("| 1000 GiB at 0.02 USD | December, 31 days | February, 28 days |\n|---|--:|--:|\n")
	for _, basis := range []string{calendar, hours720, hours730} {
		p := parse(e.t, simple("USD", `{meter: storage_byte_ms, unit: GiB-month, model: graduated, tiers: [{up_to: inf, unit_price: "0.02"}]}`)+"month_basis: "+basis+"\n")
		february := Month{2027, 2}
		fmt.Fprintf(&b, "| `%s` | %s | %s |\n", basis, storage(e.t, p, gib(1000, 31)).Total,
			e.rate(february, Stretch{p, february.First(), february.end(), Quantities{Storage: gib(1000, 28)}}).Total)
	}
	return b.String()
}

// change has a bill with the plan graduated for ten days, and another one for the rest.
func (e examples) change(second string) string {
	e.t.Helper()
	change := december.First() + 10
	return head + rows(e.rate(december,
		Stretch{e.plan("graduated"), december.First(), change, Quantities{Storage: gib(248, 10)}},
		Stretch{parse(e.t, second), change, december.end(), Quantities{Storage: gib(248, 21)}}))
}

func (e examples) accruing() string {
	e.t.Helper()
	accruals, err := Always(e.plan("standard")).Accrue(december, days(e.t, "2026-12-01", 31, gib(310, 1)), december.end())
	if err != nil {
		e.t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| day | added | total |\n|---|--:|--:|\n")
	for _, i := range []int{0, 1, 2, 14, 30} {
		fmt.Fprintf(&b, "| %s | %s | %s |\n", accruals[i].Day, accruals[i].Added.Text(), accruals[i].Total)
	}
	return b.String()
}

func (e examples) estimating() string {
	e.t.Helper()
	now := Standing{Days: days(e.t, "2026-12-01", 14, gib(1020, 1)), Bytes: big.NewInt(1020 << 30), Pins: 1}
	got, err := Always(e.plan("standard")).Estimate(now, Pin{big.NewInt(20 << 30), 3, day(e.t, "2026-12-15"), 60})
	if err != nil {
		e.t.Fatal(err)
	}
	var b strings.Builder
	b.WriteString("| month | without | with | cost |\n|---|--:|--:|--:|\n")
	for _, m := range got.Months {
		fmt.Fprintf(&b, "| %s | %s | %s | %s |\n", m.Month, m.Without.Text(), m.With.Text(), m.Cost.Text())
	}
	fmt.Fprintf(&b, "| **all** | | | **%s** |\n", got.Cost)
	return b.String()
}

func (e examples) mistakes() string {
	_, err := Parse("mistakes.yaml", []byte(e.texts["mistakes"]))
	if err == nil {
		e.t.Fatal("the plan with mistakes has none")
	}
	return "```text\n" + err.Error() + "\n```\n"
}
