package plan

import (
	"errors"
	"os"
	"strings"
	"testing"
)

// TestLint plants one mistake after another into the example. Each is told once, with its
// line and what to do.
func TestLint(t *testing.T) {
	base, err := os.ReadFile(examplePlan)
	if err != nil {
		t.Fatal(err)
	}
	const tiers = `      - {up_to: "1024", unit_price: "0.02"}
      - {up_to: inf, unit_price: "0.015"}
`
	for _, tt := range []struct{ name, from, to, want string }{
		{"tiers that do not ascend", tiers, `      - {up_to: "1024", unit_price: "0.02"}
      - {up_to: "1024.0", unit_price: "0.017"}
      - {up_to: inf, unit_price: "0.015"}
`, "17: charges[0].tiers[1].up_to is 1024, and not more than where the tier begins: tiers go up"},
		{"a first tier of nothing", `"1024"`, `"0"`, "16: charges[0].tiers[0].up_to is 0, and not more than where the tier begins: tiers go up"},
		{"a last tier that ends", "up_to: inf", `up_to: "2048"`, `17: charges[0].tiers[1].up_to is "2048" in the last tier: write inf, so that all usage has a price`},
		{"infinity as YAML has it", "up_to: inf", `up_to: .inf`, `17: charges[0].tiers[1].up_to is ".inf" in the last tier: write inf, so that all usage has a price`},
		{"inf before the last tier", `"1024"`, `inf`, `16: charges[0].tiers[0].up_to is inf, and more tiers follow: only the last one has no end`},
		{"no tier", tiers, "", `15: charges[0].tiers is empty: write a list of 1 to 100`},
		{"a negative price", `"0.02"`, `"-0.02"`, "16: charges[0].tiers[0].unit_price is -0.02: it must not be negative"},
		{"a negative quota", `included: "5"`, `included: "-5"`, "14: charges[0].included is -5: it must not be negative"},
		{"a negative edge", `"1024"`, `"-1024"`, "16: charges[0].tiers[0].up_to is -1024: it must not be negative"},
		{"a negative minimum", `"5.00"`, `"-5.00"`, "24: minimum.amount is -5: it must not be negative"},
		{"packages of nothing", `package_size: "1000"`, `package_size: "0.0"`, "22: charges[1].package_size is 0: write how many units are in a package"},
		{"an unknown currency", "USD", "USX", `5: currency "USX" is not a currency: `},
		{"an unknown unit", "GiB-month", "GiB-year", `12: charges[0].unit is "GiB-year", which is no unit of storage_byte_ms: write one as EiB-month`},
		{"a misspelt unit", "GiB-month", "Gib-month", `12: charges[0].unit is "Gib-month", which is no unit of storage_byte_ms: did you mean GiB-month?`},
		{"a unit of another meter", "GiB-month", "pin-month", `12: charges[0].unit is "pin-month", which is no unit of storage_byte_ms`},
		{"an unknown meter", "pin_ms", "pins_ms", `18: charges[1].meter is "pins_ms", which is not known: did you mean pin_ms?`},
		{"an unknown model", "graduated", "gradated", `13: charges[0].model is "gradated", which is not known: did you mean graduated?`},
		{"an unknown basis", "month_basis: calendar", "month_basis: 744h", `7: month_basis is "744h", which is not known: `},
		{"an unknown rounding", "half_even", "bankers", `8: rounding.line is "bankers", which is not known: known are half_even, half_up, down, up`},
		{"an unknown change of plans", "tiers: reset", "tiers: keep", `9: tiers is "keep", which is not known: known are reset, carry`},
		{"an unknown key", "month_basis: calendar", "month_bases: calendar", "7: month_bases is not a setting: did you mean month_basis?"},
		{"an unknown key below", `unit_price: "0.015"`, `unit_price: "0.015", from: "1024"`, "17: charges[0].tiers[1].from is not a setting: known are up_to, unit_price, flat"},
		{"a key twice", "version: 1", "version: 1\nversion: 2", "5: version is there for the second time: keep one of them"},
		{"a float", `unit_price: "0.015"`, `unit_price: 0.015`, `17: charges[0].tiers[1].unit_price is 0.015 without quotes, which programs read as a float: write "0.015", with quotes`},
		{"an integer as a price", `"5.00"`, `5`, `24: minimum.amount is 5 without quotes, which programs read as a float: write "5", with quotes`},
		{"an exponent", `"0.015"`, `"1.5e-2"`, `17: charges[0].tiers[1].unit_price "1.5e-2" is not a decimal number: write it as "0.05", with no exponent and no separators`},
		{"a separator", `"1024"`, `"1,024"`, `16: charges[0].tiers[0].up_to "1,024" is not a decimal number`},
		{"too many digits", `"0.015"`, `"0.` + strings.Repeat("1", 31) + `"`, `has too many digits: at most 40 before the point, and 30 behind it`},
		{"a price that is a list", `price: "0.10"`, `price: ["0.10"]`, `23: charges[1].price is a list: write a decimal number in quotes`},
		{"no price", `    price: "0.10"` + "\n", "", "18: charges[1].price is missing: add it"},
		{"a version in quotes", "version: 1", `version: "1"`, `4: version is "1": write a whole number without quotes, as 2`},
		{"version 0", "version: 1", `version: 0`, `4: version is 0: the first version is 1`},
		{"no version", "version: 1\n", ``, `version is missing: add it`},
		{"a bad name", "plan: standard", `plan: Standard plan`, `3: plan is "Standard plan": write a name of at most 64 characters`},
		{"more digits than the currency", "digits: 2", `digits: 3`, `8: rounding.digits is 3: USD has 2, and nobody can pay less than the smallest unit`},
		{"a time within a day", "T00:00:00Z", `T00:00:00+01:00`, `6: effective is 2026-12-01T00:00:00+01:00, within a day: write a day in UTC, as "2026-11-30"`},
		{"no day", "2026-12-01T00:00:00Z", `soon`, `6: effective is "soon": write a day in UTC, as "2026-12-01"`},
		{"a meter twice", "pin_ms\n    unit: pin-month", "storage_byte_ms\n    unit: GiB-month", "18: charges[1] is for storage_byte_ms, as charges[0] is: one meter has one charge"},
		{"a name twice", "unit: pin-month", "unit: pin-month\n    name: Storage", `18: charges[1] has the name "Storage", as charges[0] has: give each its own`},
		{"a name of two lines", "unit: pin-month", "unit: pin-month\n    name: \"a\\nb\"", `write what is on the invoice, 1 to 100 characters in a line`},
		{"tiers of a package", "model: package", "model: package\n    tiers: []", "21: charges[1].tiers has no effect: remove it, as a package has one price"},
		{"a price beside tiers", "model: graduated", "model: graduated\n    price: \"1\"", "14: charges[0].price has no effect: remove it, as prices are in the tiers"},
		{"a prorated measure", "model: graduated", "model: graduated\n    prorate: true", "14: charges[0].prorate has no effect: remove it, as what is measured is in proportion already"},
		{"a flat charge of a meter", "model: graduated", "model: flat\n    name: Fee\n    price: \"1\"", "11: charges[0].meter has no effect: remove it, as a flat charge is for no meter"},
		{"true as a word", "prorate: true", "prorate: yes", `24: minimum.prorate is "yes": write true or false`},
		{"no object", "minimum: {amount: \"5.00\", prorate: true}", "minimum: \"5.00\"", `24: minimum is "5.00": write an object, with keys and values`},
		{"an anchor", "minimum: {amount", "minimum: &m {amount", "24: has an anchor or an alias: write out what is meant"},
		{"a tag", `"5.00"`, `!!str 5.00`, `24: has the tag "!!str": remove it`},
		{"two documents", "minimum: {amount", "---\nminimum: {amount", "has a second document: write each version into a file of its own"},
		{"no YAML", "minimum: {amount", "minimum: {{amount", "is not YAML, "},
	} {
		text := strings.Replace(string(base), tt.from, tt.to, 1)
		if strings.Count(string(base), tt.from) == 0 || text == string(base) {
			t.Fatalf("%s: %q is not in the example", tt.name, tt.from)
		}
		_, err := Parse("p.yaml", []byte(text))
		var problems Problems
		if !errors.As(err, &problems) || !strings.Contains(err.Error(), tt.want) || !strings.HasPrefix(err.Error(), "p.yaml:") {
			t.Errorf("%s: %v\nwant %s", tt.name, err, tt.want)
		}
		// A flat charge has a meter, a unit, a quota and tiers too many.
		if len(problems) > 1 && tt.name != "a flat charge of a meter" {
			t.Errorf("%s: one mistake is told as %d:\n%s", tt.name, len(problems), err)
		}
	}
}

