package invoice

import (
	"bytes"
	"crypto/sha256"
	"encoding/hex"
	"encoding/json"
	"errors"
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/go-json-experiment/json/jsontext"
	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

func canonicalOf(tb testing.TB, d Document) []byte {
	tb.Helper()
	text, err := d.Canonical()
	if err != nil {
		tb.Fatal(err)
	}
	return text
}

func digestOf(tb testing.TB, d Document) string {
	tb.Helper()
	sum, err := d.Digest()
	if err != nil {
		tb.Fatal(err)
	}
	return sum
}

// A month that is made again of the same data has the same digest, and any other has another.
func TestDigest(t *testing.T) {
	draft := made(t, contents(t))
	again := made(t, contents(t))
	if digestOf(t, draft) != digestOf(t, again) || !bytes.Equal(canonicalOf(t, draft), canonicalOf(t, again)) {
		t.Error("the same data has two digests")
	}
	whole := issued(t, draft, "2026-000042")
	if sum, err := whole.DraftDigest(); err != nil || sum != digestOf(t, draft) {
		t.Errorf("the digest of the draft is %s, %v", sum, err)
	}
	if digestOf(t, whole) == digestOf(t, draft) {
		t.Error("the number is not in the digest")
	}
	// It does not matter whether there is an empty list or none, and how a number was written.
	c := contents(t)
	c.Notes, c.Lines[0].Quantity = []string{}, number(t, "5.00")
	other := contents(t)
	other.Notes = nil
	if digestOf(t, made(t, c)) != digestOf(t, made(t, other)) {
		t.Error("what is written in two ways has two digests")
	}
	text := canonicalOf(t, whole)
	value := jsontext.Value(bytes.Clone(text))
	if err := value.Canonicalize(); err != nil || !bytes.Equal(value, text) {
		t.Errorf("not canonical: %s", text)
	}
	sum := sha256.Sum256(text)
	if hex.EncodeToString(sum[:]) != digestOf(t, whole) {
		t.Error("the digest is not of the canonical JSON")
	}
}

// What somebody changes in a document that was kept is noticed, and what it was is read.
func TestVerify(t *testing.T) {
	whole := issued(t, made(t, contents(t)), "2026-000042")
	text, sum := canonicalOf(t, whole), digestOf(t, whole)
	read, err := Verify(text, sum)
	if err != nil || !bytes.Equal(canonicalOf(t, read), text) {
		t.Fatalf("%+v, %v", read, err)
	}
	var spaced bytes.Buffer
	if err := json.Indent(&spaced, text, "", "\t"); err != nil {
		t.Fatal(err)
	}
	if _, err := Verify(spaced.Bytes(), sum); err != nil {
		t.Error(err)
	}
	changed := bytes.Replace(text, []byte("Acme"), []byte("Ecma"), 1)
	if _, err := Verify(changed, sum); err == nil || !strings.Contains(err.Error(), "was changed") {
		t.Errorf("another buyer: %v", err)
	}
}

// What a document does not have, or has twice, is not read past.
func TestUnknownMembers(t *testing.T) {
	text := canonicalOf(t, made(t, contents(t)))
	for _, more := range []string{`"paid":true,`, `"owner":"else",`, `"Owner":"else",`, `"number":"",`} {
		changed := slices.Concat([]byte("{"), []byte(more), text[1:])
		if _, err := Parse(changed); (err == nil) != strings.Contains(more, "number") {
			t.Errorf("%s: %v", more, err)
		}
	}
	for _, not := range []string{"", "null", "{}", "[]", string(text) + "{}", strings.Repeat(" ", maxDocument) + string(text)} {
		if d, err := Parse([]byte(not)); err == nil {
			t.Errorf("%.20q was read as %+v", not, d)
		}
	}
}

// So are amounts that fit each other and not the rates.
func TestParseRefusesOtherTaxes(t *testing.T) {
	d := made(t, contents(t))
	d.Taxes = slices.Clone(d.Taxes)
	d.Taxes[0].Amount, d.Totals.Tax, d.Totals.Gross = amountOf(t, "5.39", d.Currency), amountOf(t, "5.39", d.Currency), amountOf(t, "33.72", d.Currency)
	if _, err := Parse(canonicalOf(t, d)); err == nil || !strings.Contains(err.Error(), "19% of 28.33 USD is 5.38 USD") {
		t.Error(err)
	}
}

// Each amount of a document depends on others: one that is changed alone is refused.
func TestParseRefusesOtherSums(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		d := someInvoice(t)
		text, err := d.Canonical()
		if err != nil {
			t.Fatal(err)
		}
		if read, err := Parse(text); err != nil {
			t.Fatal(err)
		} else if again, err := read.Canonical(); err != nil || !bytes.Equal(again, text) {
			t.Fatalf("%s\nbecame\n%s, %v", text, again, err)
		}
		amounts := []*money.Amount{&d.Totals.Net, &d.Totals.Tax, &d.Totals.Gross}
		d.Lines, d.Taxes = slices.Clone(d.Lines), slices.Clone(d.Taxes)
		for i := range d.Lines {
			amounts = append(amounts, &d.Lines[i].Amount)
		}
		for i := range d.Taxes {
			amounts = append(amounts, &d.Taxes[i].Base, &d.Taxes[i].Amount)
		}
		a := rapid.SampledFrom(amounts).Draw(t, "changed")
		changed, err := a.Add(money.FromMinor(one(), d.Currency))
		if err != nil {
			t.Fatal(err)
		}
		*a = changed
		if text, err = d.Canonical(); err != nil {
			t.Fatal(err)
		}
		if _, err := Parse(text); err == nil {
			t.Fatalf("accepted: %s", text)
		}
	})
}

