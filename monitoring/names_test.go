package monitoring

import (
	"os"
	"regexp"
	"slices"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/monitoring/dashboards"
)

// ours are names of series of our programs in an expression. Those of recording rules have a
// colon.
var ours = regexp.MustCompile(`(?:^|[^:\w])((?:ipfscluster|cql_client|pin_gateway)_\w+)(?:$|[^:\w])`)

// part is what a histogram has at the end of the names of its series.
var part = regexp.MustCompile(`_(bucket|sum|count)$`)

// Each series of our programs that a rule or a dashboard names is one that a page of the
// documentation has, which is made of what peers export or compared with it: a rule on a name
// that nobody exports says nothing for ever.
func TestNames(t *testing.T) {
	var known []string
	name := regexp.MustCompile("`([a-z0-9_]+)`")
	for _, page := range []string{"../docs/gateway-metrics.md", "../docs/metrics.md"} {
		text, err := os.ReadFile(page)
		if err != nil {
			t.Fatal(err)
		}
		for _, found := range name.FindAllSubmatch(text, -1) {
			known = append(known, string(found[1]))
		}
	}
	looked := 0
	look := func(where, expr string) {
		for _, series := range seriesOf(expr) {
			looked++
			if !slices.Contains(known, series) && !slices.Contains(known, part.ReplaceAllString(series, "")) {
				t.Errorf("%s names %s, which no page has", where, series)
			}
		}
	}
	for _, r := range rules(t) {
		look(r.file+": "+r.Alert+r.Record, r.Expr)
	}
	inRules := looked
	files, err := dashboards.JSON()
	if err != nil {
		t.Fatal(err)
	}
	for file, text := range files {
		d, err := dashboards.Read(text)
		if err != nil {
			t.Fatal(err)
		}
		for _, p := range d.Panels {
			for _, target := range p.Targets {
				look(file+": "+p.Title, target.Expr)
			}
		}
	}
	if inRules < 50 || looked-inRules < 50 {
		t.Errorf("only %d names were found in rules and %d in dashboards", inRules, looked-inRules)
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
