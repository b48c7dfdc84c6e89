package drift

import (
	"maps"
	"math"
	"slices"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// gather has the values of metrics, by name and label.
func gather(t *testing.T, m *Metrics) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	if err := registry.Register(m); err != nil {
		t.Fatal(err)
	}
	families, err := registry.Gather()
	if err != nil {
		t.Fatal(err)
	}
	values := map[string]float64{}
	for _, family := range families {
		for _, metric := range family.GetMetric() {
			name := family.GetName()
			for _, label := range metric.GetLabel() {
				name += "{" + label.GetValue() + "}"
			}
			values[name] = metric.GetGauge().GetValue() + metric.GetCounter().GetValue()
		}
	}
	return values
}

// same takes not a number for itself.
func same(a, b float64) bool { return a == b || math.IsNaN(a) && math.IsNaN(b) }

// TestMetrics: what was not measured is not a number, and what was is what was found.
func TestMetrics(t *testing.T) {
	m := NewMetrics()
	nan := math.NaN()
	check := func(want map[string]float64) {
		t.Helper()
		got := gather(t, m)
		if a, b := slices.Sorted(maps.Keys(got)), slices.Sorted(maps.Keys(want)); !slices.Equal(a, b) {
			t.Fatalf("the metrics are %q, want %q", a, b)
		}
		for name := range want {
			if !same(got[name], want[name]) {
				t.Errorf("%s is %v, want %v", name, got[name], want[name])
			}
		}
	}
	const p = "ipfscluster_drift_"
	check(map[string]float64{
		p + "ratio": nan, p + "desired_pins": nan, p + "pins{missing}": nan, p + "pins{extra}": nan, p + "pins{wrong_mode}": nan, p + "upper95": nan,
		p + "sample_size": 0, p + "last_sweep_timestamp_seconds": 0, p + "last_sample_timestamp_seconds": 0, p + "sweep_progress": nan, p + "errors_total": 0,
	})
	w := newWorld()
	for _, label := range []string{"a", "b", "c", "d"} {
		w.settled(label, api.PinModeRecursive)
	}
	delete(w.ipfs, w.settled("lost", api.PinModeRecursive))
	w.ipfs[w.settled("mode", api.PinModeRecursive)] = api.PinModeDirect
	for _, label := range []string{"x", "y"} {
		c := w.settled(label, api.PinModeRecursive)
		delete(w.pins, c)
		w.row(c, state.PlacementUnpinError, api.PinModeRecursive, old)
	}
	meter := w.meter(func(o *Options) { o.Metrics = m })
	report, err := meter.Sweep(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	sample, err := meter.Sample(t.Context())
	if err != nil {
		t.Fatal(err)
	}
	check(map[string]float64{
		p + "ratio": 4. / 6, p + "desired_pins": 6, p + "pins{missing}": 1, p + "pins{extra}": 2, p + "pins{wrong_mode}": 1, p + "upper95": 2. / 6,
		p + "sample_size": 6, p + "last_sweep_timestamp_seconds": float64(report.Ended.UnixMilli()) / 1000,
		p + "last_sample_timestamp_seconds": float64(sample.Ended.UnixMilli()) / 1000, p + "sweep_progress": 1, p + "errors_total": 0,
	})
}

// TestNoMetrics: a nil *Metrics is one that counts nothing.
func TestNoMetrics(t *testing.T) {
	var m *Metrics
	m.swept(Report{})
	m.sampled(Sample{})
	m.came(Progress{})
	m.failed()
	m.gaveUp()
	descs, metrics := make(chan *prometheus.Desc, 1), make(chan prometheus.Metric, 1)
	m.Describe(descs)
	m.Collect(metrics)
	if len(descs)+len(metrics) != 0 {
		t.Error("it has metrics")
	}
}
