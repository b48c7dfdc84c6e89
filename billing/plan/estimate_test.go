package plan

import (
	"fmt"
	"math/big"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

const tieredPlan = `{meter: storage_byte_ms, unit: GiB-month, model: graduated, included: "5", tiers: [{up_to: "10", unit_price: "1"}, {up_to: inf, unit_price: "0.5", flat: "2"}]}`

func TestEstimate(t *testing.T) {
	p := parse(t, simple("USD", tieredPlan, `{meter: pin_ms, unit: pin-month, model: package, package_size: "10", price: "0.01"}`))
	for _, tt := range []struct {
		name string
		now  Standing
		pin  Pin
		want string
	}{
		// Of 6 GiB-month 5 are in the quota.
		{"the first one", Standing{}, Pin{gib(3, 1).Div(gib(3, 1), big.NewInt(DayMS)), 2, day(t, "2026-12-01"), 31},
			"2026-12 0.00 1.01 1.01, 1.01 USD"},
		{"on top of others", Standing{Bytes: big.NewInt(15 << 30), Pins: 3}, Pin{big.NewInt(1 << 30), 1, day(t, "2026-12-01"), 31},
			"2026-12 10.01 12.51 2.50, 2.50 USD"},
		// 20 days with 31 GiB were 20 GiB-month; what is left of the month adds 11 without the pin.
		{"in the middle of a month", Standing{Days: days(t, "2026-12-01", 20, gib(31, 1)), Bytes: big.NewInt(31 << 30)}, Pin{big.NewInt(31 << 30), 1, day(t, "2026-12-21"), 11},
			"2026-12 20.00 25.51 5.51, 5.51 USD"},
		// One GiB for 31 and 28 and 1 days, above the first tier.
		{"over three months", Standing{Bytes: big.NewInt(100 << 30)}, Pin{big.NewInt(1 << 30), 1, day(t, "2027-01-01"), 60},
			"2027-01 54.50 55.01 0.51, 2027-02 54.50 55.01 0.51, 2027-03 54.50 54.53 0.03, 1.05 USD"},
		{"of no size", Standing{}, Pin{new(big.Int), 1, day(t, "2026-12-31"), 1}, "2026-12 0.00 0.01 0.01, 0.01 USD"},
	} {
		e, err := Always(p).Estimate(tt.now, tt.pin)
		if err != nil {
			t.Errorf("%s: %v", tt.name, err)
			continue
		}
		var got strings.Builder
		for _, m := range e.Months {
			fmt.Fprintf(&got, "%s %s %s %s, ", m.Month, m.Without.Text(), m.With.Text(), m.Cost.Text())
		}
		if got.WriteString(e.Cost.String()); got.String() != tt.want {
			t.Errorf("%s: %s\nwant %s", tt.name, got.String(), tt.want)
		}
	}
}

// TestEstimateWithMinimum: what the minimum covers costs nothing.
func TestEstimateWithMinimum(t *testing.T) {
	p := parse(t, simple("USD", tieredPlan)+"minimum: {amount: \"8\"}\n")
	e, err := Always(p).Estimate(Standing{}, Pin{big.NewInt(10 << 30), 1, day(t, "2026-12-01"), 31})
	if err != nil || e.Cost.Sign() != 0 || e.Months[0].With.String() != "8.00 USD" {
		t.Errorf("%+v, %v", e, err)
	}
}

func TestEstimateRefuses(t *testing.T) {
	p := parse(t, simple("USD", tieredPlan))
	one := big.NewInt(1)
	good := Pin{one, 1, day(t, "2026-12-05"), 1}
	for want, tt := range map[string]struct {
		now Standing
		pin Pin
	}{
		"no pin of -1 bytes":    {pin: Pin{big.NewInt(-1), 1, 0, 1}},
		"no pin of <nil> bytes": {pin: Pin{nil, 1, 0, 1}},
		"and 0 copies":          {pin: Pin{one, 0, 0, 1}},
		"for 0 days":            {pin: Pin{one, 1, 0, 0}},
		"for 3661 days":         {pin: Pin{one, 1, 0, 3661}},
		"less than nothing":     {now: Standing{Pins: -1}, pin: good},
		"is not over when":      {now: Standing{Days: days(t, "2026-12-05", 1, one)}, pin: good},
		"is not in 2026-12":     {now: Standing{Days: days(t, "2026-11-30", 1, one)}, pin: good},
	} {
		if _, err := Always(p).Estimate(tt.now, tt.pin); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v, want %q", err, want)
		}
	}
	dollars, euros := version("1", "2026-12-01", "USD", "1"), version("2", "2027-01-01", "EUR", "1")
	s, err := book(t, dollars, euros).Schedule([]Assignment{{0, "standard", 0}})
	if err != nil {
		t.Fatal(err)
	}
	if _, err := s.Estimate(Standing{}, Pin{one, 1, day(t, "2026-12-05"), 60}); err == nil || !strings.Contains(err.Error(), "cost different things") {
		t.Error(err)
	}
}