func TestLintOfNothing(t *testing.T) {
	for text, want := range map[string]string{
		"":                            "p.yaml: is empty: write a plan",
		"# a comment\n":               "p.yaml: is empty: write a plan",
		"---\n":                       "p.yaml: is empty: write a plan",
		"- a\n":                       "p.yaml:1: is a list: write an object, with keys and values",
		strings.Repeat("#\n", 200000): "p.yaml: has 400000 bytes, more than 262144: it is not a plan",
		"plan: *x\n":                  "p.yaml: is not YAML, ",
		"plan: \xff\n":                "p.yaml: is not YAML, ",
	} {
		if _, err := Parse("p.yaml", []byte(text)); err == nil || !strings.HasPrefix(err.Error(), want) {
			t.Errorf("%.20q: %v, want %s", text, err, want)
		}
	}
}

// TestAllIsTold: whoever makes several mistakes is told all of them, by their lines.
func TestAllIsTold(t *testing.T) {
	_, err := Parse("p.yaml", []byte("plan: x\nversion: 1.5\ncurrency: EURO\neffective: 2026-12-01\ncharges:\n  - {model: flat, name: A, price: 1}\n  - {model: volume, meter: pin_ms, unit: pin-day, tiers: [{up_to: inf, unit_price: \"-1\"}]}\n"))
	const want = `p.yaml:2: version is "1.5": write a whole number without quotes, as 2
p.yaml:3: currency "EURO" is not a currency: did you mean EUR?
p.yaml:6: charges[0].price is 1 without quotes, which programs read as a float: write "1", with quotes
p.yaml:7: charges[1].tiers[0].unit_price is -1: it must not be negative`
	if err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}

