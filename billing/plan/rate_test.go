package plan

import (
	"errors"
	"math/big"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// TestRate has bills that were reckoned by hand.
func TestRate(t *testing.T) {
	const twoTiers = `tiers: [{up_to: "10", unit_price: "0.50"}, {up_to: "20", unit_price: "0.40", flat: "1"}, {up_to: inf, unit_price: "0.30", flat: "2"}]`
	for _, tt := range []struct{ name, charge, more, want string }{
		{"graduated", "{meter: storage_byte_ms, unit: GiB-month, model: graduated, " + twoTiers + "}", "", `
Storage, up to 10 GiB-month | 10 GiB-month | 0.50 | 5.00
Storage, above 10 GiB-month, up to 20 GiB-month | 10 GiB-month | 0.40 | 4.00
Storage, above 10 GiB-month, up to 20 GiB-month, fee | 1 tier | 1.00 | 1.00
Storage, above 20 GiB-month | 11 GiB-month | 0.30 | 3.30
Storage, above 20 GiB-month, fee | 1 tier | 2.00 | 2.00
total 15.30 USD
`},
		{"volume", "{meter: storage_byte_ms, unit: GiB-month, model: volume, " + twoTiers + "}", "", `
Storage, above 20 GiB-month | 31 GiB-month | 0.30 | 9.30
Storage, above 20 GiB-month, fee | 1 tier | 2.00 | 2.00
total 11.30 USD
`},
		{"a quota is before the tiers", `{meter: storage_byte_ms, unit: GiB-month, model: graduated, included: "12", ` + twoTiers + "}", "", `
Storage, included | 12 GiB-month | 0.00 | 0.00
Storage, up to 10 GiB-month | 10 GiB-month | 0.50 | 5.00
Storage, above 10 GiB-month, up to 20 GiB-month | 9 GiB-month | 0.40 | 3.60
Storage, above 10 GiB-month, up to 20 GiB-month, fee | 1 tier | 1.00 | 1.00
total 9.60 USD
`},
		{"a quota that is enough", `{meter: storage_byte_ms, unit: GiB-month, model: graduated, included: "31", ` + twoTiers + "}", "", `
Storage, included | 31 GiB-month | 0.00 | 0.00
total 0.00 USD
`},
		{"packages", `{meter: storage_byte_ms, unit: GiB-month, model: package, package_size: "10", price: "1.25"}`, "", `
Storage | 4 package of 10 GiB-month | 1.25 | 5.00
total 5.00 USD
`},
		{"flat, and nothing for a meter", `{name: Fee, model: flat, price: "9.99"}`, "", `
Fee | 1 month | 9.99 | 9.99
total 9.99 USD
`},
		{"a minimum", `{name: Fee, model: flat, price: "9.99"}`, `minimum: {amount: "12"}`, `
Fee | 1 month | 9.99 | 9.99
Minimum of 12.00 USD | 1 month | 2.01 | 2.01
total 12.00 USD
`},
		{"a minimum that is reached", `{name: Fee, model: flat, price: "12.00"}`, `minimum: {amount: "12"}`, `
Fee | 1 month | 12.00 | 12.00
total 12.00 USD
`},
		// 31 GiB-month of 744 hours are 32.033333… of 720, and 31.5945… of 730.
		{"720 hours", `{meter: storage_byte_ms, unit: GiB-month, model: graduated, tiers: [{up_to: inf, unit_price: "1"}]}`, "month_basis: 720h", `
Storage | 32.033333 GiB-month | 1.00 | 32.03
total 32.03 USD
`},
		{"730 hours", `{meter: storage_byte_ms, unit: GiB-month, model: graduated, tiers: [{up_to: inf, unit_price: "1"}]}`, "month_basis: 730h", `
Storage | 31.594521 GiB-month | 1.00 | 31.59
total 31.59 USD
`},
		// 31 GiB are 33.285996544 GB.
		{"GB are not GiB", `{meter: storage_byte_ms, unit: GB-month, model: graduated, tiers: [{up_to: inf, unit_price: "1"}]}`, "", `
Storage | 33.285997 GB-month | 1.00 | 33.29
total 33.29 USD
`},
		{"by the day", `{meter: storage_byte_ms, unit: TiB-day, model: graduated, tiers: [{up_to: inf, unit_price: "1"}]}`, "", `
Storage | 0.938477 TiB-day | 1.00 | 0.94
total 0.94 USD
`},
		{"by the hour", `{meter: storage_byte_ms, unit: MiB-hour, model: graduated, tiers: [{up_to: inf, unit_price: "0.000001"}]}`, "", `
Storage | 23617536 MiB-hour | 0.000001 | 23.62
total 23.62 USD
`},
	} {
		text := simple("USD", tt.charge) + tt.more + "\n"
		if got := amounts(storage(t, parse(t, text), gib(31, 31))); got != strings.TrimPrefix(tt.want, "\n") {
			t.Errorf("%s:\n%swant%s", tt.name, got, tt.want)
		}
	}
}

func TestNothingUsed(t *testing.T) {
	p := parse(t, simple("USD", `{meter: storage_byte_ms, unit: GiB-month, model: volume, included: "5", tiers: [{up_to: inf, unit_price: "1", flat: "3"}]}`,
		`{meter: pin_ms, unit: pin-month, model: package, package_size: "10", price: "1"}`))
	r := storage(t, p, new(big.Int))
	if len(r.Lines) != 0 || r.Total != money.Zero(p.Currency()) || r.Month != december || r.Plans[0] != p.Ref() {
		t.Errorf("%+v", r)
	}
}

// TestRoundings: one line, one rounding, by the rule of the plan.
func TestRoundings(t *testing.T) {
	for rule, want := range map[string]string{
		"{line: half_even, digits: 2}": "0.02", "{line: half_up, digits: 2}": "0.03", "{line: up, digits: 2}": "0.03", "{line: down, digits: 2}": "0.02",
		"{line: up, digits: 0}": "1.00", "{line: half_up, digits: 1}": "0.00", "{}": "0.02",
	} {
		p := parse(t, simple("USD", `{meter: storage_byte_ms, unit: GiB-month, model: graduated, tiers: [{up_to: inf, unit_price: "0.025"}]}`)+"rounding: "+rule+"\n")
		if got := storage(t, p, gib(1, 31)).Total.Text(); got != want {
			t.Errorf("%s: %s, want %s", rule, got, want)
		}
	}
}

// TestEiB: a month with a thousand EiB is rated to the last attoFIL.
func TestEiB(t *testing.T) {
	p := parse(t, simple("FIL", `{meter: storage_byte_ms, unit: B-hour, model: graduated, tiers: [{up_to: inf, unit_price: "0.000000000000000001"}]}`))
	used := new(big.Int).Lsh(big.NewInt(1000), 60)
	hours := new(big.Int).Mul(used, big.NewInt(744))
	r := storage(t, p, used.Mul(used, big.NewInt(31*DayMS)))
	n, err := r.Total.Minor()
	if err != nil || n.Cmp(hours) != 0 {
		t.Errorf("%v, want %v (%v)", n, hours, err)
	}
	if _, err := r.Total.MinorInt64(); err == nil {
		t.Error("that fits into 63 bits")
	}
}

// TestChangeOfPlan: a month is split, and each part is by its plan.
func TestChangeOfPlan(t *testing.T) {
	const charge = `{meter: storage_byte_ms, unit: GiB-month, model: graduated, included: "31", tiers: [{up_to: "62", unit_price: "1"}, {up_to: inf, unit_price: "0.5", flat: "7"}]}`
	const fee = `{name: Fee, model: flat, price: "31"}`
	a := parse(t, simple("USD", charge, fee)+"minimum: {amount: \"310\"}\n")
	b := parse(t, strings.Replace(simple("USD", charge, fee), "plan: simple", "plan: b", 1))
	carry := parse(t, strings.Replace(simple("USD", charge, fee), "plan: simple", "plan: b\ntiers: carry", 1))
	first, change, end := december.First(), december.First()+10, december.end()
	// 310 GiB for 10 days are 100 GiB-month, and for 21 days 210.
	rating := func(second *Plan) string {
		t.Helper()
		r, err := Rate(december, []Stretch{{a, first, change, Quantities{Storage: gib(310, 10)}}, {second, change, end, Quantities{Storage: gib(310, 21)}}})
		if err != nil {
			t.Fatal(err)
		}
		return amounts(r)
	}
	const before = `Storage, included | 10 GiB-month | 0.00 | 0.00
Storage, up to 62 GiB-month | 62 GiB-month | 1.00 | 62.00
Storage, above 62 GiB-month | 28 GiB-month | 0.50 | 14.00
Storage, above 62 GiB-month, fee | 1 tier | 7.00 | 7.00
Fee | 0.322581 month | 31.00 | 10.00
`
	const minimum = "Minimum of 310.00 USD, for 10 of 31 days | 1 month | 7.00 | 7.00\n"
	if got, want := rating(b), before+`Storage, included | 21 GiB-month | 0.00 | 0.00
Storage, up to 62 GiB-month | 62 GiB-month | 1.00 | 62.00
Storage, above 62 GiB-month | 127 GiB-month | 0.50 | 63.50
Storage, above 62 GiB-month, fee | 1 tier | 7.00 | 7.00
Fee | 0.677419 month | 31.00 | 21.00
`+minimum+"total 253.50 USD\n"; got != want {
		t.Errorf("reset:\n%swant\n%s", got, want)
	}
	// 100 were used, which are more than the quota and the first tier.
	if got, want := rating(carry), before+`Storage, above 62 GiB-month | 210 GiB-month | 0.50 | 105.00
Fee | 0.677419 month | 31.00 | 21.00
`+minimum+"total 226.00 USD\n"; got != want {
		t.Errorf("carry:\n%swant\n%s", got, want)
	}
}

// TestCarry goes on within a quota, a tier and a package, and pays a fee once.
func TestCarry(t *testing.T) {
	for _, tt := range []struct{ name, charge, want string }{
		{"within the quota", `{meter: storage_byte_ms, unit: GiB-month, model: graduated, included: "40", tiers: [{up_to: inf, unit_price: "1"}]}`, `
Storage, included | 30 GiB-month | 0.00 | 0.00
Storage | 11 GiB-month | 1.00 | 11.00
total 11.00 USD
`},
		{"exactly at an edge", `{meter: storage_byte_ms, unit: GiB-month, model: graduated, tiers: [{up_to: "10", unit_price: "1"}, {up_to: inf, unit_price: "2", flat: "5"}]}`, `
Storage, above 10 GiB-month | 41 GiB-month | 2.00 | 82.00
Storage, above 10 GiB-month, fee | 1 tier | 5.00 | 5.00
total 87.00 USD
`},
		{"volume, into another tier", `{meter: storage_byte_ms, unit: GiB-month, model: volume, tiers: [{up_to: "20", unit_price: "1", flat: "3"}, {up_to: inf, unit_price: "2", flat: "5"}]}`, `
Storage, above 20 GiB-month | 41 GiB-month | 2.00 | 82.00
Storage, above 20 GiB-month, fee | 1 tier | 5.00 | 5.00
total 87.00 USD
`},
		{"volume, in the same tier", `{meter: storage_byte_ms, unit: GiB-month, model: volume, tiers: [{up_to: "5", unit_price: "1", flat: "3"}, {up_to: inf, unit_price: "2", flat: "5"}]}`, `
Storage, above 5 GiB-month | 41 GiB-month | 2.00 | 82.00
total 82.00 USD
`},
		{"within a package", `{meter: storage_byte_ms, unit: GiB-month, model: package, package_size: "17", price: "1"}`, `
Storage | 2 package of 17 GiB-month | 1.00 | 2.00
total 2.00 USD
`},
		{"in a package that was paid", `{meter: storage_byte_ms, unit: GiB-month, model: package, package_size: "51", price: "1"}`, "\ntotal 0.00 USD\n"},
	} {
		free := parse(t, simple("USD", `{name: Fee, model: flat, price: "0"}`))
		p := parse(t, strings.Replace(simple("USD", tt.charge), "plan: simple", "plan: b\ntiers: carry", 1))
		// 10 GiB-month before, and 41 after.
		r, err := Rate(december, []Stretch{
			{free, december.First(), december.First() + 10, Quantities{Storage: gib(31, 10)}},
			{p, december.First() + 10, december.end(), Quantities{Storage: gib(41, 31)}},
		})
		if err != nil {
			t.Fatal(err)
		}
		got, ok := strings.CutPrefix(amounts(r), "Fee | 0.322581 month | 0.00 | 0.00\n")
		if !ok || got != strings.TrimPrefix(tt.want, "\n") {
			t.Errorf("%s:\n%swant%s", tt.name, got, tt.want)
		}
	}
}

// TestWhatIsDueOnce: a fee that is not prorated is due once a month, whoever leaves a plan
// and comes back, and so is a minimum.
func TestWhatIsDueOnce(t *testing.T) {
	a := parse(t, simple("USD", `{name: Fee, model: flat, price: "10", prorate: false}`)+"minimum: {amount: \"25\", prorate: false}\n")
	b := parse(t, strings.Replace(simple("USD", `{name: Fee, model: flat, price: "31"}`), "simple", "b", 1))
	first := december.First()
	r, err := Rate(december, []Stretch{{a, first, first + 1, nil}, {b, first + 1, first + 3, nil}, {a, first + 3, december.end(), nil}})
	if err != nil {
		t.Fatal(err)
	}
	if got, want := amounts(r), `Fee | 1 month | 10.00 | 10.00
Fee | 0.064516 month | 31.00 | 2.00
Minimum of 25.00 USD | 1 month | 15.00 | 15.00
total 27.00 USD
`; got != want {
		t.Errorf("%swant\n%s", got, want)
	}
	if l := r.Lines[2]; l.From != first || l.To != december.end() {
		t.Errorf("the minimum is for %s to %s", l.From, l.To)
	}
}

func TestRateRefuses(t *testing.T) {
	usd := parse(t, simple("USD", `{name: Fee, model: flat, price: "10"}`))
	eur := parse(t, strings.Replace(simple("EUR", `{name: Fee, model: flat, price: "10"}`), "simple", "eur", 1))
	other := parse(t, simple("USD", `{name: Fee, model: flat, price: "11"}`))
	first, end := december.First(), december.end()
	for _, tt := range []struct {
		want      string
		stretches []Stretch
	}{
		{"no plan was in force", nil},
		{"not in 2026-12", []Stretch{{usd, first - 1, end, nil}}},
		{"not in 2026-12", []Stretch{{usd, first, end + 1, nil}}},
		{"not in their order", []Stretch{{usd, first + 2, end, nil}, {usd, first, first + 2, nil}}},
		{"not in their order", []Stretch{{usd, first, first + 2, nil}, {usd, first + 1, end, nil}}},
		{"have no plan", []Stretch{{nil, first, end, nil}}},
		{"2026-12-03 to 2026-12-03", []Stretch{{usd, first + 2, first + 2, nil}}},
		{"pin_ms is -1, which is below 0", []Stretch{{usd, first, end, Quantities{Pins: big.NewInt(-1)}}}},
		{`"bytes" is no meter`, []Stretch{{usd, first, end, Quantities{"bytes": big.NewInt(1)}}}},
		{"a currency changes with a month", []Stretch{{usd, first, first + 1, nil}, {eur, first + 1, end, nil}}},
		{"two texts of simple version 1", []Stretch{{usd, first, first + 1, nil}, {other, first + 1, end, nil}}},
	} {
		if r, err := Rate(december, tt.stretches); err == nil || !strings.Contains(err.Error(), tt.want) {
			t.Errorf("%v, %+v; want %q", err, r, tt.want)
		}
	}
	if _, err := Rate(december, []Stretch{{usd, first, first + 1, nil}, {eur, first + 1, end, nil}}); !errors.Is(err, money.ErrCurrencies) {
		t.Error(err)
	}
}