// What a document must not be is refused, when it is made and when it is read.
func TestCheck(t *testing.T) {
	whole := func(t *testing.T) Document { return issued(t, made(t, contents(t)), "2026-000042") }
	note := func(t *testing.T) Document {
		n, err := Credit(whole(t), nil, amountOf(t, "10", currency(t, "USD")), "why")
		if err != nil {
			t.Fatal(err)
		}
		return issued(t, n, "C-1")
	}
	long := strings.Repeat("a", maxText+1)
	for want, change := range map[string]func(d *Document){
		"the format":                 func(d *Document) { d.Format = 2 },
		"a document is an invoice":   func(d *Document) { d.Kind = "receipt" },
		"names an invoice":           func(d *Document) { d.Kind = KindCreditNote },
		"the owner is empty":         func(d *Document) { d.Owner = " " },
		"the owner is not UTF-8":     func(d *Document) { d.Owner = "\xff" },
		"the owner has 2001 bytes":   func(d *Document) { d.Owner = long },
		"a period has no day":        func(d *Document) { d.Period.To = d.Period.From },
		"a period has a first day":   func(d *Document) { d.Period.From = 0 },
		"after the last":             func(d *Document) { d.Period.To = maxDate + 1 },
		"name of the seller is":      func(d *Document) { d.Seller.Name = "" },
		"address of the buyer is":    func(d *Document) { d.Buyer.Address = []string{""} },
		"11 lines of an address":     func(d *Document) { d.Buyer.Address = make([]string, 11) },
		"there is no currency":       func(d *Document) { d.Currency = money.Currency{} },
		"the document is in EUR":     func(d *Document) { d.Currency = currency(t, "EUR") },
		"no whole number of":         func(d *Document) { d.Lines[0].Amount = amountOf(t, "0.001", d.Currency) },
		"2001 lines":                 func(d *Document) { d.Lines = make([]Line, 2001) },
		"11 taxes":                   func(d *Document) { d.Taxes = make([]Tax, 11) },
		"21 notes":                   func(d *Document) { d.Notes = make([]string, 21) },
		"101 plans":                  func(d *Document) { d.Plans = make([]Plan, 101) },
		"the tax region is empty":    func(d *Document) { d.Region = "" },
		"the digest of the usage":    func(d *Document) { d.Usage = strings.ToUpper("ab" + sum1[2:]) },
		"the digest of a plan":       func(d *Document) { d.Plans[0].Digest = sum1[2:] },
		"has the version 0":          func(d *Document) { d.Plans[0].Version = 0 },
		"the series":                 func(d *Document) { d.Series = "a b" },
		"the number":                 func(d *Document) { d.Number = "-1" },
		"has the day on which":       func(d *Document) { d.Issued = 0 },
		"is due on":                  func(d *Document) { d.Due = d.Issued - 1 },
		"without a number has":       func(d *Document) { d.Number = "" },
		"line 2: it is at place 1":   func(d *Document) { d.Lines[0].Line = 2 },
		"the kind is empty":          func(d *Document) { d.Lines[0].Kind = "" },
		"is not a fraction":          func(d *Document) { d.Lines[0].Exact = "2/4" },
		`"1e9" is not a fraction`:    func(d *Document) { d.Lines[0].Exact = "1e9" },
		"the description is empty":   func(d *Document) { d.Lines[0].Description = "" },
		"without a unit":             func(d *Document) { d.Lines[0].Unit = "" },
		"the unit price is 0.02 EUR": func(d *Document) { d.Lines[1].UnitPrice = amountOf(t, "0.02", currency(t, "EUR")) },
		"without its measure":        func(d *Document) { d.Lines[0].Measure = "" },
		"a measure is":               func(d *Document) { d.Lines[0].Measure = "ms" },
		"19% of 28.33 USD is":        func(d *Document) { d.Taxes[0].Amount = amountOf(t, "5.37", d.Currency) },
		"a rate of 101%":             func(d *Document) { d.Taxes[0].Percent = number(t, "101") },
		"there is no rounding":       func(d *Document) { d.Taxes[0].Rounding = "up_and_down" },
		"a treatment is":             func(d *Document) { d.Taxes[0].Treatment = "none" },
		"there is a note":            func(d *Document) { d.Taxes[0].Treatment = Exempt },
		"have tax ids":               func(d *Document) { d.Taxes[0].Treatment, d.Buyer.TaxID = ReverseCharge, "" },
		"the total gross":            func(d *Document) { d.Totals.Gross = amountOf(t, "33.70", d.Currency) },
	} {
		d := whole(t)
		change(&d)
		if err := d.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
		if text, err := d.Canonical(); err == nil {
			if _, err := Parse(text); err == nil {
				t.Errorf("%q was read", want)
			}
		}
	}
	for want, change := range map[string]func(d *Document){
		"a credit note is not due": func(d *Document) { d.Due = d.Issued },
		"the reason is empty":      func(d *Document) { d.Credits.Reason = "" },
		"digest of the invoice":    func(d *Document) { d.Credits.Digest = "" },
		"number of the invoice":    func(d *Document) { d.Credits.Number = "" },
		"it is at place 2":         func(d *Document) { d.Lines[1].Line = d.Lines[0].Line },
		"names an invoice":         func(d *Document) { d.Credits = nil },
	} {
		d := note(t)
		change(&d)
		if err := d.Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
	}
}