// TestWarnings: what is probably not meant is told, and the plan can be used.
func TestWarnings(t *testing.T) {
	text := simple("USD", `{meter: storage_byte_ms, unit: GiB-month, model: volume, tiers: [{up_to: "15", unit_price: "10"}, {up_to: "20", unit_price: "10"}, {up_to: inf, unit_price: "5"}]}`)
	p := parse(t, text)
	const want = "plan.yaml:6: warning: charges[0].tiers cost 200 at 20 GiB-month, and 100 a little above: with volume prices a bill may fall as usage grows"
	if got := p.Warnings().Error(); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	// A fee of the next tier makes up for it.
	even := strings.Replace(text, `{up_to: inf, unit_price: "5"}`, `{up_to: inf, unit_price: "5", flat: "100"}`, 1)
	if w := parse(t, even).Warnings(); len(w) != 0 {
		t.Error(w)
	}
	// Graduated prices never fall.
	if w := parse(t, strings.Replace(text, "volume", "graduated", 1)).Warnings(); len(w) != 0 {
		t.Error(w)
	}
	due := strings.Replace(simple("USD", `{model: flat, name: Fee, price: "10", prorate: false}`), "12-01", "12-15", 1) + "minimum: {amount: \"5\", prorate: false}\n"
	const twice = `plan.yaml:4: warning: effective is within a month, and "Fee" is not prorated: it is due in whole for the version before, too
plan.yaml:4: warning: effective is within a month, and the minimum is not prorated: it is due in whole for the version before, too`
	if got := parse(t, due).Warnings().Error(); got != twice {
		t.Errorf("%s\nwant\n%s", got, twice)
	}
}
