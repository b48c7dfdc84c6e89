package monitoring

import (
	"os"
	"regexp"
	"slices"
	"testing"
)

// ours are names of series of our programs in an expression. Those of recording rules have a
// colon.
var ours = regexp.MustCompile(`(?:^|[^:\w])((?:ipfscluster|cql_client|pin_gateway)_\w+)(?:$|[^:\w])`)

// part is what a histogram has at the end of the names of its series.
var part = regexp.MustCompile(`_(bucket|sum|count)$`)

// Each series of our programs that a rule names is one that a page of the documentation has:
// a rule on a name that nobody exports says nothing for ever.
func TestNames(t *testing.T) {
	var known []string
	pages := map[string]bool{"../docs/gateway-metrics.md": true, "../docs/metrics.md": false} // whether it must be there
	name := regexp.MustCompile("`([a-z0-9_]+)`")
	whole := true
	for page, must := range pages {
		text, err := os.ReadFile(page)
		if os.IsNotExist(err) && !must {
			whole = false
			continue
		}
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range name.FindAllSubmatch(text, -1) {
			known = append(known, string(found[1]))
		}
	}
	looked := 0
	for _, r := range rules(t) {
		for _, series := range seriesOf(r.Expr) {
			if !whole && series[:3] != "pin" {
				continue // docs/metrics.md is generated from what peers export
			}
			looked++
			if !slices.Contains(known, series) && !slices.Contains(known, part.ReplaceAllString(series, "")) {
				t.Errorf("%s: %s%s names %s, which no page has", r.file, r.Alert, r.Record, series)
			}
		}
	}
	if looked < 10 {
		t.Errorf("only %d names were found", looked)
	}
}

// seriesOf returns the names of our series in an expression.
func seriesOf(expr string) []string {
	var names []string
	for rest := expr; ; {
		at := ours.FindStringSubmatchIndex(rest)
		if at == nil {
			return names
		}
		names = append(names, rest[at[2]:at[3]])
		rest = rest[at[3]:]
	}
}

func TestSeriesOf(t *testing.T) {
	for expr, want := range map[string][]string{
		`cql_client_serving == 0`: {"cql_client_serving"},
		`sum by (job) (rate(cql_client_requests_total{outcome="x"}[5m])) / instance:cql_client_requests:rate5m > 0.2`: {"cql_client_requests_total"},
		"pin_gateway_a\n/\npin_gateway_b": {"pin_gateway_a", "pin_gateway_b"},
		`ipfscluster:pin_late:ratio > 1`:  nil,
	} {
		if got := seriesOf(expr); !slices.Equal(got, want) {
			t.Errorf("%s: %q, not %q", expr, got, want)
		}
	}
}
