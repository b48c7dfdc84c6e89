package plan

import (
	"os"
	"strings"
	"testing"
)

// FuzzParse feeds arbitrary texts: never a panic. Each problem has the name of the file,
// what is taken has the same digest when its canonical form is read, and can be rated.
func FuzzParse(f *testing.F) {
	text, err := os.ReadFile(examplePlan)
	if err != nil {
		f.Fatal(err)
	}
	f.Add(text)
	f.Add([]byte(simple("USDFC", `{name: Fee, model: flat, price: "0.000000000000000001", prorate: false}`)))
	f.Add([]byte(simple("JPY", `{meter: storage_byte_ms, unit: EiB-hour, model: volume, tiers: [{up_to: "0.5", unit_price: "3", flat: "1"}, {up_to: inf, unit_price: "1"}]}`)))
	f.Add([]byte(`{"plan": "j", "version": 1, "currency": "KWD", "effective": "2026-12-01", "charges": [{"name": "F", "model": "flat", "price": "1.5"}]}`))
	f.Add([]byte("plan: &a [*a, !!float 0.1, .inf, 0x1p-2]\n---\n? [a]\n: b\n"))
	f.Fuzz(func(t *testing.T, text []byte) {
		p, err := Parse("p.yaml", text)
		if err != nil {
			for line := range strings.Lines(err.Error()) {
				if !strings.HasPrefix(line, "p.yaml:") {
					t.Fatalf("%q tells no file", line)
				}
			}
			return
		}
		again, err := Parse("canonical", p.Canonical())
		if err != nil || again.Digest() != p.Digest() || string(again.Canonical()) != string(p.Canonical()) {
			t.Fatalf("%s\nmakes another plan: %v", p.Canonical(), err)
		}
		r, err := Rate(december, []Stretch{{p, december.First(), december.end(), Quantities{Storage: gib(1<<30, 31), Pins: gib(1, 1)}}})
		if err != nil || r.Total.Sign() < 0 {
			t.Fatalf("%s\nmakes %s: %v", p.Canonical(), r.Total, err)
		}
		if _, err := r.Total.Minor(); err != nil {
			t.Fatalf("%s\nmakes a total that nobody can pay: %v", p.Canonical(), err)
		}
	})
}
