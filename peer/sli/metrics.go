package sli

import (
	"strings"
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// result is what an event comes to, content of which kind its content is, and phase a part of
// the way to the end.
type (
	result  int
	content int
	phase   int
)

const (
	good result = iota
	late
	cancelled
	results
)

const (
	available content = iota
	noProviders
	contents
)

const (
	noticed phase = iota
	queued
	fetching
	phases
)

// canaryResult is what became of a canary.
type canaryResult int

const (
	canaryGood canaryResult = iota
	canaryLate
	canaryFailed
	canaryResults
)

func resultName(r result) string   { return [results]string{"good", "late", "cancelled"}[r] }
func contentName(c content) string { return [contents]string{"available", "no_providers"}[c] }
func phaseName(p phase) string     { return [phases]string{"noticed", "queued", "fetching"}[p] }
func canaryName(r canaryResult) string {
	return [canaryResults]string{"good", "late", "failed"}[r]
}

// Metrics are what this package says to Prometheus. They are safe for concurrent use. A nil
// *Metrics measures nothing.
type Metrics struct {
	holder atomic.Pointer[Holder]

	events        [results][contents]prometheus.Counter
	latency       prometheus.Histogram
	phases        [phases]prometheus.Observer
	negative      prometheus.Counter
	forgottenPins prometheus.Counter // by an Acceptor
	forgottenLate prometheus.Counter // by a Holder
	canaries      [canaryResults]prometheus.Counter
	canaryLatency prometheus.Histogram
	all           []prometheus.Collector
}

// NewMetrics returns metrics that say nothing yet.
func NewMetrics() *Metrics {
	// A bucket ends at Deadline.
	buckets := []float64{.1, .5, 1, 2, 5, 10, 20, 30, 45, 60, 90, 120, 300, 600, 1800}
	events := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ipfscluster_pin_slo_events_total",
		Help: "Counts pins at each of their holders by what they came to: good when pinned within 60 seconds of their acceptance, " +
			"late when 60 seconds are over without that, cancelled when unpinned, replaced or given to others before. " +
			"The content is no_providers where, as far as the IPFS daemon tells, nobody provides it, else available.",
	}, []string{"result", "content"})
	phaseTimes := prometheus.NewHistogramVec(prometheus.HistogramOpts{
		Name: "ipfscluster_pin_phase_seconds",
		Help: "The seconds that pins take for each part of the way, observed when the part ends: noticed from the acceptance until " +
			"the holder learns of it, queued until the IPFS daemon is asked, fetching until it is noted durably that it is pinned.",
		Buckets: buckets,
	}, []string{"phase"})
	forgotten := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ipfscluster_pin_slo_forgotten_total",
		Help: "Counts what did not fit into the memory of the service level: accepted pins, for whose holders nobody counts if they " +
			"die before 60 seconds are over, and late pins, which may be counted as late a second time, and whose latency is not observed.",
	}, []string{"what"})
	canaries := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ipfscluster_canary_total",
		Help: "Counts the canary pins of this peer by what became of them: good when pinned by all holders within 60 seconds, " +
			"late when not, failed when they could not be added, accepted or looked at.",
	}, []string{"result"})
	m := &Metrics{
		latency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name: "ipfscluster_pin_latency_seconds",
			Help: "The seconds from the acceptance of a pin until it is noted durably that a holder has it pinned, observed when it is. " +
				"Pins that hang are not in it: ipfscluster_pin_slo_events_total counts them.",
			Buckets: buckets,
		}),
		negative: prometheus.NewCounter(prometheus.CounterOpts{
			Name: "ipfscluster_pin_clock_negative_total",
			Help: "Counts the pins that this peer has learnt of before they were accepted, by its clock: their latency is taken to be 0 seconds until then.",
		}),
		forgottenPins: forgotten.WithLabelValues("accepted"),
		forgottenLate: forgotten.WithLabelValues("late"),
		canaryLatency: prometheus.NewHistogram(prometheus.HistogramOpts{
			Name:    "ipfscluster_canary_latency_seconds",
			Help:    "The seconds from the acceptance of a canary pin until the last of its holders had it pinned, of canaries that all holders have pinned.",
			Buckets: buckets,
		}),
	}
	for r := range results {
		for c := range contents {
			m.events[r][c] = events.WithLabelValues(resultName(r), contentName(c))
		}
	}
	for p := range phases {
		m.phases[p] = phaseTimes.WithLabelValues(phaseName(p))
	}
	for r := range canaryResults {
		m.canaries[r] = canaries.WithLabelValues(canaryName(r))
	}
	m.all = []prometheus.Collector{events, m.latency, phaseTimes, forgotten, m.negative, canaries, m.canaryLatency,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ipfscluster_pin_pending",
			Help: "The number of pins that this peer is to hold, has learnt of and has not pinned so far, late ones included.",
		}, func() float64 {
			n, _ := m.holder.Load().pending(time.Now())
			return float64(n)
		}),
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ipfscluster_pin_oldest_pending_seconds",
			Help: "The seconds since the acceptance of the oldest pin of ipfscluster_pin_pending, 0 if there is none.",
		}, func() float64 {
			_, oldest := m.holder.Load().pending(time.Now())
			return oldest.Seconds()
		}),
	}
	return m
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	if m == nil {
		return
	}
	for _, c := range m.all {
		c.Describe(to)
	}
}

// Collect implements prometheus.Collector. It goes by memory alone.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	if m == nil {
		return
	}
	for _, c := range m.all {
		c.Collect(to)
	}
}

// count counts an event. One that is late has the trace of the write that began it as its
// example.
func (m *Metrics) count(r result, c content, traceparent string) {
	counter := m.events[r][c]
	if id := traceID(traceparent); r == late && id != "" {
		if e, ok := counter.(prometheus.ExemplarAdder); ok {
			e.AddWithExemplar(1, prometheus.Labels{"trace_id": id})
			return
		}
	}
	counter.Inc()
}

// took observes a latency, with the trace as its example.
func (m *Metrics) took(d time.Duration, traceparent string) {
	if id := traceID(traceparent); id != "" {
		if e, ok := m.latency.(prometheus.ExemplarObserver); ok {
			e.ObserveWithExemplar(d.Seconds(), prometheus.Labels{"trace_id": id})
			return
		}
	}
	m.latency.Observe(d.Seconds())
}

// traceID is that of a W3C trace context, empty if it is none. Only writes that are sampled
// have one.
func traceID(traceparent string) string {
	const version, digits = "00-", 32
	rest, ok := strings.CutPrefix(traceparent, version)
	if !ok || len(rest) <= digits || rest[digits] != '-' {
		return ""
	}
	return rest[:digits]
}
