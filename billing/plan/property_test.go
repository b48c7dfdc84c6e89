package plan

import (
	"fmt"
	"math/big"
	"testing"
	"time"

	"pgregory.net/rapid"
)

// currencies are those of the tests, with their digits.
var currencies = map[string]int{"JPY": 0, "USD": 2, "KWD": 3, "USDC": 6, "USDFC": 18}

// drawDecimal draws a decimal that is not negative, often a round one.
func drawDecimal(t *rapid.T, label string, least int) string {
	n := rapid.OneOf(rapid.IntRange(least, 20), rapid.IntRange(least, 2_000_000)).Draw(t, label)
	if scale := rapid.IntRange(0, 8).Draw(t, label+" digits"); scale > 0 && rapid.Bool().Draw(t, label+" fraction") {
		text := fmt.Sprintf("%0*d", scale+1, n)
		return text[:len(text)-scale] + "." + text[len(text)-scale:]
	}
	return fmt.Sprint(n)
}

func drawEntry(t *rapid.T, meter string) entry {
	units := []string{"B-hour", "kB-day", "MiB-month", "GB-month", "GiB-month", "TiB-day", "EiB-hour"}
	if meter == "pin_ms" {
		units = []string{"pin-month", "pin-hour", "kpin-month", "Mpin-day"}
	}
	e := entry{meter: meter, unit: rapid.SampledFrom(units).Draw(t, "unit"), model: rapid.SampledFrom([]string{"graduated", "volume", "package"}).Draw(t, "model"), included: "0"}
	if rapid.Bool().Draw(t, "quota") {
		e.included = drawDecimal(t, "included", 0)
	}
	if e.model == "package" {
		e.size, e.price = drawDecimal(t, "size", 1), drawDecimal(t, "price", 0)
		return e
	}
	edge := new(big.Rat)
	for range rapid.IntRange(0, 3).Draw(t, "tiers") {
		edge = plus(edge, frac(drawDecimal(t, "tier", 1)))
		e.tiers = append(e.tiers, step{edge.FloatString(8), drawDecimal(t, "price", 0), drawDecimal(t, "flat", 0)})
	}
	e.tiers = append(e.tiers, step{"inf", drawDecimal(t, "price", 0), drawDecimal(t, "flat", 0)})
	return e
}

func drawSheet(t *rapid.T, name, currency string) *sheet {
	s := &sheet{
		name: name, currency: currency, digits: rapid.IntRange(0, currencies[currency]).Draw(t, "digits"),
		mode:  rapid.SampledFrom([]string{"half_even", "half_up", "up", "down"}).Draw(t, "mode"),
		basis: rapid.SampledFrom([]string{"calendar", "720h", "730h"}).Draw(t, "basis"), carry: rapid.Bool().Draw(t, "carry"),
	}
	for _, meter := range []string{"storage_byte_ms", "pin_ms"} {
		if rapid.IntRange(0, 3).Draw(t, meter) > 0 {
			s.charges = append(s.charges, drawEntry(t, meter))
		}
	}
	if len(s.charges) == 0 || rapid.Bool().Draw(t, "fee") {
		s.charges = append(s.charges, entry{model: "flat", price: drawDecimal(t, "fee", 0), prorated: rapid.Bool().Draw(t, "prorated")})
	}
	if rapid.Bool().Draw(t, "minimum") {
		s.minimum, s.prorated = drawDecimal(t, "least", 0), rapid.Bool().Draw(t, "prorated")
	}
	return s
}

// drawUsed draws what was used on a day: nothing, a little, something up to 8 EiB or a
// million pins, or what leads to an edge of the sheet, and one more or less.
func drawUsed(t *rapid.T, s *sheet, meter string, monthDays int) *big.Int {
	n := new(big.Int)
	switch rapid.IntRange(0, 3).Draw(t, meter) {
	case 0:
		return n
	case 1:
		return n.SetInt64(rapid.Int64Range(0, 5).Draw(t, "little"))
	case 2:
		n.SetUint64(rapid.Uint64Range(0, 1<<63).Draw(t, "level"))
		return n.Mul(n, big.NewInt(rapid.Int64Range(1, 86_400_000).Draw(t, "ms")))
	}
	for _, e := range s.charges {
		if e.meter != meter {
			continue
		}
		edge := frac(e.included)
		if e.model == "package" {
			edge = plus(edge, times(frac(e.size), whole(rapid.Int64Range(1, 3).Draw(t, "packages"))))
		} else if t := rapid.SampledFrom(e.tiers).Draw(t, "edge"); t.upTo != "inf" {
			edge = plus(edge, frac(t.upTo))
		}
		edge = times(edge, s.perUnit(e.unit, monthDays))
		n.Div(edge.Num(), edge.Denom())
		return n.Abs(n.Add(n, big.NewInt(rapid.Int64Range(-1, 1).Draw(t, "beside"))))
	}
	return n
}

