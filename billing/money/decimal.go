package money

import (
	"fmt"
	"math/big"
	"regexp"
	"strings"

	"github.com/cockroachdb/apd/v3"
)

// The bounds of a decimal that is read from a text: more than any price or quantity has,
// and little enough that arithmetic takes no time.
const (
	maxWhole    = 40
	maxFraction = 30
)

// grammar is how a decimal is written: no exponent, no separators of thousands, no sign
// but a minus, and a digit on both sides of a point.
var grammar = regexp.MustCompile(`^-?([0-9]+)(?:\.([0-9]+))?$`)

// Decimal is an exact decimal number. The zero value is 0.
type Decimal struct {
	value apd.Decimal // without zeros at its end
}

// ParseDecimal reads a decimal, as "1024" or "-0.05".
func ParseDecimal(text string) (Decimal, error) {
	m := grammar.FindStringSubmatch(text)
	if m == nil {
		return Decimal{}, fmt.Errorf(`%.50q is not a decimal number: write it as "0.05", with no exponent and no separators`, text)
	}
	if whole, fraction := len(m[1]), len(m[2]); whole > maxWhole || fraction > maxFraction {
		return Decimal{}, fmt.Errorf("%.50q has too many digits: at most %d before the point, and %d behind it", text, maxWhole, maxFraction)
	}
	value, _, err := apd.NewFromString(text)
	if err != nil {
		return Decimal{}, fmt.Errorf("reading %q: %w", text, err)
	}
	return reduced(value), nil
}

// NewDecimal returns n divided by ten to the power of scale.
func NewDecimal(n *big.Int, scale int) Decimal {
	return reduced(apd.NewWithBigInt(new(apd.BigInt).SetMathBigInt(n), int32(-scale))) //nolint:gosec // tens of digits
}

// reduced returns a decimal without zeros at its end, so that equal ones look the same.
func reduced(value *apd.Decimal) Decimal {
	var d Decimal
	d.value.Reduce(value)
	if d.value.IsZero() {
		d.value = apd.Decimal{}
	}
	return d
}

// Scale is how many digits it has behind the point.
func (d Decimal) Scale() int { return max(0, -int(d.value.Exponent)) }

// Sign is -1, 0 or 1.
func (d Decimal) Sign() int { return d.value.Sign() }

// Cmp is -1 if d is less than e, 0 if they are equal, and 1 if it is more.
func (d Decimal) Cmp(e Decimal) int { return d.value.Cmp(&e.value) }

// Scaled returns d times ten to the power of scale, which must be d.Scale() at least.
func (d Decimal) Scaled(scale int) *big.Int {
	n := d.value.Coeff.MathBigInt()
	n.Mul(n, Pow10(scale+int(d.value.Exponent)))
	if d.value.Negative {
		n.Neg(n)
	}
	return n
}

// String writes it as ParseDecimal reads it, with no zeros at the end.
func (d Decimal) String() string { return d.value.Text('f') }

// Fixed writes it with at least so many digits behind the point.
func (d Decimal) Fixed(digits int) string {
	text := d.String()
	if missing := digits - d.Scale(); missing > 0 {
		if d.Scale() == 0 {
			text += "."
		}
		text += strings.Repeat("0", missing)
	}
	return text
}

// Apd returns a copy of it for a library that takes those.
func (d Decimal) Apd() *apd.Decimal { return new(apd.Decimal).Set(&d.value) }

// Pow10 is ten to the power of n, and 1 if n is negative.
func Pow10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(max(0, n))), nil)
}
