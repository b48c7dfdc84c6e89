package invoice

import (
	"math/big"
	"strings"
	"unicode"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/money"
)

// hidden stands on a page for a character that is not to be seen there.
const hidden = '�'

// visible returns a text as a page may show it: on one line, and without what nobody sees or
// what turns the text around it from right to left. Scripts that are written from there, and
// those that join characters, stay as they are.
func visible(text string) string {
	return strings.Map(func(r rune) rune {
		switch {
		case r == '\t' || r == '\n' || r == '\r' || r == '\u2028' || r == '\u2029':
			return ' '
		case r == '\u200c' || r == '\u200d': // join letters, and parts of emoji
			return r
		case unicode.In(r, unicode.Cc, unicode.Cf, unicode.Co, unicode.Noncharacter_Code_Point):
			return hidden
		}
		return r
	}, text)
}

func visibles(texts []string) []string {
	shown := make([]string, 0, len(texts))
	for _, text := range texts {
		shown = append(shown, visible(text))
	}
	return shown
}

// grouped returns a number with commas between thousands.
func grouped(number string) string {
	text, sign := number, ""
	if text[0] == '-' {
		text, sign = text[1:], "-"
	}
	whole, rest, point := strings.Cut(text, ".")
	for at := len(whole) - 3; at > 0; at -= 3 {
		whole = whole[:at] + "," + whole[at:]
	}
	if point {
		whole += "." + rest
	}
	return sign + whole
}

// atLeast is how many digits after the point, and how many that are not zeros before all
// others, a quantity on a page has at least, if it has them.
const atLeast = 3

// readable returns a fraction for people: grouped, without digits that say nothing. No number
// but zero is shown as zero.
func readable(r *big.Rat) string {
	digits := atLeast
	if r.Sign() != 0 {
		// How often it must be multiplied by ten to be at least one.
		num, den := new(big.Int).Abs(r.Num()), r.Denom()
		zeros := max(0, len(den.String())-len(num.String())-1)
		for new(big.Int).Mul(num, money.Pow10(zeros)).Cmp(den) < 0 {
			zeros++
		}
		digits = max(digits, zeros+atLeast-1)
	}
	text := r.FloatString(digits)
	return grouped(strings.TrimSuffix(strings.TrimRight(text, "0"), "."))
}

func one() *big.Int { return big.NewInt(1) }

// dayOf returns what one unit, a GiB or a pin, makes in a day, in the measure.
func (m Measure) dayOf() *big.Int {
	ms := big.NewInt(secondsADay * 1000)
	return ms.Mul(ms, m.unit())
}

// unit returns the unit of levels on pages, in bytes or pins.
func (m Measure) unit() *big.Int {
	if m == ByteMS {
		return big.NewInt(1 << 30)
	}
	return one()
}

func (m Measure) unitName() string {
	if m == ByteMS {
		return "GiB"
	}
	return "pins"
}

// size returns a number of bytes for people.
func size(bytes Decimal) string {
	units := []string{"B", "KiB", "MiB", "GiB", "TiB", "PiB", "EiB"}
	at, by := 0, one()
	for next := big.NewInt(1024); at < len(units)-1 && bytes.over(by).Cmp(new(big.Rat).SetInt(next)) >= 0; at++ {
		by.Lsh(by, 10)
	}
	return readable(bytes.over(by)) + " " + units[at]
}
