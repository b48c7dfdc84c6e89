package web_test

import (
	"math"
	"os"
	"regexp"
	"strconv"
	"strings"
	"testing"
)

// TestContrast: texts can be read, in both colour schemes (WCAG 2.2, 1.4.3).
func TestContrast(t *testing.T) {
	css := string(must(os.ReadFile("style.css")))
	colours := regexp.MustCompile(`--([a-z-]+): #([0-9a-f]{6});`)
	light, rest, _ := strings.Cut(css, "@media (prefers-color-scheme: dark)")
	dark, _, _ := strings.Cut(rest, "\n}\n")
	for scheme, text := range map[string]string{"light": light, "dark": dark} {
		has := make(map[string]string)
		for _, found := range colours.FindAllStringSubmatch(text, -1) {
			has[found[1]] = found[2]
		}
		for _, pair := range [][2]string{
			{"text", "ground"}, {"text", "card"}, {"soft", "ground"}, {"soft", "card"}, {"soft", "still-ground"}, {"accent", "ground"}, {"accent", "card"}, {"accent-text", "accent"},
			{"good", "good-ground"}, {"wait", "wait-ground"}, {"bad", "bad-ground"}, {"bad", "card"}, {"card", "bad"}, {"still", "still-ground"}, {"text", "still-ground"},
		} {
			if got := contrast(has[pair[0]], has[pair[1]]); got < 4.5 {
				t.Errorf("%s: %s on %s has a contrast of %.2f", scheme, pair[0], pair[1], got)
			}
		}
		for _, under := range []string{"ground", "card"} {
			if got := contrast(has["field"], has[under]); got < 3 {
				t.Errorf("%s: the border of fields has a contrast of %.2f on %s", scheme, got, under)
			}
		}
	}
}

// contrast is that of two colours (WCAG 2.2), 0 of what is none.
func contrast(a, b string) float64 {
	light := func(colour string) float64 {
		sum := 0.0
		for i, weight := range []float64{0.2126, 0.7152, 0.0722} {
			n, err := strconv.ParseUint(colour[2*i:2*i+2], 16, 8)
			c := float64(n) / 255
			if err != nil {
				return 0
			}
			if c <= 0.04045 {
				c /= 12.92
			} else {
				c = math.Pow((c+0.055)/1.055, 2.4)
			}
			sum += weight * c
		}
		return sum
	}
	if len(a) != 6 || len(b) != 6 {
		return 0
	}
	x, y := light(a), light(b)
	return (max(x, y) + 0.05) / (min(x, y) + 0.05)
}
