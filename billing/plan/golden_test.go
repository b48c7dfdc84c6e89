package plan

import (
	"flag"
	"fmt"
	"math/big"
	"os"
	"strings"
	"testing"
)

//go:generate go test -run=^(TestBoundaries|TestPage)$ -update

var update = flag.Bool("update", false, "write testdata/boundaries.golden and the bills of docs/billing-plans.md")

const golden = "testdata/boundaries.golden"

// model is a plan of the golden bills. edges are those of its tiers, its quota and its
// packages, in GiB-month.
type model struct {
	name  string
	sheet sheet
	edges []int64
}

// models has every model, in currencies with different digits. Prices have more digits
// than the currency, so that something is rounded.
func models() []model {
	var all []model
	for _, c := range []struct {
		code   string
		digits int
		price  string // what is before the last two digits of a price
	}{{"JPY", 0, ""}, {"USD", 2, "0."}, {"KWD", 3, "0.0"}, {"USDFC", 18, "0.0000000000000000"}} {
		price := func(digits string) string {
			if c.digits == 0 {
				return digits[:1] + "." + digits[1:]
			}
			return c.price + digits
		}
		tiers := []step{{"10", price("505"), "0"}, {"20", price("403"), price("99")}, {"inf", price("302"), price("77")}}
		add := func(name string, edges []int64, minimum string, e ...entry) {
			for i := range e {
				if e[i].model != "flat" {
					e[i].meter, e[i].unit = "storage_byte_ms", "GiB-month"
				}
			}
			s := sheet{name: "golden", currency: c.code, digits: c.digits, mode: "half_even", basis: "calendar", charges: e, minimum: minimum}
			all = append(all, model{c.code + " " + name, s, edges})
		}
		add("graduated", []int64{10, 20}, "", entry{model: "graduated", included: "0", tiers: tiers})
		add("volume", []int64{10, 20}, "", entry{model: "volume", included: "0", tiers: tiers})
		add("package", []int64{10, 20}, "", entry{model: "package", included: "0", size: "10", price: price("505")})
		add("quota", []int64{5, 15}, "", entry{model: "graduated", included: "5", tiers: tiers})
		add("quota and packages", []int64{5, 15}, "", entry{model: "package", included: "5", size: "10", price: price("505")})
		add("quota and volume", []int64{5, 15}, "", entry{model: "volume", included: "5", tiers: tiers})
		add("minimum and flat", []int64{10}, "1", entry{model: "graduated", included: "0", tiers: tiers}, entry{model: "flat", price: price("123"), prorated: true})
	}
	return all
}

// TestBoundaries has the bills at 0, 1, and on both sides of each edge, by a byte·ms and by
// a unit, as they stand in a file that people have looked at. The oracle agrees with each.
func TestBoundaries(t *testing.T) {
	var got strings.Builder
	unit := gib(1, 31)
	one := big.NewInt(1)
	for _, m := range models() {
		p := parse(t, m.sheet.yaml())
		fmt.Fprintf(&got, "%s\n", m.name)
		check := func(name string, used *big.Int) {
			t.Helper()
			r := storage(t, p, used)
			var parts []string
			sum := new(big.Rat)
			for _, l := range r.Lines {
				parts = append(parts, string(l.Kind)+" "+l.Amount.Text())
				sum.Add(sum, frac(l.Amount.Text()))
			}
			fmt.Fprintf(&got, "  %-12s %s = %s\n", name, r.Total.Text(), strings.Join(parts, " + "))
			days := make([]usedOn, 31)
			for i := range days {
				days[i] = usedOn{&m.sheet, new(big.Int), new(big.Int)}
			}
			days[17].byteMS = used
			if want := total(bill(days)); frac(r.Total.Text()).Cmp(want) != 0 || sum.Cmp(want) != 0 {
				t.Errorf("%s, %s: %s with lines of %s, and %s for the oracle", m.name, name, r.Total, sum.FloatString(18), want.FloatString(18))
			}
		}
		check("0", new(big.Int))
		check("1 byte·ms", one)
		check("1", unit)
		for _, edge := range m.edges {
			at := new(big.Int).Mul(unit, big.NewInt(edge))
			check(fmt.Sprintf("%d - 1", edge), new(big.Int).Sub(at, unit))
			check(fmt.Sprintf("%d - byte·ms", edge), new(big.Int).Sub(at, one))
			check(fmt.Sprint(edge), at)
			check(fmt.Sprintf("%d + byte·ms", edge), new(big.Int).Add(at, one))
			check(fmt.Sprintf("%d + 1", edge), new(big.Int).Add(at, unit))
		}
	}
	if *update {
		if err := os.WriteFile(golden, []byte(got.String()), 0o600); err != nil {
			t.Fatal(err)
		}
	}
	want, err := os.ReadFile(golden)
	if err != nil {
		t.Fatal(err)
	}
	if got.String() != string(want) {
		t.Errorf("the bills are not those of %s: if they should not be, go generate ./billing/plan\n%s", golden, got.String())
	}
}
