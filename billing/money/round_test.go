package money

import (
	"math/big"
	"strings"
	"testing"

	"github.com/cockroachdb/apd/v3"
	"pgregory.net/rapid"
)

func TestRound(t *testing.T) {
	for _, tt := range []struct{ text, halfEven, halfUp, down, up string }{
		{"0.5", "0", "1", "0", "1"},
		{"1.5", "2", "2", "1", "2"},
		{"2.5", "2", "3", "2", "3"},
		{"2.4999", "2", "2", "2", "3"},
		{"2.5001", "3", "3", "2", "3"},
		{"2", "2", "2", "2", "2"},
		{"-0.5", "0", "-1", "0", "-1"},
		{"-1.5", "-2", "-2", "-1", "-2"},
		{"-2.5", "-2", "-3", "-2", "-3"},
		{"-2.1", "-2", "-2", "-2", "-3"},
		{"0", "0", "0", "0", "0"},
	} {
		a := amount(t, tt.text+" JPY")
		for mode, want := range map[Mode]string{HalfEven: tt.halfEven, HalfUp: tt.halfUp, Down: tt.down, Up: tt.up} {
			got, err := a.Round(0, mode)
			if err != nil || got.Text() != want {
				t.Errorf("%s %s is %s, want %s (%v)", tt.text, mode, got.Text(), want, err)
			}
		}
	}
	if _, err := amount(t, "1.5 USD").Round(0, "nearest"); err == nil || !strings.Contains(err.Error(), `no rounding "nearest"`) {
		t.Error(err)
	}
	for _, den := range []int64{0, -3} {
		if d, err := Divide(big.NewInt(1), big.NewInt(den), 2, HalfUp); err == nil {
			t.Errorf("1/%d is %s", den, d)
		}
	}
}

// TestRoundedOnce: the exact quotient is rounded. One that is rounded to 30 digits first
// lies on a half, and goes the wrong way.
func TestRoundedOnce(t *testing.T) {
	den := Pow10(40)
	num := new(big.Int).Add(new(big.Int).Div(den, big.NewInt(2)), big.NewInt(1)) // a half and 10⁻⁴⁰
	d, err := Divide(num, den, 0, HalfEven)
	if err != nil || d.String() != "1" {
		t.Errorf("%s, %v", d, err)
	}
	num.Sub(num, big.NewInt(2))
	if d, err = Divide(num, den, 0, HalfUp); err != nil || d.String() != "0" {
		t.Errorf("%s, %v", d, err)
	}
}

// TestDivideAsApd compares Divide with the library, which rounds decimals, not quotients.
// Up is left out: v3.2.1 makes 0 of 0.01.
func TestDivideAsApd(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := big.NewInt(rapid.Int64().Draw(t, "n"))
		n.Mul(n, big.NewInt(rapid.Int64Range(0, 1e18).Draw(t, "times")))
		scale := rapid.IntRange(0, 40).Draw(t, "scale")
		digits := rapid.IntRange(0, 20).Draw(t, "digits")
		mode := rapid.SampledFrom([]Mode{HalfEven, HalfUp, Down}).Draw(t, "mode")
		got, err := Divide(n, Pow10(scale), digits, mode)
		if err != nil {
			t.Fatal(err)
		}
		c := apd.BaseContext.WithPrecision(100)
		c.Rounding = apd.Rounder(mode)
		var want apd.Decimal
		if _, err := c.Quantize(&want, NewDecimal(n, scale).Apd(), int32(-digits)); err != nil {
			t.Fatal(err)
		}
		if got.Cmp(reduced(&want)) != 0 {
			t.Fatalf("%v/10^%d %s to %d digits is %s, and %s for apd", n, scale, mode, digits, got, &want)
		}
	})
}

// TestDivideAsRat compares any quotient with exact arithmetic.
func TestDivideAsRat(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		num := big.NewInt(rapid.Int64().Draw(t, "num"))
		den := big.NewInt(rapid.Int64Range(1, 1<<62).Draw(t, "den"))
		digits := rapid.IntRange(0, 20).Draw(t, "digits")
		mode := rapid.SampledFrom(Modes()).Draw(t, "mode")
		got, err := Divide(num, den, digits, mode)
		if err != nil {
			t.Fatal(err)
		}
		step := new(big.Rat).SetFrac(big.NewInt(1), Pow10(digits))
		value, _ := new(big.Rat).SetString(got.String())
		exact := new(big.Rat).SetFrac(num, den)
		off := new(big.Rat).Sub(value, exact)
		towards := off.Sign() * exact.Sign() // -1: towards 0
		off.Abs(off)
		twice := new(big.Rat).Add(off, off).Cmp(step)
		ok := got.Scale() <= digits && off.Cmp(step) < 0
		switch mode {
		case HalfEven:
			ok = ok && (twice < 0 || twice == 0 && got.Scaled(digits).Bit(0) == 0)
		case HalfUp:
			ok = ok && (twice < 0 || twice == 0 && towards > 0)
		case Down:
			ok = ok && towards <= 0
		case Up:
			ok = ok && towards >= 0
		}
		if !ok {
			t.Fatalf("%v/%v %s to %d digits is %s", num, den, mode, digits, got)
		}
	})
}

// FuzzParseDecimal: what is read is written so that it is read again, and is what
// math/big reads.
func FuzzParseDecimal(f *testing.F) {
	for _, text := range []string{"5", "0.02", "-1.50", "1e3", ".5", "inf", "00.10", "1,000"} {
		f.Add(text)
	}
	f.Fuzz(func(t *testing.T, text string) {
		d, err := ParseDecimal(text)
		if err != nil {
			return
		}
		again, err := ParseDecimal(d.String())
		if err != nil || again.Cmp(d) != 0 || again.String() != d.String() {
			t.Fatalf("%q is %s, and then %s: %v", text, d, again, err)
		}
		want, ok := new(big.Rat).SetString(text)
		got := new(big.Rat).SetFrac(d.Scaled(d.Scale()), Pow10(d.Scale()))
		if !ok || want.Cmp(got) != 0 {
			t.Fatalf("%q is %s, not %s", text, got, want)
		}
	})
}
