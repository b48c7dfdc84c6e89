package metrictest

import (
	"fmt"
	"slices"
	"strings"
	"testing"

	"github.com/prometheus/client_golang/prometheus"
)

// recorder is a test that may fail.
type recorder struct {
	testing.TB
	said []string
}

func (r *recorder) Helper()        {}
func (r *recorder) Error(a ...any) { r.said = append(r.said, fmt.Sprint(a...)) }

func (r *recorder) Errorf(format string, a ...any) {
	r.said = append(r.said, fmt.Sprintf(format, a...))
}

// TestCheck: metrics that follow the rules pass, and each rule is one.
func TestCheck(t *testing.T) {
	counter := func(name, help string) prometheus.Collector {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	}
	set := prometheus.NewGauge(prometheus.GaugeOpts{Name: "room_things", Help: "How many there are."})
	set.Set(3)
	vector := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "room_things_total", Help: "Counted things."}, []string{"kind"})
	vector.WithLabelValues("good")
	empty := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "room_things_total", Help: "Counted things."}, []string{"kind"})
	kinds := map[string][]string{"kind": {"good"}}
	for _, tt := range []struct {
		name       string
		collector  prometheus.Collector
		vocabulary map[string][]string
		set        []string
		want       string
	}{
		{name: "good", collector: counter("room_things_total", "How many things were counted.")},
		{name: "good, with a label", collector: vector, vocabulary: kinds},
		{name: "set on purpose", collector: set, set: []string{"room_things"}},
		{name: "not at zero", collector: set, want: "begins with 3"},
		{name: "a name that promlint knows to be wrong", collector: counter("room_things", "How many things were counted."), want: "promlint"},
		{name: "another prefix", collector: counter("hall_things_total", "How many things were counted."), want: "does not begin"},
		{name: "no sentence", collector: counter("room_things_total", "things counted"), want: "not a sentence"},
		{name: "a label that is not known", collector: vector, want: "not of the vocabulary"},
		{name: "a series that is missing", collector: vector, vocabulary: map[string][]string{"kind": {"good", "bad"}}, want: `no series has kind="bad"`},
		{name: "no series", collector: empty, want: "there are no metrics"},
	} {
		r := &recorder{TB: t}
		Check(r, tt.collector, "room_", tt.vocabulary, tt.set...)
		said := strings.Join(r.said, "\n")
		if (said == "") != (tt.want == "") || !strings.Contains(said, tt.want) {
			t.Errorf("%s: the check says %q, want %q", tt.name, said, tt.want)
		}
	}
}

// TestWantMoved: what should have moved and has not is told, and what has and should not.
func TestWantMoved(t *testing.T) {
	vector := prometheus.NewCounterVec(prometheus.CounterOpts{Name: "room_things_total", Help: "Counted things."}, []string{"kind"})
	good, bad := vector.WithLabelValues("good"), vector.WithLabelValues("bad")
	good.Inc()
	before := Values(t, vector)
	good.Add(2)
	WantMoved(t, vector, before, map[string]float64{`room_things_total{kind="good"}`: 2})
	bad.Inc()
	r := &recorder{TB: t}
	WantMoved(r, vector, before, map[string]float64{`room_things_total{kind="good"}`: 1})
	if len(r.said) != 2 || !slices.ContainsFunc(r.said, func(s string) bool { return strings.Contains(s, "should not have") }) {
		t.Errorf("it says %q", r.said)
	}
}