func TestIssue(t *testing.T) {
	draft := made(t, contents(t))
	if !draft.Draft() || draft.Totals.Gross.Text() != "33.71" {
		t.Errorf("%+v", draft)
	}
	day := date(t, "2026-12-01")
	whole, err := draft.Issue("2026", "2026-000042", day, day)
	if err != nil || whole.Draft() || !draft.Draft() {
		t.Fatalf("%+v, %v", whole, err)
	}
	if _, err := whole.Issue("2026", "2026-000043", day, day); !errors.Is(err, ErrIssued) {
		t.Errorf("issued twice: %v", err)
	}
	if _, err := draft.Issue("2026", "", day, day); err == nil {
		t.Error("issued without a number")
	}
	c := contents(t)
	c.Lines = c.Lines[4:]
	negative := made(t, c)
	if _, err := negative.Issue("2026", "2026-000044", day, day); !errors.Is(err, ErrNegative) {
		t.Errorf("an invoice that pays the buyer: %v", err)
	}
}

// What the caller does with its lists afterwards changes no document.
func TestNewKeepsNothing(t *testing.T) {
	c := contents(t)
	d := made(t, c)
	before := digestOf(t, d)
	c.Lines[0].Description, c.Notes[0], c.Plans[0].Name, c.Buyer.Address[0] = "x", "x", "x", "x"
	if digestOf(t, d) != before {
		t.Error("the document has changed")
	}
}