// month is a month with what was used on its days.
type month struct {
	Month
	days  []usedOn
	plans map[*sheet]*Plan
}

func drawMonth(t *rapid.T) month {
	m := month{Month: Month{2027, time.Month(rapid.IntRange(1, 12).Draw(t, "month"))}, plans: map[*sheet]*Plan{}}
	if rapid.Bool().Draw(t, "leap") {
		m.Year = 2028
	}
	currency := rapid.SampledFrom([]string{"JPY", "USD", "KWD", "USDC", "USDFC"}).Draw(t, "currency")
	var sheets []*sheet
	for i := range rapid.IntRange(1, 3).Draw(t, "plans") {
		s := drawSheet(t, fmt.Sprint("plan", i), currency)
		sheets, m.plans[s] = append(sheets, s), parse(t, s.yaml())
	}
	now := sheets[0]
	for range m.Month.Days() {
		if rapid.IntRange(0, 9).Draw(t, "change") == 0 {
			now = rapid.SampledFrom(sheets).Draw(t, "plan")
		}
		m.days = append(m.days, usedOn{now, drawUsed(t, now, "storage_byte_ms", m.Month.Days()), drawUsed(t, now, "pin_ms", m.Month.Days())})
	}
	return m
}

// stretches cuts the month into pieces, at changes of plan and elsewhere.
func (m month) stretches(t *rapid.T) []Stretch {
	var out []Stretch
	for i, d := range m.days {
		from := m.First() + Day(i)
		used := Quantities{Storage: d.byteMS, Pins: d.pinsMS}
		if last := len(out) - 1; last >= 0 && m.days[i-1].sheet == d.sheet && !rapid.Bool().Draw(t, "cut") {
			out[last].To, out[last].Used = from+1, out[last].Used.plus(used)
			continue
		}
		out = append(out, Stretch{m.plans[d.sheet], from, from + 1, used})
	}
	return out
}

// TestOracle: whatever the plans, the usage and the cuts, each line is what the oracle
// says, and the total is their sum to the smallest unit.
func TestOracle(t *testing.T) {
	kinds := map[Kind]int{}
	rapid.Check(t, func(t *rapid.T) {
		m := drawMonth(t)
		want := bill(m.days)
		got, err := Rate(m.Month, m.stretches(t))
		if err != nil {
			t.Fatal(err)
		}
		sum := new(big.Rat)
		for i, l := range got.Lines {
			kinds[l.Kind]++
			if i >= len(want) || string(l.Kind) != want[i].kind || frac(l.Amount.Text()).Cmp(want[i].amount) != 0 {
				t.Fatalf("line %d is %+v, want %v of %v", i, l, want[i:min(i+1, len(want))], len(want))
			}
			sum.Add(sum, want[i].amount)
			checkLine(t, m, l)
		}
		if len(got.Lines) != len(want) || frac(got.Total.Text()).Cmp(sum) != 0 {
			t.Fatalf("%d lines with a total of %s, want %d with %s", len(got.Lines), got.Total, len(want), sum.FloatString(20))
		}
		if minor, err := got.Total.Minor(); err != nil || minor.Sign() < 0 {
			t.Fatalf("%s cannot be paid: %v", got.Total, err)
		}
	})
	for _, k := range []Kind{Included, Usage, Package, TierFee, Flat, Minimum} {
		if kinds[k] == 0 {
			t.Errorf("no line was of the kind %s: %v", k, kinds)
		}
	}
}

// checkLine: whoever has a line can check it, by what stands in it and the rule of the plan.
func checkLine(t *rapid.T, m month, l Line) {
	for s, p := range m.plans {
		if l.Plan != p.Name() {
			continue
		}
		if s.rounded(times(frac(l.Exact), frac(l.UnitPrice.Text()))).Cmp(frac(l.Amount.Text())) != 0 {
			t.Fatalf("%+v: %s at %s are not %s", l, l.Exact, l.UnitPrice, l.Amount)
		}
		off := minus(frac(l.Exact), frac(l.Quantity))
		if off.Abs(off).Cmp(big.NewRat(1, 2_000_000)) > 0 || l.From < m.First() || l.To > m.end() || l.From >= l.To {
			t.Fatalf("%+v", l)
		}
		return
	}
	t.Fatalf("%+v is by no plan", l)
}

