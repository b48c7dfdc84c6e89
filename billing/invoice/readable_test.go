package invoice

import (
	"math/big"
	"strings"
	"testing"
	"unicode"

	"pgregory.net/rapid"
)

func TestReadable(t *testing.T) {
	for in, want := range map[string]string{
		"0": "0", "1": "1", "1.5": "1.5", "1536.2512345": "1,536.251", "1536.2519999": "1,536.252", "999.9999": "1,000", "-1.23456": "-1.235",
		"1234567": "1,234,567", "-123456": "-123,456", "0.1": "0.1", "0.0123": "0.0123", "0.000012345": "0.0000123", "-0.00000099999": "-0.000001",
		"0.00099999": "0.001", "0.0009994": "0.000999", "100": "100", "1000": "1,000", "0.5": "0.5", "1/3": "0.333", "2/300000": "0.00000667",
	} {
		r, ok := new(big.Rat).SetString(in)
		if !ok {
			t.Fatal(in)
		}
		if got := readable(r); got != want {
			t.Errorf("%s is shown as %s, want %s", in, got, want)
		}
	}
	for in, want := range map[string]string{"0": "0 B", "1023": "1,023 B", "1024": "1 KiB", "1048575": "1,023.999 KiB", "1048576": "1 MiB", "8412311": "8.023 MiB", "1152921504606846976": "1 EiB", "1180591620717411303424": "1,024 EiB"} {
		if got := size(number(t, in)); got != want {
			t.Errorf("%s bytes are shown as %s, want %s", in, got, want)
		}
	}
	if got := exactly(t, "1").over(ByteMS.dayOf()); got.Cmp(big.NewRat(30, 1)) != 0 {
		t.Errorf("a GiB for a month of 30 days is %s GiB × days", got)
	}
}

// What is shown of a number is near it, and zero only if that is.
func TestReadableIsNear(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		num, den := big.NewInt(rapid.Int64().Draw(t, "num")), big.NewInt(rapid.Int64Range(1, 1<<62).Draw(t, "den"))
		r := new(big.Rat).SetFrac(num, den)
		shown, ok := new(big.Rat).SetString(strings.ReplaceAll(readable(r), ",", ""))
		if !ok {
			t.Fatal(readable(r))
		}
		off := new(big.Rat).Sub(shown, r)
		off.Abs(off)
		size := new(big.Rat).Abs(r)
		if off.Cmp(new(big.Rat).Mul(size, big.NewRat(1, 150))) > 0 && off.Cmp(big.NewRat(1, 2000)) > 0 || (shown.Sign() == 0) != (r.Sign() == 0) {
			t.Fatalf("%s is shown as %s", r.FloatString(20), readable(r))
		}
	})
}

func TestVisible(t *testing.T) {
	for in, want := range map[string]string{
		"plain": "plain", "a\tb\r\nc": "a b  c", "\x00\x1b[31m\x7f\u0085": "��[31m��", "\u202etxt.exe\u202c": "�txt.exe�", "\u2066a\u2069\u200e\u061c": "�a���",
		"\ufeffa\u200bb": "�a�b", "שלום": "שלום", "می\u200cخواهم": "می\u200cخواهم", "👩\u200d👩": "👩\u200d👩", "e\u0301": "e\u0301", "\xff": "�", "\ue000": "�", "\ufffe": "�", "\U000e0041": "�", "a\u2028b": "a b",
	} {
		if got := visible(in); got != want {
			t.Errorf("%q is shown as %q, want %q", in, got, want)
		}
	}
	rapid.Check(t, func(t *rapid.T) {
		for _, r := range visible(rapid.String().Draw(t, "text")) {
			if unicode.IsControl(r) || unicode.Is(unicode.Bidi_Control, r) {
				t.Fatalf("%U", r)
			}
		}
	})
}
