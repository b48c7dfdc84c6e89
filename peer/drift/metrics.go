package drift

import (
	"math"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are what a Meter has measured. They are a prometheus.Collector. A nil *Metrics
// counts nothing.
type Metrics struct {
	ratio, desired, upper, sample, lastSweep, lastSample, progress prometheus.Gauge
	pins                                                           *prometheus.GaugeVec
	errors                                                         prometheus.Counter
}

// NewMetrics makes the Metrics of a Meter. What was not measured yet is not a number, so
// that nobody takes it for none.
func NewMetrics() *Metrics {
	gauge := func(name, help string) prometheus.Gauge {
		return prometheus.NewGauge(prometheus.GaugeOpts{Namespace: "ipfscluster", Subsystem: "drift", Name: name, Help: help})
	}
	m := &Metrics{
		ratio: gauge("ratio", "Pins of this peer that are not as the pinset says (missing, extra or in the wrong mode), as a share of those that it is to hold, "+
			"in the last whole sweep. NaN before the first."),
		desired: gauge("desired_pins", "Pins that this peer is to hold, in the last whole sweep, without those in flight. NaN before the first."),
		upper: gauge("upper95", "Upper bound of the share of the pins that this peer is to hold and that are missing or in the wrong mode, from the last sample, "+
			"with 95 % confidence (Clopper-Pearson, one-sided). NaN before the first."),
		sample:     gauge("sample_size", "Pins that IPFS was asked for in the last sample."),
		lastSweep:  gauge("last_sweep_timestamp_seconds", "When the last whole sweep ended, in seconds since 1970. 0 if there was none since the start."),
		lastSample: gauge("last_sample_timestamp_seconds", "When the last sample ended, in seconds since 1970. 0 if there was none since the start."),
		progress:   gauge("sweep_progress", "Share of the running sweep that is done, from 0 to 1, and 1 when it has ended. IPFS lists its pins while it is 0. NaN before the first, and after one that failed."),
		pins: prometheus.NewGaugeVec(prometheus.GaugeOpts{Namespace: "ipfscluster", Subsystem: "drift", Name: "pins",
			Help: "Pins of this peer that are not as the pinset says, in the last whole sweep, by kind: missing in IPFS, extra in IPFS, or pinned in the wrong mode. NaN before the first."},
			[]string{"kind"}),
		errors: prometheus.NewCounter(prometheus.CounterOpts{Namespace: "ipfscluster", Subsystem: "drift", Name: "errors_total",
			Help: "Sweeps and samples that failed, because IPFS or the database did. What was measured before stays."}),
	}
	for _, g := range []prometheus.Gauge{m.ratio, m.desired, m.upper, m.progress} {
		g.Set(math.NaN())
	}
	for _, kind := range []Kind{Missing, Extra, WrongMode} {
		m.pins.WithLabelValues(string(kind)).Set(math.NaN())
	}
	return m
}

func (m *Metrics) all() []prometheus.Collector {
	return []prometheus.Collector{m.ratio, m.desired, m.upper, m.sample, m.lastSweep, m.lastSample, m.progress, m.pins, m.errors}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(out chan<- *prometheus.Desc) {
	if m == nil {
		return
	}
	for _, c := range m.all() {
		c.Describe(out)
	}
}

// Collect implements prometheus.Collector.
func (m *Metrics) Collect(out chan<- prometheus.Metric) {
	if m == nil {
		return
	}
	for _, c := range m.all() {
		c.Collect(out)
	}
}

func (m *Metrics) swept(r Report) {
	if m == nil {
		return
	}
	m.ratio.Set(r.Ratio())
	m.desired.Set(float64(r.Desired))
	for kind, n := range map[Kind]int64{Missing: r.Missing, Extra: r.Extra, WrongMode: r.WrongMode} {
		m.pins.WithLabelValues(string(kind)).Set(float64(n))
	}
	m.lastSweep.Set(float64(r.Ended.UnixMilli()) / 1000)
}

func (m *Metrics) sampled(s Sample) {
	if m == nil {
		return
	}
	m.upper.Set(s.Upper95())
	m.sample.Set(float64(s.Size))
	m.lastSample.Set(float64(s.Ended.UnixMilli()) / 1000)
}

func (m *Metrics) came(p Progress) {
	if m != nil {
		m.progress.Set(p.Done)
	}
}

func (m *Metrics) failed() {
	if m != nil {
		m.errors.Inc()
	}
}

// gaveUp says that no sweep is running, and that the last one came to nothing.
func (m *Metrics) gaveUp() {
	if m != nil {
		m.progress.Set(math.NaN())
	}
}