// TestCuts: how the usage of a plan is cut does not matter.
func TestCuts(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMonth(t)
		one, err := Rate(m.Month, m.stretches(t))
		if err != nil {
			t.Fatal(err)
		}
		other, err := Rate(m.Month, m.stretches(t))
		if err != nil || amounts(one) != amounts(other) || len(one.Plans) != len(other.Plans) {
			t.Fatalf("%s\nand in other pieces\n%s: %v", amounts(one), amounts(other), err)
		}
	})
}

// TestAccrueEndsWithTheBill: what is accrued on the last day is the bill but for the
// minimum, and what is added by the day is the total.
func TestAccrueEndsWithTheBill(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMonth(t)
		var s Schedule
		var days []DayUsage
		for i, d := range m.days {
			at := m.First() + Day(i)
			s.turns = append(s.turns, turn{at, m.plans[d.sheet]})
			days = append(days, DayUsage{at, Quantities{Storage: d.byteMS, Pins: d.pinsMS}})
		}
		days = rapid.Permutation(days).Draw(t, "days")
		accruals, err := s.Accrue(m.Month, days, m.end())
		if err != nil {
			t.Fatal(err)
		}
		bill, err := s.Rate(m.Month, days)
		if err != nil {
			t.Fatal(err)
		}
		want, sum := new(big.Rat), new(big.Rat)
		for _, l := range bill.Lines {
			if l.Kind != Minimum {
				want.Add(want, frac(l.Amount.Text()))
			}
		}
		falls := false
		for _, a := range accruals {
			sum.Add(sum, frac(a.Added.Text()))
			falls = falls || a.Added.Sign() < 0
			if frac(a.Total.Text()).Cmp(sum) != 0 {
				t.Fatalf("%s: %s were added, and the total is %s", a.Day, sum.FloatString(20), a.Total)
			}
		}
		if len(accruals) != m.Month.Days() || sum.Cmp(want) != 0 {
			t.Fatalf("%s was accrued, and the bill has %s", sum.FloatString(20), want.FloatString(20))
		}
		if falls && !hasVolume(m) {
			t.Fatalf("the total fell: %v", accruals)
		}
	})
}

func hasVolume(m month) bool {
	for s := range m.plans {
		for _, e := range s.charges {
			if e.model == "volume" {
				return true
			}
		}
	}
	return false
}

// TestEstimateIsADifference: what a pin costs is what it adds to the bills, as the oracle
// has them, also if the month is nearly over.
func TestEstimateIsADifference(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		m := drawMonth(t)
		sh := m.days[0].sheet
		size, replicas := rapid.Int64Range(0, 1<<60).Draw(t, "size"), rapid.IntRange(1, 10).Draw(t, "replicas")
		from := rapid.IntRange(0, m.Month.Days()-1).Draw(t, "from")
		length := rapid.IntRange(1, m.Month.Days()-from).Draw(t, "length")
		level, pins := rapid.Int64Range(0, 1<<60).Draw(t, "level"), rapid.Int64Range(0, 1<<20).Draw(t, "pins")
		now := Standing{Bytes: big.NewInt(level), Pins: pins}
		var without, with []usedOn
		for i, d := range m.days {
			if i < from {
				now.Days = append(now.Days, DayUsage{m.First() + Day(i), Quantities{Storage: d.byteMS, Pins: d.pinsMS}})
				without, with = append(without, usedOn{sh, d.byteMS, d.pinsMS}), append(with, usedOn{sh, d.byteMS, d.pinsMS})
				continue
			}
			had := usedOn{sh, day86400(big.NewInt(level)), day86400(big.NewInt(pins))}
			without = append(without, had)
			if i < from+length {
				all := new(big.Int).Mul(big.NewInt(size), big.NewInt(int64(replicas)))
				had = usedOn{sh, day86400(all.Add(all, big.NewInt(level))), day86400(big.NewInt(pins + 1))}
			}
			with = append(with, had)
		}
		e, err := Always(m.plans[sh]).Estimate(now, Pin{big.NewInt(size), replicas, m.First() + Day(from), length})
		if err != nil {
			t.Fatal(err)
		}
		less, more := total(bill(without)), total(bill(with))
		if len(e.Months) != 1 || frac(e.Cost.Text()).Cmp(minus(more, less)) != 0 || frac(e.Months[0].With.Text()).Cmp(more) != 0 {
			t.Fatalf("%+v, want %s without and %s with it", e, less.FloatString(20), more.FloatString(20))
		}
	})
}

func day86400(level *big.Int) *big.Int { return new(big.Int).Mul(level, big.NewInt(86_400_000)) }

func total(items []item) *big.Rat {
	sum := new(big.Rat)
	for _, it := range items {
		sum.Add(sum, it.amount)
	}
	return sum
}
