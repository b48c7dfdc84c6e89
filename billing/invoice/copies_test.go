package invoice

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// copies are the copies of golden files, by their names.
func copies(tb testing.TB) map[string]Copy {
	tb.Helper()
	whole := issued(tb, made(tb, contents(tb)), "2026-000042")
	note, err := Credit(whole, nil, amountOf(tb, "10.00", whole.Currency), "outage of 3 November")
	if err != nil {
		tb.Fatal(err)
	}
	note = issued(tb, note, "C2026-000007")
	standing, err := Begin(whole).Open()
	if err != nil {
		tb.Fatal(err)
	}
	if standing, err = standing.Credit(note.Totals.Gross); err != nil {
		tb.Fatal(err)
	}
	if standing, err = standing.Pay(amountOf(tb, "12.5", whole.Currency)); err != nil {
		tb.Fatal(err)
	}

	yen := contents(tb)
	yen.Currency = currency(tb, "JPY")
	yen.Buyer = Party{Name: "Yamada & Sons", Address: []string{"1-2-3 Marunouchi", "Tokyo"}}
	yen.Region = Region{Name: "JP", Rates: []Rate{{"Consumption tax", number(tb, "10")}}, Rounding: money.Down, Note: "Registration number T1234567890123"}
	yen.Lines = []Line{{Kind: "usage", Meter: "storage", Description: "Storage", Period: yen.Period, Quantity: number(tb, "1536.000001"), Unit: "GiB-month", UnitPrice: amountOf(tb, "3.5", yen.Currency), Measured: exactly(tb, "1536.000001"), Measure: ByteMS, Amount: amountOf(tb, "5376", yen.Currency)},
		{Kind: "minimum", Description: "Minimum of the plan", Period: yen.Period, Amount: amountOf(tb, "4623", yen.Currency)}}

	dinar := contents(tb)
	dinar.Currency = currency(tb, "KWD")
	dinar.Buyer.Name, dinar.Buyer.Address = `=HYPERLINK("https://evil.example","<b>Gulf</b> & "&A1)`, []string{"مدينة الكويت", "line\x00 two"}
	dinar.Region = Region{Name: "KW", Treatment: ReverseCharge, Note: "Reverse charge: the buyer owes the tax."}
	dinar.Lines = []Line{{Kind: "usage", Meter: "storage", Description: "Storage", Period: dinar.Period, Quantity: number(tb, "0.000013"), Exact: "1/80000", Unit: "TiB-month", UnitPrice: amountOf(tb, "1.2345", dinar.Currency), Measured: exactly(tb, "0.0128"), Measure: ByteMS, Amount: amountOf(tb, "1234567.891", dinar.Currency)}}

	token := contents(tb)
	token.Currency = currency(tb, "USDFC")
	token.Lines = []Line{{Kind: "usage", Meter: "storage", Description: "Storage", Period: token.Period, Quantity: number(tb, "98765.4321"), Unit: "GiB-month", UnitPrice: amountOf(tb, "0.012345678901234567", token.Currency), Measured: exactly(tb, "98765.4321"), Measure: ByteMS, Amount: amountOf(tb, "1219.326311126352079853", token.Currency)}}

	draft := contents(tb)
	draft.Lines, draft.Plans, draft.Notes = nil, nil, nil
	draft.Region = Region{Name: "nowhere"}
	return map[string]Copy{
		"usd": {
			Document: whole, Standing: standing, CreditNotes: []Reference{{note.Number, note.Issued, note.Totals.Gross}}, Explanations: []Explanation{storage(tb, whole)},
			Links: []Link{{"By card", "https://pay.example.org/i/2026-000042?a=1&b=2"}, {"USDC on Base", "ethereum:0x833589fcd6edb6e08f4c7c32d4f71b54bda02913@8453/transfer?address=0x52908400098527886E0F7030069857D2E4169EE7&uint256=12340042"}},
		},
		"usd-credit-note": {Document: note},
		"jpy":             {Document: issued(tb, made(tb, yen), "2026-000043")},
		"kwd":             {Document: issued(tb, made(tb, dinar), "2026-000044")},
		"usdfc":           {Document: issued(tb, made(tb, token), "2026-000045")},
		"draft":           {Document: made(tb, draft), Standing: Begin(made(tb, draft))},
	}
}
