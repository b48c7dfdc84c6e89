package plan

import (
	"os"
	"strings"
	"testing"
)

const examplePlan = "example/standard-1.yaml"

func TestParse(t *testing.T) {
	text, err := os.ReadFile(examplePlan)
	if err != nil {
		t.Fatal(err)
	}
	p, err := Parse(examplePlan, text)
	if err != nil {
		t.Fatal(err)
	}
	const want = `{"plan":"standard","version":1,"currency":"USD","effective":"2026-12-01","month_basis":"calendar","rounding":{"line":"half_even","digits":2},"tiers":"reset",` +
		`"charges":[{"name":"Storage","meter":"storage_byte_ms","unit":"GiB-month","model":"graduated","included":"5","tiers":[{"up_to":"1024","unit_price":"0.02","flat":"0"},{"up_to":"inf","unit_price":"0.015","flat":"0"}]},` +
		`{"name":"Pins","meter":"pin_ms","unit":"pin-month","model":"package","included":"1000","package_size":"1000","price":"0.1"}],"minimum":{"amount":"5","prorate":true}}`
	if got := string(p.Canonical()); got != want {
		t.Errorf("%s\nwant\n%s", got, want)
	}
	const digest = "73a567170cd8"
	if p.Name() != "standard" || p.Version() != 1 || p.Currency().Code() != "USD" || p.Effective() != day(t, "2026-12-01") || len(p.Warnings()) != 0 ||
		p.Ref() != (Ref{"standard", 1, p.Digest()}) || p.String() != "standard version 1" {
		t.Errorf("%s, %s, %v", p, p.Effective(), p.Warnings())
	}
	// An invoice has the digest: whoever changes the canonical form must know that.
	if !strings.HasPrefix(p.Digest(), digest) || len(p.Digest()) != 64 {
		t.Errorf("the digest is %s", p.Digest())
	}
	again, err := Parse("canonical", p.Canonical())
	if err != nil || again.Digest() != p.Digest() {
		t.Errorf("the canonical form makes another plan: %v", err)
	}
}

// TestDigest: what changes no price does not change the digest, and all else does.
func TestDigest(t *testing.T) {
	base, err := os.ReadFile(examplePlan)
	if err != nil {
		t.Fatal(err)
	}
	change := func(from, to string) string {
		t.Helper()
		if strings.Count(string(base), from) != 1 {
			t.Fatalf("%q is in the example %d times", from, strings.Count(string(base), from))
		}
		return parse(t, strings.Replace(string(base), from, to, 1)).Digest()
	}
	want := parse(t, string(base)).Digest()
	for from, to := range map[string]string{
		`"0.02"`:                         `"0.0200"`,
		`"0.10"`:                         `'0.1'`,
		"2026-12-01T00:00:00Z":           "2026-12-01",
		"tiers: reset\n":                 "# the default\n",
		"plan: standard\nversion: 1\n":   "version: 1\nplan: standard\n",
		"    included: \"5\"\n":          "    included: \"5.0\"\n    name: Storage\n",
		`, prorate: true`:                ``,
		"2026-12-01T00:00:00Z\nmonth_ba": "2026-12-01T01:00:00+01:00\nmonth_ba",
	} {
		if got := change(from, to); got != want {
			t.Errorf("%q instead of %q changes the digest", to, from)
		}
	}
	seen := map[string]string{want: "nothing"}
	for from, to := range map[string]string{
		"plan: standard":        "plan: other",
		"version: 1":            "version: 2",
		"currency: USD":         "currency: EUR",
		"2026-12-01T00":         "2026-12-02T00",
		"month_basis: calendar": "month_basis: 720h",
		"line: half_even":       "line: up",
		"digits: 2":             "digits: 1",
		"tiers: reset":          "tiers: carry",
		"GiB-month":             "GB-month",
		"model: graduated":      "model: volume",
		`included: "5"`:         `included: "6"`,
		`"1024"`:                `"1000"`,
		`"0.02"`:                `"0.021"`,
		`unit_price: "0.015"`:   `unit_price: "0.015", flat: "1"`,
		`package_size: "1000"`:  `package_size: "100"`,
		`"0.10"`:                `"0.11"`,
		`"5.00"`:                `"6.00"`,
		`prorate: true`:         `prorate: false`,
		"    unit: pin-month":   "    unit: pin-month\n    name: Things",
		"minimum: {amount: \"5.00\", prorate: true}": "",
	} {
		got := change(from, to)
		if other, ok := seen[got]; ok {
			t.Errorf("%q instead of %q has the digest of %s", to, from, other)
		}
		seen[got] = to
	}
}

// TestJSON: a plan may be JSON, and a number in it is refused as in YAML.
func TestJSON(t *testing.T) {
	const text = `{
		"plan": "json", "version": 1, "currency": "USDFC", "effective": "2026-12-01",
		"charges": [{"name": "Fee", "model": "flat", "price": "0.000000000000000001"}]
	}`
	if p := parse(t, text); p.Currency().Digits() != 18 || p.charges[0].price.String() != "0.000000000000000001" {
		t.Errorf("%s", p.Canonical())
	}
	_, err := Parse("plan.json", []byte(strings.Replace(text, `"0.000000000000000001"`, "1e-18", 1)))
	if want := `plan.json:3: charges[0].price is 1e-18 without quotes, which programs read as a float: write "0.02", with quotes`; err == nil || err.Error() != want {
		t.Errorf("%v\nwant\n%s", err, want)
	}
}
