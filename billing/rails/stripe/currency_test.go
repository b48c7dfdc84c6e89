package stripe

import (
	"math/big"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

func TestUnits(t *testing.T) {
	for _, tt := range []struct {
		code        string
		digits      int
		amount      int64
		units       int64
		refused     bool
		andBackwith int
	}{
		{"USD", 2, 1999, 1999, false, 2},
		{"EUR", 2, -5, -5, false, 2},
		{"JPY", 0, 500, 500, false, 0},
		{"KRW", 0, 1, 1, false, 0},
		{"KWD", 3, 5120, 5120, false, 3},
		{"KWD", 3, 5124, 0, true, 3},
		{"BHD", 3, -10, -10, false, 3},
		{"TND", 3, 1, 0, true, 3},
		{"ISK", 0, 5, 500, false, 0},
		{"MGA", 2, 500, 5, false, 2},
		{"MGA", 2, 501, 0, true, 2},
		{"HUF", 2, 1045, 1045, false, 2},
		{"TWD", 2, 80045, 80045, false, 2},
	} {
		currency := rails.Currency{Code: tt.code, Digits: tt.digits}
		if err := checkCurrency(currency); err != nil {
			t.Errorf("%s: %v", tt.code, err)
		}
		got, err := units(currency, big.NewInt(tt.amount))
		if (err != nil) != tt.refused || got != tt.units {
			t.Errorf("%d %s: %d, %v, want %d", tt.amount, tt.code, got, err, tt.units)
		}
		if tt.refused {
			refused(t, err, "finer than Stripe takes")
			continue
		}
		back, amount := amountOf(lower(tt.code), tt.units)
		if back != currency || amount.Int64() != tt.amount {
			t.Errorf("%d units of %s are %v %v, want %d", tt.units, tt.code, amount, back, tt.amount)
		}
	}
}

func lower(code string) string {
	out := []byte(code)
	for i := range out {
		out[i] += 'a' - 'A'
	}
	return string(out)
}

// TestAllCurrencies shows that each one that is taken goes to Stripe and back.
func TestAllCurrencies(t *testing.T) {
	for i := 0; i+3 <= len(taken); i += 4 {
		code := taken[i : i+3]
		ours, _ := digits(code)
		currency := rails.Currency{Code: code, Digits: ours}
		if err := checkCurrency(currency); err != nil {
			t.Errorf("%s: %v", code, err)
		}
		n, err := units(currency, big.NewInt(123_400))
		if err != nil {
			t.Errorf("%s: %v", code, err)
		}
		if back, amount := amountOf(lower(code), n); back != currency || amount.Int64() != 123_400 {
			t.Errorf("%s: %v %v comes back", code, amount, back)
		}
	}
	for _, c := range []rails.Currency{{Code: "USDC", Digits: 6}, {Code: "FIL", Digits: 18}, {Code: "UGX"}, {Code: "usd", Digits: 2}, {Code: "D A", Digits: 2}, {}} {
		refused(t, checkCurrency(c), "Stripe does not take")
	}
	for _, c := range []rails.Currency{{Code: "USD"}, {Code: "JPY", Digits: 2}, {Code: "KWD", Digits: 2}, {Code: "ISK", Digits: 2}, {Code: "MGA"}} {
		refused(t, checkCurrency(c), "digits, not")
	}
}

// TestBounds shows that nothing overflows on its way to Stripe's 64 bits.
func TestBounds(t *testing.T) {
	most := new(big.Int).SetInt64(1<<63 - 1)
	if n, err := units(usd, most); err != nil || n != 1<<63-1 {
		t.Errorf("%d, %v", n, err)
	}
	_, err := units(usd, new(big.Int).Add(most, big.NewInt(1)))
	refused(t, err, "more than Stripe takes")
	_, err = units(rails.Currency{Code: "ISK"}, most)
	refused(t, err, "more than Stripe takes")
}

// TestPartsOfISK shows an amount that ours has no digits for: it is in Stripe's.
func TestPartsOfISK(t *testing.T) {
	if c, amount := amountOf("isk", 550); c != (rails.Currency{Code: "ISK", Digits: 2}) || amount.Int64() != 550 {
		t.Errorf("%v %v", amount, c)
	}
}
