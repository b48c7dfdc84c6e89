package invoice

import (
	"fmt"
	"math/big"
	"regexp"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// Decimal is a quantity or a rate in a document. In JSON it is a text.
type Decimal struct{ money.Decimal }

// ParseDecimal reads a decimal as package money does.
func ParseDecimal(text string) (Decimal, error) {
	d, err := money.ParseDecimal(text)
	return Decimal{d}, err
}

// Whole returns a whole number; nil is 0.
func Whole(n *big.Int) Decimal {
	if n == nil {
		return Decimal{}
	}
	return Decimal{money.NewDecimal(n, 0)}
}

// IsZero tells whether it is 0, which JSON may leave out.
func (d Decimal) IsZero() bool { return d.Sign() == 0 }

// MarshalText returns the number as String does. It is an error if ParseDecimal would not
// read that.
func (d Decimal) MarshalText() ([]byte, error) {
	text := d.String()
	if _, err := ParseDecimal(text); err != nil {
		return nil, fmt.Errorf("write a number: %w", err)
	}
	return []byte(text), nil
}

// UnmarshalText reads a number as ParseDecimal does.
func (d *Decimal) UnmarshalText(text []byte) error {
	read, err := ParseDecimal(string(text))
	if err != nil {
		return err
	}
	*d = read
	return nil
}

// fractions are written as big.Rat writes them.
var fractions = regexp.MustCompile(`\A-?[0-9]{1,80}(/[1-9][0-9]{0,79})?\z`)

// fraction reads a fraction in lowest terms, or a whole number.
func fraction(text string) (*big.Rat, bool) {
	if !fractions.MatchString(text) {
		return nil, false
	}
	r, ok := new(big.Rat).SetString(text)
	return r, ok && r.RatString() == text
}

// units returns the number in units of its last digit.
func (d Decimal) units() *big.Int { return d.Scaled(d.Scale()) }

func (d Decimal) add(other Decimal) Decimal {
	scale := max(d.Scale(), other.Scale())
	n := d.Scaled(scale)
	return Decimal{money.NewDecimal(n.Add(n, other.Scaled(scale)), scale)}
}

func (d Decimal) sub(other Decimal) Decimal {
	return d.add(Decimal{money.NewDecimal(new(big.Int).Neg(other.units()), other.Scale())})
}

func (d Decimal) equal(other Decimal) bool { return d.Cmp(other.Decimal) == 0 }

// over returns the number divided by another.
func (d Decimal) over(by *big.Int) *big.Rat {
	return new(big.Rat).SetFrac(d.units(), new(big.Int).Mul(money.Pow10(d.Scale()), by))
}