func TestCreditRefuses(t *testing.T) {
	whole := issued(t, made(t, contents(t)), "2026-000042")
	usd := whole.Currency
	ten := amountOf(t, "10", usd)
	note, err := Credit(whole, nil, ten, "why")
	if err != nil {
		t.Fatal(err)
	}
	noted := issued(t, note, "C-1")
	other := contents(t)
	other.Owner = "else"
	for what, credit := range map[string]func() (Document, error){
		"a draft":            func() (Document, error) { return Credit(made(t, contents(t)), nil, ten, "why") },
		"a credit note":      func() (Document, error) { return Credit(noted, nil, ten, "why") },
		"no reason":          func() (Document, error) { return Credit(whole, nil, ten, "") },
		"nothing":            func() (Document, error) { return Credit(whole, nil, amountOf(t, "0", usd), "why") },
		"less than nothing":  func() (Document, error) { return Credit(whole, nil, amountOf(t, "-1", usd), "why") },
		"a tenth of a cent":  func() (Document, error) { return Credit(whole, nil, amountOf(t, "0.001", usd), "why") },
		"euros":              func() (Document, error) { return Credit(whole, nil, amountOf(t, "1", currency(t, "EUR")), "why") },
		"a draft as earlier": func() (Document, error) { return Credit(whole, []Document{note}, ten, "why") },
		"one note twice":     func() (Document, error) { return Credit(whole, []Document{noted, noted}, ten, "why") },
		"another's note": func() (Document, error) {
			return Credit(issued(t, made(t, other), "2026-000042"), []Document{noted}, ten, "why")
		},
	} {
		if d, err := credit(); err == nil {
			t.Errorf("%s: %+v", what, d)
		}
	}
	if _, err := Credit(whole, []Document{noted}, amountOf(t, "23.72", usd), "why"); !errors.Is(err, ErrTooMuch) {
		t.Errorf("a cent too much: %v", err)
	}
}

func TestRegions(t *testing.T) {
	rate := Rate{"VAT", number(t, "19")}
	good := Regions{{Name: "DE", Rates: []Rate{rate}}, {Name: "US"}, {Name: "FR", Treatment: ReverseCharge, Note: "n"}, {Name: "UN", Treatment: Exempt, Note: "n", Rounding: money.Down}}
	if err := good.Check(); err != nil {
		t.Error(err)
	}
	if r, err := good.Of("FR"); err != nil || r.Treatment != ReverseCharge {
		t.Errorf("%+v, %v", r, err)
	}
	if r, err := good.Of("XX"); err == nil {
		t.Errorf("a region that is not there: %+v", r)
	}
	for want, r := range map[string]Region{
		"the name is empty":            {},
		"a treatment is":               {Name: "x", Treatment: "free"},
		"a rounding is":                {Name: "x", Rounding: "none"},
		"has a note":                   {Name: "x", Treatment: Exempt},
		"has no rates":                 {Name: "x", Treatment: Exempt, Note: "n", Rates: []Rate{rate}},
		`the rate "VAT" is there`:      {Name: "x", Rates: []Rate{rate, rate}},
		"a rate of -1%":                {Name: "x", Rates: []Rate{{"VAT", number(t, "-1")}}},
		"a rate of 100.1%":             {Name: "x", Rates: []Rate{{"VAT", number(t, "100.1")}}},
		"the name of a rate is":        {Name: "x", Rates: []Rate{{"", number(t, "1")}}},
		`tax region "DE" is there twi`: good[0],
	} {
		if err := (append(slices.Clone(good), r)).Check(); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("want %q: %v", want, err)
		}
		if r.Name == "x" {
			c := contents(t)
			c.Region = r
			if _, err := New(c); err == nil {
				t.Errorf("an invoice with %+v", r)
			}
		}
	}
}

// Several taxes are each on the sum of the lines.
func TestTaxes(t *testing.T) {
	c := contents(t)
	c.Region = Region{Name: "CA-QC", Rates: []Rate{{"GST", number(t, "5")}, {"QST", number(t, "9.975")}}}
	d := made(t, c)
	if got := fmt.Sprint(d.Taxes[0].Amount, d.Taxes[1].Amount, d.Totals.Gross); got != "1.42 USD 2.83 USD 32.58 USD" {
		t.Error(got)
	}
}

func TestDate(t *testing.T) {
	for _, text := range []string{"1970-01-02", "2000-02-29", "2026-11-30", "9999-12-31"} {
		if d := date(t, text); d.String() != text || DateOf(d.time()) != d {
			t.Errorf("%s is %s", text, d)
		}
	}
	if d := date(t, "2026-11-30"); int64(d) != 20787 || DateOf(d.time().Add(secondsADay*1e9-1)) != d || DateOf(d.time().Add(-1)) != d-1 {
		t.Errorf("2026-11-30 is day %d", int64(d))
	}
	for _, text := range []string{"", "1970-01-01", "1969-12-31", "2026-02-29", "2026-1-1", "10000-01-01", "2026-11-30T00:00:00Z"} {
		var d Date
		if err := d.UnmarshalText([]byte(text)); err == nil {
			t.Errorf("%q is %s", text, d)
		}
	}
}
