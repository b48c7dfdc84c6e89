package money

import (
	"fmt"
	"slices"
	"strings"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/nearest"
)

// The currencies of ISO 4217, by their digits: list one of the maintenance agency (SIX
// Financial Information), without the codes that have no minor unit, as metals and XDR,
// and without what has been withdrawn. ANG and BGN stay: old invoices have them.
const (
	noDigits = "BIF CLP DJF GNF ISK JPY KMF KRW PYG RWF UGX UYI VND VUV XAF XOF XPF"

	twoDigits = "AED AFN ALL AMD ANG AOA ARS AUD AWG AZN BAM BBD BDT BGN BMD BND BOB BOV BRL BSD BTN BWP BYN BZD " +
		"CAD CDF CHE CHF CHW CNY COP COU CRC CUP CVE CZK DKK DOP DZD EGP ERN ETB EUR FJD FKP GBP GEL GHS GIP GMD GTQ " +
		"GYD HKD HNL HTG HUF IDR ILS INR IRR JMD KES KGS KHR KPW KYD KZT LAK LBP LKR LRD LSL MAD MDL MGA MKD MMK MNT " +
		"MOP MRU MUR MVR MWK MXN MXV MYR MZN NAD NGN NIO NOK NPR NZD PAB PEN PGK PHP PKR PLN QAR RON RSD RUB SAR SBD " +
		"SCR SDG SEK SGD SHP SLE SOS SRD SSP STN SVC SYP SZL THB TJS TMT TOP TRY TTD TWD TZS UAH USD USN UYU UZS VED " +
		"VES WST XCD XCG YER ZAR ZMW ZWG"

	threeDigits = "BHD IQD JOD KWD LYD OMR TND"

	fourDigits = "CLF UYW"
)

// The tokens, by the decimals() of their contracts: Circle's USDC has 6 on Ethereum, Base,
// OP and Arbitrum, USDFC on Filecoin has 18. FIL itself has 18: the smallest unit is the
// attoFIL. Another token of the name of one of these may have others: payments are told
// apart by the addresses of contracts, never by a name.
const (
	sixDigits      = "USDC"
	eighteenDigits = "FIL USDFC"
)

// Currency is a currency or a token. The zero value is none.
type Currency struct {
	code   string
	digits int
}

// row has the codes of the currencies with so many digits.
type row struct {
	codes  string
	digits int
}

func table() []row {
	return []row{{noDigits, 0}, {twoDigits, 2}, {threeDigits, 3}, {fourDigits, 4}, {sixDigits, 6}, {eighteenDigits, 18}}
}

// ByCode returns the currency with a code, as "USD". The error says what was meant.
func ByCode(code string) (Currency, error) {
	var all []string
	for _, r := range table() {
		codes := strings.Fields(r.codes)
		if slices.Contains(codes, code) {
			return Currency{code, r.digits}, nil
		}
		all = append(all, codes...)
	}
	advice := "write a code of ISO 4217, as USD, or one of USDC, USDFC and FIL"
	if near := nearest.Names(strings.ToUpper(code), all); len(near) == 1 {
		advice = "did you mean " + near[0] + "?"
	}
	return Currency{}, fmt.Errorf("%.20q is not a currency: %s", code, advice)
}

// Currencies returns all currencies, by their codes.
func Currencies() []Currency {
	var all []Currency
	for _, r := range table() {
		for code := range strings.FieldsSeq(r.codes) {
			all = append(all, Currency{code, r.digits})
		}
	}
	slices.SortFunc(all, func(a, b Currency) int { return strings.Compare(a.code, b.code) })
	return all
}

// Code is its code in ISO 4217, or the name of the token.
func (c Currency) Code() string { return c.code }

// Digits is how many digits behind the point its smallest unit has.
func (c Currency) Digits() int { return c.digits }

// String is its code.
func (c Currency) String() string { return c.code }

// MarshalText returns its code.
func (c Currency) MarshalText() ([]byte, error) { return []byte(c.code), nil }

// UnmarshalText takes a code that ByCode knows.
func (c *Currency) UnmarshalText(text []byte) error {
	got, err := ByCode(string(text))
	if err != nil {
		return err
	}
	*c = got
	return nil
}
