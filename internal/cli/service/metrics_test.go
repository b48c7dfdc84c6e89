package service

import (
	"bytes"
	"fmt"
	"maps"
	"os"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/claims"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/consume"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/adminhttp"
)

// described is what a collector says of a metric.
type described struct{ name, help, kind, labels string }

// descriptions are those of collectors, sorted by name.
func descriptions(t *testing.T, all []prometheus.Collector) []described {
	t.Helper()
	kinds := make(map[string]string)
	registry := prometheus.NewPedanticRegistry()
	for _, c := range all {
		if err := registry.Register(c); err != nil {
			t.Fatal(err)
		}
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	for _, f := range families {
		kinds[f.GetName()] = strings.ToLower(f.GetType().String())
	}
	ch := make(chan *prometheus.Desc)
	go func() {
		defer close(ch)
		for _, c := range all {
			c.Describe(ch)
		}
	}()
	parts := regexp.MustCompile(`^Desc\{fqName: "([^"]+)", help: "(.*)", constLabels: \{([^}]*)\}, variableLabels: \{([^}]*)\}\}$`)
	found := make(map[string]described)
	for desc := range ch {
		m := parts.FindStringSubmatch(desc.String())
		if m == nil {
			t.Fatalf("%s is not understood", desc)
		}
		d := described{name: m[1], help: strings.ReplaceAll(m[2], `\"`, `"`), kind: kinds[m[1]], labels: m[4]}
		if d.kind == "" {
			d.kind = kindOf(d.name)
		}
		for _, label := range regexp.MustCompile(`(\w+)=`).FindAllStringSubmatch(m[3], -1) {
			d.labels = strings.TrimPrefix(d.labels+","+label[1], ",")
		}
		found[d.name] = d
	}
	return slices.SortedFunc(maps.Values(found), func(a, b described) int { return strings.Compare(a.name, b.name) })
}

// kindOf is what a metric is whose series come with what they count: with a statement, a host.
func kindOf(name string) string {
	switch {
	case strings.HasSuffix(name, "_total"):
		return "counter"
	case strings.HasSuffix(name, "_duration_seconds"):
		return "histogram"
	}
	return "gauge"
}

// peerCollectors are all that a peer registers.
func peerCollectors() []prometheus.Collector {
	return append(newCounts().collectors(true), buildInfo(), readyGauge(new(adminhttp.Readiness)))
}

// TestMetricsPage: docs/metrics.md has every metric of a peer, in the words of the code.
func TestMetricsPage(t *testing.T) {
	const page = "../../../docs/metrics.md"
	var text bytes.Buffer
	intro, err := os.ReadFile("testdata/metrics.md.intro")
	if err != nil {
		t.Fatal(err)
	}
	text.Write(intro)
	write := func(title string, all []prometheus.Collector) {
		fmt.Fprintf(&text, "\n## %s\n\n| metric | type | labels | meaning |\n|---|---|---|---|\n", title)
		for _, d := range descriptions(t, all) {
			labels := ""
			for _, label := range strings.FieldsFunc(d.labels, func(r rune) bool { return r == ',' }) {
				labels += ", `" + label + "`"
			}
			fmt.Fprintf(&text, "| `%s` | %s | %s | %s |\n", d.name, d.kind, strings.TrimPrefix(labels, ", "), strings.ReplaceAll(d.help, "|", `\|`))
		}
	}
	write("Peers", peerCollectors())
	write("Receivers of events", []prometheus.Collector{consume.NewMetrics()})
	write("Claims: gateways, which tell them", []prometheus.Collector{claims.NewPublisherMetrics()})
	write("Claims: receivers", []prometheus.Collector{claims.NewConsumerMetrics()})
	if *update {
		if err := os.WriteFile(page, text.Bytes(), 0o644); err != nil { //nolint:gosec // it is for everybody
			t.Fatal(err)
		}
	}
	got, err := os.ReadFile(page)
	if err != nil || !bytes.Equal(got, text.Bytes()) {
		t.Errorf("docs/metrics.md is not what the code says (%v): run go test ./internal/cli/service -run TestMetricsPage -update", err)
	}
}
