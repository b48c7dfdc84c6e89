package stripe

import (
	"math/big"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/rails"
)

// taken are the currencies that Stripe takes. UGX is not among them: Stripe's
// documentation counts it as one without digits, and elsewhere as one with two.
const taken = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BHD BIF BMD BND BOB BRL BSD BWP BYN BZD CAD CDF CHF CLP CNY COP CRC CVE CZK " +
	"DJF DKK DOP DZD EGP ETB EUR FJD FKP GBP GEL GIP GMD GNF GTQ GYD HKD HNL HTG HUF IDR ILS INR ISK JMD JOD JPY KES KGS KHR KMF KRW KWD KYD KZT LAK " +
	"LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT MOP MUR MVR MWK MXN MYR MZN NAD NGN NIO NOK NPR NZD OMR PAB PEN PGK PHP PKR PLN PYG QAR RON RSD RWF SAR " +
	"SBD SCR SEK SGD SHP SLE SOS SRD STD SZL THB TJS TND TOP TRY TTD TWD TZS UAH USD UYU UZS VND VUV WST XAF XCD XCG XOF XPF YER ZAR ZMW"

// digits returns how many digits the amounts of a currency have: in ISO 4217, which we go
// by, and at Stripe.
func digits(code string) (ours, stripes int) {
	switch code {
	case "BIF", "CLP", "DJF", "GNF", "JPY", "KMF", "KRW", "PYG", "RWF", "VND", "VUV", "XAF", "XOF", "XPF":
		return 0, 0
	case "BHD", "JOD", "KWD", "OMR", "TND":
		return 3, 3
	case "MGA":
		return 2, 0
	case "ISK":
		return 0, 2
	}
	return 2, 2
}

// checkCurrency returns a Refusal for a currency that Stripe does not take.
func checkCurrency(c rails.Currency) error {
	ours, _ := digits(c.Code)
	switch {
	case len(c.Code) != 3 || !strings.Contains(" "+taken+" ", " "+c.Code+" "):
		return rails.Refuse("Stripe does not take %q", c.Code)
	case c.Digits != ours:
		return rails.Refuse("%s has %d digits, not %d", c.Code, ours, c.Digits)
	}
	return nil
}

// units returns an amount as Stripe writes it. The error is a Refusal.
func units(c rails.Currency, amount *big.Int) (int64, error) {
	ours, stripes := digits(c.Code)
	out, rest := new(big.Int).Set(amount), new(big.Int)
	if stripes > ours {
		out.Mul(out, power(stripes-ours))
	} else {
		out.QuoRem(out, power(ours-stripes), rest)
	}
	// The banks behind Stripe do not know the third digit.
	if stripes == 3 {
		rest.Rem(out, big.NewInt(10))
	}
	switch {
	case rest.Sign() != 0:
		return 0, rails.Refuse("%v of the smallest unit of %s is finer than Stripe takes", amount, c.Code)
	case !out.IsInt64():
		return 0, rails.Refuse("%v of the smallest unit of %s is more than Stripe takes", amount, c.Code)
	}
	return out.Int64(), nil
}

// amountOf is the reverse of units, for a code in small letters. If ours has not enough
// digits it is in a currency with Stripe's.
func amountOf(code string, units int64) (rails.Currency, *big.Int) {
	code = strings.ToUpper(code)
	ours, stripes := digits(code)
	amount := big.NewInt(units)
	if ours >= stripes {
		return rails.Currency{Code: code, Digits: ours}, amount.Mul(amount, power(ours-stripes))
	}
	whole, rest := new(big.Int).QuoRem(amount, power(stripes-ours), new(big.Int))
	if rest.Sign() != 0 {
		return rails.Currency{Code: code, Digits: stripes}, amount
	}
	return rails.Currency{Code: code, Digits: ours}, whole
}

func power(digits int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(digits)), nil)
}
