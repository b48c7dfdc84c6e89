package money

import (
	"fmt"
	"math/big"
)

// Mode is how what lies between two digits is rounded.
type Mode string

// The modes.
const (
	// HalfEven rounds to the nearer digit, and to the even one of two that are as near.
	HalfEven Mode = "half_even"
	// HalfUp rounds to the nearer digit, and away from 0 of two that are as near.
	HalfUp Mode = "half_up"
	// Down rounds towards 0.
	Down Mode = "down"
	// Up rounds away from 0.
	Up Mode = "up"
)

// Modes returns all modes.
func Modes() []Mode { return []Mode{HalfEven, HalfUp, Down, Up} }

// Divide returns num/den with so many digits behind the point, rounded once: what is
// rounded is the exact quotient. den must be more than 0.
func Divide(num, den *big.Int, digits int, mode Mode) (Decimal, error) {
	if den.Sign() <= 0 || digits < 0 {
		return Decimal{}, fmt.Errorf("dividing by %v to %d digits", den, digits)
	}
	n := new(big.Int).Mul(num, Pow10(digits))
	n.Abs(n)
	rest := new(big.Int)
	n.QuoRem(n, den, rest)
	away, err := mode.away(n, rest.Sign(), rest.Lsh(rest, 1).Cmp(den))
	if err != nil {
		return Decimal{}, err
	}
	if away {
		n.Add(n, big.NewInt(1))
	}
	if num.Sign() < 0 {
		n.Neg(n)
	}
	return NewDecimal(n, digits), nil
}

// away tells whether to round away from 0 to the digit after n. rest is 0 if there is
// nothing to round, and half compares what is behind n with a half.
func (m Mode) away(n *big.Int, rest, half int) (bool, error) {
	switch m {
	case HalfEven:
		return half > 0 || half == 0 && n.Bit(0) == 1, nil
	case HalfUp:
		return half >= 0, nil
	case Down:
		return false, nil
	case Up:
		return rest > 0, nil
	}
	return false, fmt.Errorf("there is no rounding %q", string(m))
}