// days are n days from one on with the same usage.
func days(t testing.TB, from string, n int, used *big.Int) []DayUsage {
	t.Helper()
	var out []DayUsage
	for i := range n {
		out = append(out, DayUsage{day(t, from) + Day(i), Quantities{Storage: used}})
	}
	return out
}

func TestAccrue(t *testing.T) {
	p := parse(t, simple("USD", tieredPlan, `{name: Fee, model: flat, price: "31"}`, `{name: Door, model: flat, price: "3", prorate: false}`)+"minimum: {amount: \"100\"}\n")
	got, err := Always(p).Accrue(december, days(t, "2026-12-01", 12, gib(31, 1)), december.First()+11)
	if err != nil {
		t.Fatal(err)
	}
	// A GiB-month each day: five are in the quota, the next ten cost 1 each. From the
	// first day on there is a fee of 3, and 1 for each day.
	want := []string{"4.00 4.00", "5.00 1.00", "6.00 1.00", "7.00 1.00", "8.00 1.00", "10.00 2.00", "12.00 2.00", "14.00 2.00", "16.00 2.00", "18.00 2.00", "20.00 2.00", "22.00 2.00"}
	if len(got) != len(want) {
		t.Fatalf("%d days", len(got))
	}
	for i, a := range got {
		if text := a.Total.Text() + " " + a.Added.Text(); text != want[i] || a.Day != december.First()+Day(i) {
			t.Errorf("%s: %s, want %s", a.Day, text, want[i])
		}
	}
	// Usage of later days does not matter, and there is none after the month.
	longer, err := Always(p).Accrue(december, days(t, "2026-12-01", 31, gib(31, 1)), december.First()+11)
	if err != nil || len(longer) != 12 || longer[11] != got[11] {
		t.Errorf("%v, %v", longer, err)
	}
	all, err := Always(p).Accrue(december, nil, december.end()+5)
	if err != nil || len(all) != 31 || all[30].Total.Text() != "34.00" {
		t.Errorf("%v, %v", all, err)
	}
	if _, err := Always(p).Accrue(december, days(t, "2026-11-30", 1, gib(1, 1)), december.end()); err == nil {
		t.Error("a day of November is in December")
	}
	if _, err := (Schedule{}).Accrue(december, nil, december.end()); err == nil {
		t.Error("there is no plan, and something accrues")
	}
}

func TestLimit(t *testing.T) {
	usd := func(text string) money.Amount {
		t.Helper()
		c, err := money.ByCode("USD")
		if err != nil {
			t.Fatal(err)
		}
		a, err := money.Parse(text, c)
		if err != nil {
			t.Fatal(err)
		}
		return a
	}
	l, err := NewLimit(usd("33.33"), 50, 80, 100, 120)
	if err != nil || l.Amount().String() != "33.33 USD" {
		t.Fatal(err)
	}
	// Half of 33.33 is 16.665, which 16.66 is below.
	for _, tt := range []struct{ before, after, want string }{
		{"0", "16.66", "[]"},
		{"0", "16.67", "[50]"},
		{"16.66", "16.67", "[50]"},
		{"16.67", "16.68", "[]"},
		{"0", "33.33", "[50 80 100]"},
		{"33.32", "33.33", "[100]"},
		{"33.33", "33.34", "[]"},
		{"20", "1000", "[80 100 120]"},
		{"1000", "0", "[]"},
		{"33.33", "33.33", "[]"},
	} {
		got, err := l.Crossed(usd(tt.before), usd(tt.after))
		if err != nil || fmt.Sprint(got) != tt.want {
			t.Errorf("from %s to %s: %v, %v; want %s", tt.before, tt.after, got, err, tt.want)
		}
	}
	for want, percents := range map[string][]int{
		"without thresholds": nil, "[0] are not": {0}, "[80 80] are not": {80, 80}, "[80 50] are not": {80, 50}, "[1001] are not": {1001}, "[-5] are not": {-5},
	} {
		if _, err := NewLimit(usd("1"), percents...); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%v: %v", percents, err)
		}
	}
	for _, text := range []string{"0", "-1"} {
		if _, err := NewLimit(usd(text), 100); err == nil {
			t.Errorf("%s is a limit", text)
		}
	}
	if _, err := l.Crossed(usd("0"), money.Amount{}); err == nil {
		t.Error("an amount of no currency was compared")
	}
}
