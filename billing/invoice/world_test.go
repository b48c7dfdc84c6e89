package invoice

import (
	"math/big"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

func currency(tb testing.TB, code string) money.Currency {
	tb.Helper()
	c, err := money.ByCode(code)
	if err != nil {
		tb.Fatal(err)
	}
	return c
}

func amountOf(tb testing.TB, text string, c money.Currency) money.Amount {
	tb.Helper()
	a, err := money.Parse(text, c)
	if err != nil {
		tb.Fatal(err)
	}
	return a
}

func number(tb testing.TB, text string) Decimal {
	tb.Helper()
	d, err := ParseDecimal(text)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func date(tb testing.TB, text string) Date {
	tb.Helper()
	var d Date
	if err := d.UnmarshalText([]byte(text)); err != nil {
		tb.Fatal(err)
	}
	return d
}

func november(tb testing.TB) Period {
	return Period{date(tb, "2026-11-01"), date(tb, "2026-12-01")}
}

// exactly returns GiB-months of a month of 30 days in byte·ms.
func exactly(tb testing.TB, months string) Decimal {
	n := number(tb, months)
	byMonth := new(big.Int).Mul(ByteMS.dayOf(), big.NewInt(30))
	return Decimal{money.NewDecimal(byMonth.Mul(byMonth, n.units()), n.Scale())}
}

const (
	sum1 = "1111111111111111111111111111111111111111111111111111111111111111"
	sum2 = "2222222222222222222222222222222222222222222222222222222222222222"
)

// contents are those of an invoice with tiers, a package, a correction and a minimum.
func contents(tb testing.TB) Contents {
	tb.Helper()
	usd, month := currency(tb, "USD"), november(tb)
	third := date(tb, "2026-10-03")
	line := func(kind, description, from, to, quantity, price, amount string) Line {
		return Line{
			Kind: kind, Description: description, Meter: "storage", Period: month, TierFrom: from, TierTo: to, Quantity: number(tb, quantity), Exact: number(tb, quantity).over(one()).RatString(), Unit: "GiB-month",
			UnitPrice: amountOf(tb, price, usd), Measured: exactly(tb, "1535.125"), Measure: ByteMS, Amount: amountOf(tb, amount, usd),
		}
	}
	return Contents{
		Owner: "acme", Period: month, Currency: usd,
		Seller: Party{Name: "Pinning Ltd", Address: []string{"1 Harbour Street", "Dublin 2", "Ireland"}, TaxID: "IE1234567T", Contact: "billing@pins.example.org"},
		Buyer:  Party{Name: "Acme Großhandel GmbH", Address: []string{"Hauptstraße 5", "10115 Berlin", "Germany"}, TaxID: "DE999999999"},
		Lines: []Line{
			line("included", "Storage, included", "", "", "5", "0", "0.00"),
			line("usage", "Storage, up to 1024 GiB-month", "5", "1024", "1019", "0.02", "20.38"),
			line("usage", "Storage, above 1024 GiB-month", "1024", "inf", "511.125", "0.015", "7.67"),
			{Kind: "package", Description: "Pins, each 1000", Meter: "pins", Period: month, Quantity: number(tb, "3"), Exact: "3", Unit: "kpin-month", UnitPrice: amountOf(tb, "0.10", usd), Measured: number(tb, "6739200000000"), Measure: PinMS, Amount: amountOf(tb, "0.30", usd)},
			{Kind: "correction", Description: "Correction for 2026-10-03", Meter: "storage", Period: Period{third, third + 1}, Quantity: number(tb, "-1.234568"), Exact: "-100/81", Unit: "GiB-month", UnitPrice: amountOf(tb, "0.02", usd), Amount: amountOf(tb, "-0.02", usd)},
		},
		Region: Region{Name: "DE", Rates: []Rate{{"VAT", number(tb, "19")}}},
		Plans:  []Plan{{Name: "standard", Version: 3, Digest: sum1, Period: month}},
		Usage:  sum2,
		Notes:  []string{"Bank: IE29 AIBK 9311 5212 3456 78"},
	}
}

func made(tb testing.TB, c Contents) Document {
	tb.Helper()
	d, err := New(c)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

func issued(tb testing.TB, d Document, number string) Document {
	tb.Helper()
	var due Date
	if d.Kind == KindInvoice {
		due = date(tb, "2026-12-15")
	}
	d, err := d.Issue("2026", number, date(tb, "2026-12-01"), due)
	if err != nil {
		tb.Fatal(err)
	}
	return d
}

// storage explains the tiers of contents.
func storage(tb testing.TB, d Document) Explanation {
	tb.Helper()
	var days []Day
	for day := d.Period.From; day < d.Period.To; day++ {
		// From 1,506.125 GiB on, two more each day.
		level := new(big.Int).Lsh(big.NewInt(12_049+16*int64(day-d.Period.From)), 27)
		days = append(days, Day{
			Date: day, Quantity: Whole(new(big.Int).Mul(level, big.NewInt(secondsADay*1000))), Closing: Whole(level),
			Peak: Whole(new(big.Int).Add(level, big.NewInt(1<<29))),
		})
	}
	pin := func(id, name string, gib int64, from, to string) Pin {
		begin, err := time.Parse(time.RFC3339, from)
		end, err2 := time.Parse(time.RFC3339, to)
		if err != nil || err2 != nil {
			tb.Fatal(err, err2)
		}
		bytes := new(big.Int).Lsh(big.NewInt(gib), 30)
		return Pin{
			RequestID: id, CID: "bafybeigdyrzt5sfp7udm7hu76uh7y26nf3efuylqabf3oclgtqy55fbzdi", Name: name, From: begin, To: end, Level: Whole(bytes),
			Quantity: Whole(new(big.Int).Mul(bytes, big.NewInt(end.Sub(begin).Milliseconds()))),
		}
	}
	e, err := Explain(d, []int{1, 2, 3}, days, []Pin{
		pin("r-1", "annual-report-2025.pdf", 700, "2026-11-01T00:00:00Z", "2026-12-01T00:00:00Z"),
		pin("r-2", "press photos, spring", 300, "2026-11-01T00:00:00Z", "2026-11-20T12:00:00.25Z"),
		pin("r-3", "", 2, "2026-11-02T08:30:00Z", "2026-12-01T00:00:00Z"),
	}, 1240)
	if err != nil {
		tb.Fatal(err)
	}
	return e
}
