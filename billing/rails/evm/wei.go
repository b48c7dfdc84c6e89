package evm

import (
	"fmt"
	"math/big"
	"strings"
)

// Wei is a quantity of any size.
type Wei struct{ n *big.Int }

// Int returns it, 0 if there is none.
func (w Wei) Int() *big.Int {
	if w.n == nil {
		return new(big.Int)
	}
	return w.n
}

// UnmarshalText implements encoding.TextUnmarshaler.
func (w *Wei) UnmarshalText(text []byte) error {
	digits, ok := strings.CutPrefix(string(text), "0x")
	n, valid := new(big.Int).SetString(digits, 16)
	if !ok || !valid || n.Sign() < 0 || digits[0] == '+' || len(digits) > 64 {
		return fmt.Errorf("%.80q is not a quantity", text)
	}
	w.n = n
	return nil
}

// Pow10 is ten to the power of n, which is not negative.
func Pow10(n int) *big.Int {
	return new(big.Int).Exp(big.NewInt(10), big.NewInt(int64(n)), nil)
}

// Amount writes units of a token as a decimal number: 12340007 with 6 digits is 12.340007.
func Amount(units *big.Int, digits int) string {
	text := units.String()
	if digits <= 0 {
		return text
	}
	if missing := digits + 1 - len(text); missing > 0 {
		text = strings.Repeat("0", missing) + text
	}
	point := len(text) - digits
	return text[:point] + "." + text[point:]
}
