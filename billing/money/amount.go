package money

import (
	"errors"
	"fmt"
	"math/big"

	"github.com/cockroachdb/apd/v3"
)

// ErrCurrencies says that amounts of different currencies have met.
var ErrCurrencies = errors.New("the currencies differ")

// Amount is so much of a currency. It may be finer than the smallest unit, as the price of
// one of many things is. The zero value is 0 of no currency.
type Amount struct {
	value    Decimal
	currency Currency
}

// Parse reads an amount as ParseDecimal reads a decimal.
func Parse(text string, c Currency) (Amount, error) {
	d, err := ParseDecimal(text)
	return Amount{d, c}, err
}

// New returns so much of a currency.
func New(d Decimal, c Currency) Amount { return Amount{d, c} }

// Zero is nothing of a currency.
func Zero(c Currency) Amount { return Amount{currency: c} }

// FromMinor returns n of the smallest units of a currency.
func FromMinor(n *big.Int, c Currency) Amount { return Amount{NewDecimal(n, c.digits), c} }

// Quotient returns num/den of a currency, rounded once to so many digits.
func Quotient(num, den *big.Int, c Currency, digits int, mode Mode) (Amount, error) {
	d, err := Divide(num, den, digits, mode)
	return Amount{d, c}, err
}

// Sum adds amounts of a currency.
func Sum(c Currency, amounts ...Amount) (Amount, error) {
	sum := Zero(c)
	for _, a := range amounts {
		var err error
		if sum, err = sum.Add(a); err != nil {
			return Amount{}, err
		}
	}
	return sum, nil
}

// Currency is what it is an amount of.
func (a Amount) Currency() Currency { return a.currency }

// Decimal is how much it is.
func (a Amount) Decimal() Decimal { return a.value }

// Sign is -1, 0 or 1.
func (a Amount) Sign() int { return a.value.Sign() }

// Add returns a and b together, exactly.
func (a Amount) Add(b Amount) (Amount, error) { return a.with(b, apd.BaseContext.Add) }

// Sub returns a without b, exactly.
func (a Amount) Sub(b Amount) (Amount, error) { return a.with(b, apd.BaseContext.Sub) }

// with does arithmetic without a limit of digits, which BaseContext has none of.
func (a Amount) with(b Amount, do func(to, x, y *apd.Decimal) (apd.Condition, error)) (Amount, error) {
	if err := a.same(b); err != nil {
		return Amount{}, err
	}
	var out apd.Decimal
	if _, err := do(&out, &a.value.value, &b.value.value); err != nil {
		return Amount{}, fmt.Errorf("with %s and %s: %w", a, b, err)
	}
	return Amount{reduced(&out), a.currency}, nil
}

func (a Amount) same(b Amount) error {
	if a.currency != b.currency {
		return fmt.Errorf("%w: %s and %s", ErrCurrencies, a, b)
	}
	return nil
}

// Cmp is -1 if a is less than b, 0 if they are equal, and 1 if it is more.
func (a Amount) Cmp(b Amount) (int, error) {
	if err := a.same(b); err != nil {
		return 0, err
	}
	return a.value.Cmp(b.value), nil
}

// Round returns it with at most so many digits behind the point.
func (a Amount) Round(digits int, mode Mode) (Amount, error) {
	scale := a.value.Scale()
	return Quotient(a.value.Scaled(scale), Pow10(scale), a.currency, digits, mode)
}

// Minor is how many of the smallest units of its currency it is. It is an error if that is
// no whole number: nothing is rounded here.
func (a Amount) Minor() (*big.Int, error) {
	if a.value.Scale() > a.currency.digits {
		return nil, fmt.Errorf("%s is no whole number of the smallest units of %s, which have %d digits", a, a.currency, a.currency.digits)
	}
	return a.value.Scaled(a.currency.digits), nil
}

// MinorInt64 is Minor for those who take no larger numbers, as Stripe. It is an error if
// it does not fit.
func (a Amount) MinorInt64() (int64, error) {
	n, err := a.Minor()
	if err != nil {
		return 0, err
	}
	if !n.IsInt64() {
		return 0, fmt.Errorf("%s has %v of the smallest units, which is more than 63 bits hold", a, n)
	}
	return n.Int64(), nil
}

// Text writes how much it is, with at least the digits of its currency.
func (a Amount) Text() string { return a.value.Fixed(a.currency.digits) }

// String writes it with its currency, as "5.00 USD".
func (a Amount) String() string { return a.Text() + " " + a.currency.code }
