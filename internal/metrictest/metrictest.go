// Package metrictest lets tests see what metrics say, and whether they follow the rules
// that all metrics of this module follow.
package metrictest

import (
	"fmt"
	"maps"
	"regexp"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
	"github.com/prometheus/client_golang/prometheus/testutil/promlint"
	dto "github.com/prometheus/client_model/go"
)

// Values returns what a collector says, by series: name{label="value"}, with the labels in
// order. A histogram has two, name_count and name_sum.
func Values(tb testing.TB, c prometheus.Collector) map[string]float64 {
	tb.Helper()
	values := make(map[string]float64)
	for _, family := range gather(tb, c) {
		for _, m := range family.GetMetric() {
			labels := labelsOf(m)
			switch {
			case m.GetCounter() != nil:
				values[family.GetName()+labels] = m.GetCounter().GetValue()
			case m.GetGauge() != nil:
				values[family.GetName()+labels] = m.GetGauge().GetValue()
			case m.GetHistogram() != nil:
				values[family.GetName()+"_count"+labels] = float64(m.GetHistogram().GetSampleCount())
				values[family.GetName()+"_sum"+labels] = m.GetHistogram().GetSampleSum()
			default:
				tb.Errorf("%s is of a type that no metric of this module has", family.GetName())
			}
		}
	}
	return values
}

// Moved returns by how much series differ from what they were, without those that do not.
func Moved(tb testing.TB, c prometheus.Collector, before map[string]float64) map[string]float64 {
	tb.Helper()
	moved := Values(tb, c)
	for series, was := range before {
		if _, there := moved[series]; !there {
			tb.Errorf("the series %s is gone", series)
		}
		moved[series] -= was
	}
	maps.DeleteFunc(moved, func(_ string, by float64) bool { return by == 0 })
	return moved
}

// WantMoved fails unless series have moved by so much since before, and no other has.
func WantMoved(tb testing.TB, c prometheus.Collector, before, want map[string]float64) {
	tb.Helper()
	moved := Moved(tb, c, before)
	for _, series := range slices.Sorted(maps.Keys(want)) {
		if moved[series] != want[series] {
			tb.Errorf("%s has moved by %v, want %v", series, moved[series], want[series])
		}
		delete(moved, series)
	}
	for _, series := range slices.Sorted(maps.Keys(moved)) {
		tb.Errorf("%s has moved by %v, and should not have", series, moved[series])
	}
}

// Check fails where a collector of new metrics does not follow the rules: the names are those
// of prefix and pass promlint, each help text is made of sentences, all series are there and
// at zero, and the labels and their values are those of the vocabulary, each of which is
// used. Gauges whose name is in set begin with another value.
func Check(tb testing.TB, c prometheus.Collector, prefix string, vocabulary map[string][]string, set ...string) {
	tb.Helper()
	families := gather(tb, c)
	if len(families) == 0 {
		tb.Error("there are no metrics")
	}
	problems, err := promlint.NewWithMetricFamilies(families).Lint()
	if err != nil {
		tb.Fatal(err)
	}
	for _, p := range problems {
		tb.Errorf("promlint on %s: %s", p.Metric, p.Text)
	}
	sentence := regexp.MustCompile(`^[A-Z][^\n]*[^ .]\.$`)
	used := make(map[string]bool)
	for _, family := range families {
		name := family.GetName()
		if !strings.HasPrefix(name, prefix) {
			tb.Errorf("the name %s does not begin with %s", name, prefix)
		}
		if !sentence.MatchString(family.GetHelp()) {
			tb.Errorf("the help text of %s is not a sentence: %q", name, family.GetHelp())
		}
		for _, m := range family.GetMetric() {
			for _, label := range m.GetLabel() {
				if !slices.Contains(vocabulary[label.GetName()], label.GetValue()) {
					tb.Errorf("%s%s has a label that is not of the vocabulary", name, labelsOf(m))
				}
				used[label.GetName()+"="+label.GetValue()] = true
			}
		}
	}
	for label, values := range vocabulary {
		for _, value := range values {
			if !used[label+"="+value] {
				tb.Errorf("no series has %s=%q: all that are known are there from the beginning", label, value)
			}
		}
	}
	for series, value := range Values(tb, c) {
		name, _, _ := strings.Cut(series, "{")
		if value != 0 && !slices.Contains(set, name) {
			tb.Errorf("%s begins with %v, not 0", series, value)
		}
	}
}

// gather collects as a server of metrics does, and fails where collectors contradict
// what they describe.
func gather(tb testing.TB, c prometheus.Collector) []*dto.MetricFamily {
	tb.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(c); err != nil {
		tb.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		tb.Fatal(err)
	}
	return families
}

func labelsOf(m *dto.Metric) string {
	pairs := make([]string, len(m.GetLabel()))
	for i, label := range m.GetLabel() {
		pairs[i] = fmt.Sprintf("%s=%q", label.GetName(), label.GetValue())
	}
	slices.Sort(pairs)
	if len(pairs) == 0 {
		return ""
	}
	return "{" + strings.Join(pairs, ",") + "}"
}
