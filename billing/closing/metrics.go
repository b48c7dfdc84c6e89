package closing

import (
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/ledger"
)

// Metrics say what is done, for Prometheus: the sums of those who were given them. A nil *Metrics
// measures nothing.
type Metrics struct {
	took                                                  prometheus.Histogram
	until                                                 prometheus.Gauge
	days, lateDays, adjustments, negative, conflicts, old prometheus.Counter
	failures                                              prometheus.Counter
	drift, found                                          *prometheus.GaugeVec
	compared                                              prometheus.Gauge
	repaired                                              prometheus.Counter
}

// NewMetrics returns metrics that are all zero.
func NewMetrics() *Metrics {
	counter := func(name, help string) prometheus.Counter {
		return prometheus.NewCounter(prometheus.CounterOpts{Name: "pin_billing_" + name, Help: help})
	}
	gauge := func(name, help string) prometheus.GaugeOpts {
		return prometheus.GaugeOpts{Name: "pin_billing_" + name, Help: help}
	}
	m := &Metrics{
		took: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "pin_billing_close_duration_seconds", Help: "How long the close of a shard of a day took, of which a day has 64.",
			Buckets: []float64{.1, .3, 1, 3, 10, 30, 100, 300, 1000, 3000},
		}),
		until:       prometheus.NewGauge(gauge("closed_until_timestamp_seconds", "The end of the last day that is closed, in seconds since 1970, 0 before this process has looked.")),
		days:        counter("closed_owner_days_total", "Counts the days of owners with facts that were closed."),
		lateDays:    counter("late_owner_days_total", "Counts the days of owners of which facts came after the close and changed something."),
		adjustments: counter("adjustments_total", "Counts the adjustments that were stored, also again after a crash."),
		negative:    counter("negative_owner_days_total", "Counts the days of owners, recomputed ones among them, on which a level was below zero or facts differed that have one ID. Their invoices are held."),
		conflicts:   counter("conflicting_facts_total", "Counts what was put into the quarantine by a close, as facts with one ID differ, each time it was found."),
		old:         counter("too_late_owner_days_total", "Counts the days of owners that were put into the quarantine as facts came after the correction window, each time they were found."),
		failures:    counter("close_failures_total", "Counts the passes over a shard that failed. They are tried again."),
		drift:       prometheus.NewGaugeVec(gauge("drift", "By how much what owners hold differs between billing and the gateway, as it was compared last: the sum over owners, without signs."), []string{"of"}),
		found:       prometheus.NewGaugeVec(gauge("reconcile_claims", "Claims, as they were compared last, by what is wrong with them."), []string{"what"}),
		compared:    prometheus.NewGauge(gauge("reconciled_timestamp_seconds", "When billing was compared with the gateway last, in seconds since 1970, 0 before this process has.")),
		repaired:    counter("repaired_claims_total", "Counts the claims that were taken from the gateway as billing lacked them."),
	}
	for _, of := range []string{driftBytes, driftPins} {
		m.drift.WithLabelValues(of)
	}
	for k := range kinds {
		m.found.WithLabelValues(k.String())
	}
	return m
}

const (
	driftBytes = "bytes"
	driftPins  = "pins"
)

func (m *Metrics) all() []prometheus.Collector {
	if m == nil {
		return nil
	}
	return []prometheus.Collector{m.took, m.until, m.days, m.lateDays, m.adjustments, m.negative, m.conflicts, m.old, m.failures, m.drift, m.found, m.compared, m.repaired}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, c := range m.all() {
		c.Describe(to)
	}
}

// Collect implements prometheus.Collector. It goes by memory alone.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	for _, c := range m.all() {
		c.Collect(to)
	}
}

func (m *Metrics) closedShard(took time.Duration) {
	if m != nil {
		m.took.Observe(took.Seconds())
	}
}

func (m *Metrics) closedUntil(t time.Time) {
	if m != nil {
		m.until.Set(float64(t.Unix()))
	}
}

// stored counts a version of a day that this process has made.
func (m *Metrics) stored(d ledger.StoredDay, made bool) {
	if m == nil || !made {
		return
	}
	if d.Version == 0 && d.Usage.Deltas > 0 {
		m.days.Inc()
	}
	if d.Usage.Negative {
		m.negative.Inc()
	}
}

func (m *Metrics) late(days int) {
	if m != nil {
		m.lateDays.Add(float64(days))
	}
}

func (m *Metrics) adjusted() {
	if m != nil {
		m.adjustments.Inc()
	}
}

func (m *Metrics) conflict() {
	if m != nil {
		m.conflicts.Inc()
	}
}

func (m *Metrics) tooLate() {
	if m != nil {
		m.old.Inc()
	}
}

func (m *Metrics) failed() {
	if m != nil {
		m.failures.Inc()
	}
}

// reconciled notes what a comparison has found.
func (m *Metrics) reconciled(r Report, at time.Time) {
	if m == nil {
		return
	}
	bytes, _ := r.DriftBytes.Float64()
	pins, _ := r.DriftPins.Float64()
	m.drift.WithLabelValues(driftBytes).Set(bytes)
	m.drift.WithLabelValues(driftPins).Set(pins)
	for k := range kinds {
		m.found.WithLabelValues(k.String()).Set(float64(r.Found[k]))
	}
	m.compared.Set(float64(at.Unix()))
}

func (m *Metrics) mended(n int) {
	if m != nil {
		m.repaired.Add(float64(n))
	}
}
