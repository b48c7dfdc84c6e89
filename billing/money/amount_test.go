package money

import (
	"encoding/json"
	"errors"
	"math"
	"math/big"
	"strings"
	"testing"
)

func amount(t testing.TB, text string) Amount {
	t.Helper()
	number, code, _ := strings.Cut(text, " ")
	a, err := Parse(number, currency(t, code))
	if err != nil {
		t.Fatal(err)
	}
	return a
}

func TestParse(t *testing.T) {
	for text, want := range map[string]string{
		"5": "5", "5.00": "5", "0": "0", "-0": "0", "0.000": "0", "0.0200": "0.02", "-1.50": "-1.5", "1000": "1000", "007": "7",
		"0.000000000000000001":               "0.000000000000000001",
		strings.Repeat("9", 40):              strings.Repeat("9", 40),
		"0." + strings.Repeat("0", 29) + "1": "0." + strings.Repeat("0", 29) + "1",
	} {
		d, err := ParseDecimal(text)
		if err != nil || d.String() != want {
			t.Errorf("%s is %s, %v", text, d, err)
		}
	}
	for _, text := range []string{
		"", " 5", "5 ", "+5", "5.", ".5", "1e3", "1E3", "1,000", "1_000", "0x10", "NaN", "inf", "Infinity", "--1", "1.2.3", "5 USD", "٣", "−5", "1\n",
		strings.Repeat("9", 41), "0." + strings.Repeat("0", 30) + "1",
	} {
		if d, err := ParseDecimal(text); err == nil {
			t.Errorf("%q is %s", text, d)
		}
	}
}

func TestTexts(t *testing.T) {
	for text, want := range map[string]string{
		"5 USD": "5.00 USD", "0.1 USD": "0.10 USD", "0.00015 USD": "0.00015 USD", "5 JPY": "5 JPY", "0.5 JPY": "0.5 JPY",
		"-1.5 KWD": "-1.500 KWD", "1 USDC": "1.000000 USDC", "1 USDFC": "1.000000000000000000 USDFC", "1000 JPY": "1000 JPY",
	} {
		if got := amount(t, text).String(); got != want {
			t.Errorf("%s is written %s", text, got)
		}
	}
}

func TestMinor(t *testing.T) {
	for text, want := range map[string]string{
		"5.00 USD": "500", "0 USD": "0", "-0.01 USD": "-1", "1000 JPY": "1000", "0.001 KWD": "1", "1 USDC": "1000000",
		"123456789012.000000000000000001 USDFC": "123456789012000000000000000001",
	} {
		a := amount(t, text)
		n, err := a.Minor()
		if err != nil || n.String() != want {
			t.Errorf("%s is %v, %v", text, n, err)
		}
		back := FromMinor(n, a.Currency())
		if c, err := back.Cmp(a); c != 0 || err != nil || back.String() != a.String() {
			t.Errorf("%s came back as %s", a, back)
		}
	}
	for _, text := range []string{"0.001 USD", "0.5 JPY", "0.0001 KWD", "0.0000001 USDC", "0.0000000000000000001 FIL"} {
		if n, err := amount(t, text).Minor(); err == nil {
			t.Errorf("%s is %v of the smallest units", text, n)
		}
	}
}

// TestMinorInt64 is the edge of 63 bits.
func TestMinorInt64(t *testing.T) {
	usdfc := currency(t, "USDFC")
	most := big.NewInt(math.MaxInt64)
	if n, err := FromMinor(most, usdfc).MinorInt64(); n != math.MaxInt64 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	least := big.NewInt(math.MinInt64)
	if n, err := FromMinor(least, usdfc).MinorInt64(); n != math.MinInt64 || err != nil {
		t.Errorf("%d, %v", n, err)
	}
	for _, n := range []*big.Int{most.Add(most, big.NewInt(1)), least.Sub(least, big.NewInt(1))} {
		if got, err := FromMinor(n, usdfc).MinorInt64(); err == nil {
			t.Errorf("%v became %d", n, got)
		}
	}
	if _, err := amount(t, "0.001 USD").MinorInt64(); err == nil {
		t.Error("a tenth of a cent was taken")
	}
}

func TestArithmetic(t *testing.T) {
	usd := currency(t, "USD")
	sum, err := Sum(usd, amount(t, "0.10 USD"), amount(t, "0.20 USD"), amount(t, "-1 USD"))
	if err != nil || sum.String() != "-0.70 USD" || sum.Sign() != -1 {
		t.Errorf("%s, %v", sum, err)
	}
	big1 := amount(t, strings.Repeat("9", 40)+" USDFC")
	small := amount(t, "0.000000000000000001 USDFC")
	both, err := big1.Add(small)
	if err != nil || both.String() != strings.Repeat("9", 40)+".000000000000000001 USDFC" {
		t.Errorf("%s, %v", both, err)
	}
	if back, err := both.Sub(big1); err != nil || back.String() != small.String() {
		t.Errorf("%s, %v", back, err)
	}
	if big1.String() != strings.Repeat("9", 40)+".000000000000000000 USDFC" {
		t.Errorf("an operand was changed: %s", big1)
	}
	none, err := small.Sub(small)
	if err != nil || none.Sign() != 0 || none != Zero(small.Currency()) {
		t.Errorf("%#v, %v", none, err)
	}
}

func TestCurrenciesNeverMix(t *testing.T) {
	usd, eur := amount(t, "1 USD"), amount(t, "1 EUR")
	if _, err := usd.Add(eur); !errors.Is(err, ErrCurrencies) {
		t.Error(err)
	}
	if _, err := usd.Sub(Amount{}); !errors.Is(err, ErrCurrencies) {
		t.Error(err)
	}
	if _, err := usd.Cmp(eur); !errors.Is(err, ErrCurrencies) {
		t.Error(err)
	}
	if _, err := Sum(usd.Currency(), usd, eur); !errors.Is(err, ErrCurrencies) {
		t.Error(err)
	}
}

func TestJSON(t *testing.T) {
	text, err := json.Marshal(amount(t, "20.5 USD"))
	if err != nil || string(text) != `{"amount":"20.50","currency":"USD"}` {
		t.Errorf("%s, %v", text, err)
	}
	var a Amount
	if err := json.Unmarshal(text, &a); err != nil || a.String() != "20.50 USD" {
		t.Errorf("%s, %v", a, err)
	}
	for text, want := range map[string]string{
		`{"amount": 20.5, "currency": "USD"}`:             `20.5 is not a text: write it in quotes, as "5.00"`,
		`{"amount": 20, "currency": "USD"}`:               "20 is not a text",
		`{"amount": null, "currency": "USD"}`:             `"" is not a decimal`,
		`{"amount": "20", "currency": "US"}`:              `"US" is not a currency`,
		`{"amount": "2e1", "currency": "USD"}`:            "is not a decimal number",
		`{"amount": "20", "currency": "USD", "minor": 1}`: "unknown field",
		`{"currency": "USD"}`:                             "is not a text",
		`20.5`:                                            `an amount is {"amount": "5.00"`,
		`"20.5"`:                                          `an amount is {"amount": "5.00"`,
	} {
		if err := json.Unmarshal([]byte(text), &a); err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v, want %q", text, err, want)
		}
		if a.String() != "20.50 USD" {
			t.Errorf("%s was refused, and has changed the amount", text)
		}
	}
	if text, err := json.Marshal(Amount{}); err == nil {
		t.Errorf("no currency is %s", text)
	}
}
