package reconcile

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are those of the loops, for Prometheus. A nil *Metrics measures nothing.
type Metrics struct {
	loops atomic.Pointer[Reconciler]

	moved, settled, starved, changed, failed prometheus.Counter
	running, left                            prometheus.Gauge

	handedOver                    prometheus.Counter
	handOverLeft, handOverStarved prometheus.Gauge

	lateness prometheus.Histogram
	expired  prometheus.Counter

	scrubbed                                       prometheus.Counter
	told, strays, orphans                          prometheus.Counter
	badRows, suspects, starvedOrphans, loneOrphans prometheus.Counter
	progress                                       *prometheus.GaugeVec
	partsFailed                                    *prometheus.CounterVec

	all []prometheus.Collector
}

// Labels of the two halves of a scrub.
const (
	ofPinset = "pinset"
	ofHeld   = "held"
)

// NewMetrics returns metrics that say nothing yet.
func NewMetrics() *Metrics {
	m := &Metrics{}
	m.repin()
	m.handOver()
	m.expiry()
	m.scrub()
	return m
}

func (m *Metrics) repin() {
	moves := m.counters("ipfscluster_repin_moves_total",
		"Counts what became of pins that dead or removed peers held: moved to other peers, "+
			"settled as enough others have the content and those who are too many were taken off, starved as nobody could take them, "+
			"changed by somebody else meanwhile, or failed by an error. A pin is counted with each look at it.", "result")
	m.moved, m.settled = moves.WithLabelValues("moved"), moves.WithLabelValues("settled")
	m.starved, m.changed = moves.WithLabelValues("starved"), moves.WithLabelValues("changed")
	m.failed = moves.WithLabelValues("failed")
	m.running = m.gauge("ipfscluster_repin_running",
		"Is 1 while this peer goes through the pins of dead or removed peers to give them to others, and 0 otherwise.")
	m.left = m.gauge("ipfscluster_repin_left_buckets",
		"The number of buckets of pins of dead or removed peers that are not done, as far as this peer knows and without those that it has found to be the work of others: "+
			"to be begun, to be repeated, or waiting for peers that can take the pins. A peer has up to 4096 buckets.")
	m.all = append(m.all, prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ipfscluster_repin_stopped",
		Help: "Is 1 while the stop rule keeps the pins of dead peers where they are, as too many peers have died lately, and 0 otherwise.",
	}, func() float64 {
		if r := m.loops.Load(); r != nil && r.stop.isStopped() {
			return 1
		}
		return 0
	}))
}

func (m *Metrics) handOver() {
	m.handedOver = m.counter("ipfscluster_handover_moves_total",
		"Counts the pins that were taken off this peer while it leaves the cluster, as enough others have them.")
	m.handOverLeft = m.gauge("ipfscluster_handover_left_pins",
		"The number of pins that this peer still had to hand over before it can leave, when it last went through all. It is 0 while it does not leave.")
	m.handOverStarved = m.gauge("ipfscluster_handover_starved_pins",
		"The number of those pins that no other peer could take. It is 0 while this peer does not leave.")
}

func (m *Metrics) expiry() {
	m.lateness = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "ipfscluster_expiry_lateness_seconds",
		Help:    "The seconds between the time at which a pin ran out and its removal by this peer.",
		Buckets: []float64{1, 5, 10, 20, 30, 60, 120, 300, 600, 1800, 3600, 21600, 86400},
	})
	m.all = append(m.all, m.lateness)
	m.expired = m.counter("ipfscluster_expiry_removed_total", "Counts the pins that this peer removed because they had run out.")
}

func (m *Metrics) scrub() {
	m.scrubbed = m.counter("ipfscluster_scrub_pins_total", "Counts the pins that the scrub has compared with what the peers hold.")
	repairs := m.counters("ipfscluster_scrub_repairs_total",
		"Counts what the scrub has repaired: peers were told to look at a pin again, stray entries were removed from the list of the pins that every peer holds, "+
			"or pins of removed peers were moved to others.", "what")
	m.told, m.strays, m.orphans = repairs.WithLabelValues("told"), repairs.WithLabelValues("stray"), repairs.WithLabelValues("moved")
	found := m.counters("ipfscluster_scrub_findings_total",
		"Counts what the scrub has found and cannot repair, with each look at it: rows that cannot be decoded, pins that may have been removed and have come back (suspect), "+
			"and pins of removed peers that nobody can take (starved) or that no live peer has (alone).", "what")
	m.badRows, m.suspects = found.WithLabelValues("bad_row"), found.WithLabelValues("suspect")
	m.starvedOrphans, m.loneOrphans = found.WithLabelValues("starved"), found.WithLabelValues("alone")
	m.progress = prometheus.NewGaugeVec(prometheus.GaugeOpts{
		Name: "ipfscluster_scrub_progress",
		Help: "How much of the present round of the scrub is done, from 0 to 1, of the pinset and of what the peers hold. All peers are at the same place.",
	}, []string{"of"})
	m.all = append(m.all, m.progress)
	m.partsFailed = m.counters("ipfscluster_scrub_failures_total",
		"Counts the parts of a round of the scrub that failed, of the pinset and of what the peers hold. Each is tried up to 3 times in a round.", "of")
	for _, of := range []string{ofPinset, ofHeld} {
		m.progress.WithLabelValues(of)
		m.partsFailed.WithLabelValues(of)
	}
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
	m.all = append(m.all, c)
	return c
}

func (m *Metrics) counters(name, help, label string) *prometheus.CounterVec {
	c := prometheus.NewCounterVec(prometheus.CounterOpts{Name: name, Help: help}, []string{label})
	m.all = append(m.all, c)
	return c
}

func (m *Metrics) gauge(name, help string) prometheus.Gauge {
	g := prometheus.NewGauge(prometheus.GaugeOpts{Name: name, Help: help})
	m.all = append(m.all, g)
	return g
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
