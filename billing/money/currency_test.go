package money

import (
	"encoding/json"
	"strings"
	"testing"
)

func TestCurrencies(t *testing.T) {
	for code, digits := range map[string]int{
		"USD": 2, "EUR": 2, "JPY": 0, "KRW": 0, "ISK": 0, "UGX": 0, "KWD": 3, "TND": 3, "CLF": 4, "UYW": 4,
		"USDC": 6, "USDFC": 18, "FIL": 18,
	} {
		if c := currency(t, code); c.Code() != code || c.Digits() != digits || c.String() != code {
			t.Errorf("%s has %d digits, want %d", c, c.Digits(), digits)
		}
	}
	all := Currencies()
	if len(all) != 169 {
		t.Errorf("%d currencies: the table has changed", len(all))
	}
	seen := map[string]bool{}
	for _, c := range all {
		if seen[c.code] || strings.ToUpper(c.code) != c.code || len(c.code) < 3 {
			t.Errorf("%s is in the table twice, or is no code", c)
		}
		seen[c.code] = true
	}
	// Metals, accounts and tests have no smallest unit.
	for _, code := range []string{"XAU", "XDR", "XXX", "XTS", "", "usd", "BTC"} {
		if c, err := ByCode(code); err == nil {
			t.Errorf("%q is %v", code, c)
		}
	}
	if _, err := ByCode("usdd"); err == nil || !strings.Contains(err.Error(), `"usdd" is not a currency`) {
		t.Error(err)
	}
	if _, err := ByCode("KWDD"); err == nil || !strings.Contains(err.Error(), "did you mean KWD?") {
		t.Error(err)
	}
}

func TestCurrencyAsText(t *testing.T) {
	var got struct{ C Currency }
	if err := json.Unmarshal([]byte(`{"C": "KWD"}`), &got); err != nil || got.C != currency(t, "KWD") {
		t.Errorf("%v, %v", got.C, err)
	}
	if text, err := json.Marshal(got); err != nil || string(text) != `{"C":"KWD"}` {
		t.Errorf("%s, %v", text, err)
	}
	if err := json.Unmarshal([]byte(`{"C": "KWT"}`), &got); err == nil {
		t.Error("KWT is a currency")
	}
}

func currency(t testing.TB, code string) Currency {
	t.Helper()
	c, err := ByCode(code)
	if err != nil {
		t.Fatal(err)
	}
	return c
}
