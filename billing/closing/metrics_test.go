package closing

import (
	"maps"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"
	dto "github.com/prometheus/client_model/go"
)

// valuesOf are the series of metrics.
func valuesOf(t *testing.T, m *Metrics) map[string]float64 {
	t.Helper()
	registry := prometheus.NewPedanticRegistry()
	must(t, registry.Register(m))
	families, err := registry.Gather()
	must(t, err)
	out := make(map[string]float64)
	for _, family := range families {
		for _, one := range family.GetMetric() {
			name := family.GetName()
			for _, l := range one.GetLabel() {
				name += "{" + l.GetName() + `="` + l.GetValue() + `"}`
			}
			out[name] = valueOf(one)
		}
	}
	return out
}

func valueOf(m *dto.Metric) float64 {
	switch {
	case m.GetCounter() != nil:
		return m.GetCounter().GetValue()
	case m.GetGauge() != nil:
		return m.GetGauge().GetValue()
	}
	return float64(m.GetHistogram().GetSampleCount())
}

// All series are there from the beginning, and a close counts what it does.
func TestMetrics(t *testing.T) {
	m := NewMetrics()
	at0 := valuesOf(t, m)
	want := []string{
		"pin_billing_adjustments_total", "pin_billing_close_duration_seconds", "pin_billing_close_failures_total", "pin_billing_closed_owner_days_total",
		"pin_billing_closed_until_timestamp_seconds", "pin_billing_conflicting_facts_total", `pin_billing_drift{of="bytes"}`, `pin_billing_drift{of="pins"}`,
		"pin_billing_late_owner_days_total", "pin_billing_negative_owner_days_total",
		`pin_billing_reconcile_claims{what="behind"}`, `pin_billing_reconcile_claims{what="different"}`, `pin_billing_reconcile_claims{what="extra"}`,
		`pin_billing_reconcile_claims{what="lacking"}`, `pin_billing_reconcile_claims{what="refused"}`,
		"pin_billing_reconciled_timestamp_seconds", "pin_billing_repaired_claims_total", "pin_billing_too_late_owner_days_total",
	}
	if got := slices.Sorted(maps.Keys(at0)); !slices.Equal(got, want) {
		t.Errorf("series are\n%s\nwant\n%s", strings.Join(got, "\n"), strings.Join(want, "\n"))
	}
	for name, value := range at0 {
		if value != 0 {
			t.Errorf("%s begins with %v", name, value)
		}
	}
	w := newWorld(t, openDB(t), 1)
	alice := w.owner(0, "alice")
	c := w.closer(func(o *Options) { o.Metrics = m })
	w.put(fact(alice, "a", first, 0, 10, 1), fact(alice, "b", first+1, 0, -20, -1))
	w.clock.dueAt(first + 2)
	w.pass(c)
	w.put(fact(alice, "late", first, time.Hour, 10, 0))
	w.pass(c)
	w.pass(c)
	got := valuesOf(t, m)
	for name, value := range map[string]float64{
		"pin_billing_close_duration_seconds": 3, "pin_billing_closed_owner_days_total": 2, "pin_billing_adjustments_total": 3,
		"pin_billing_closed_until_timestamp_seconds": float64(endOf(first + 2).Unix()), "pin_billing_late_owner_days_total": 1, "pin_billing_negative_owner_days_total": 2,
	} {
		if got[name] != value {
			t.Errorf("%s is %v, not %v", name, got[name], value)
		}
	}
	var none *Metrics
	none.late(1)
	none.mended(1)
	none.reconciled(Report{}, time.Now())
	none.closedUntil(time.Now())
	if n := len(none.all()); n != 0 {
		t.Errorf("no metrics have %d series", n)
	}
}
