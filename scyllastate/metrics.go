package scyllastate

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// Metrics are those of a Store, of its requests to the database, and of the feed of its peer,
// for Prometheus. They are zero
// until Open was called with them, those of the feed until it is consumed. A nil *Metrics
// measures nothing.
type Metrics struct {
	schema    prometheus.Gauge
	conflicts map[operation]prometheus.Counter
	rounds    prometheus.Histogram

	// feed is what reads the changes for this peer, nil before it does.
	feed                           atomic.Pointer[feedReader]
	rows, fenced, strays, repaired prometheus.Counter

	exact prometheus.Gauge
	cql   *scylla.Metrics
	all   []prometheus.Collector
}

// operation names a kind of write.
type operation string

const (
	// byUpdate is a decision on what the row holds, byReplace a write whatever it holds.
	byUpdate  operation = "update"
	byReplace operation = "replace"
	// byWriteIf is one that gives way to any other write.
	byWriteIf operation = "write_if"
	// byFence ends a writer.
	byFence operation = "fence"
)

// NewMetrics returns metrics that say nothing yet.
func NewMetrics() *Metrics {
	m := &Metrics{conflicts: make(map[operation]prometheus.Counter), cql: scylla.NewMetrics()}
	m.schema = m.gauge("ipfscluster_state_schema_version",
		"The version of the schema that this process has found or made in its keyspace, and works with.")
	conflicts := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ipfscluster_cas_conflicts_total",
		Help: "Counts the conditional writes of pins that were not applied because somebody else was faster, by operation: " +
			"update and replace decide again and retry, write_if gives way, and fence ends a stopped writer, which has then written.",
	}, []string{"operation"})
	m.all = append(m.all, conflicts)
	for _, op := range []operation{byUpdate, byReplace, byWriteIf, byFence} {
		m.conflicts[op] = conflicts.WithLabelValues(string(op))
	}
	m.rounds = prometheus.NewHistogram(prometheus.HistogramOpts{
		Name:    "ipfscluster_cas_rounds",
		Help:    "How many conditional writes it took until a pin was written: 1 without a conflict.",
		Buckets: []float64{1, 2, 3, 5, 8, 13},
	})
	m.all = append(m.all, m.rounds)
	m.ofFeed()
	m.exact = m.gauge("ipfscluster_pins_exact",
		"Is 1 if the number of pins that the metric pins shows was found by counting all, and 0 if it is estimated from a part of them or is not known.")
	return m
}

// ofFeed makes the metrics of the feed.
func (m *Metrics) ofFeed() {
	m.all = append(m.all, feedGauges{&m.feed,
		prometheus.NewDesc("ipfscluster_feed_lag_seconds",
			"How far this peer is behind with the changes for it, in seconds: the age of the oldest change that it has read and not done, or, "+
				"if that is more, how long it has not read to the end of its feed. Some seconds are usual.", nil, nil),
		prometheus.NewDesc("ipfscluster_feed_lag_rows", "The number of changes for this peer that it has read and not done yet.", nil, nil),
		prometheus.NewDesc("ipfscluster_feed_pending", "The number of CIDs whose change waits for its writer, which has announced it and not made it yet.", nil, nil),
	})
	m.rows = m.counter("ipfscluster_feed_rows_total", "Counts the changes for this peer that it has read, each once.")
	m.strays = m.counter("ipfscluster_feed_strays_total",
		"Counts those of them that appeared in the feed after newer ones had been read.")
	m.fenced = m.counter("ipfscluster_feed_fenced_total",
		"Counts the writers that this process has fenced, as they had announced a change and not made it in time.")
	m.repaired = m.counter("ipfscluster_feed_repaired_total",
		"Counts the changes that this process has appended again, to the feed of any peer, because the scrub found that the peer has to look at a pin again.")
}

func (m *Metrics) counter(name, help string) prometheus.Counter {
	c := prometheus.NewCounter(prometheus.CounterOpts{Name: name, Help: help})
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
	m.cql.Describe(to)
	for _, c := range m.all {
		c.Describe(to)
	}
}

// Collect implements prometheus.Collector. It goes by memory alone.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	if m == nil {
		return
	}
	m.cql.Collect(to)
	for _, c := range m.all {
		c.Collect(to)
	}
}

// client are those of the requests to the database.
func (m *Metrics) client() *scylla.Metrics {
	if m == nil {
		return nil
	}
	return m.cql
}

func (m *Metrics) hasSchema(version int) {
	if m != nil {
		m.schema.Set(float64(version))
	}
}

// conflict counts a conditional write that was not applied.
func (m *Metrics) conflict(op operation) {
	if m != nil {
		m.conflicts[op].Inc()
	}
}

// written counts a write that was applied by so many conditional writes.
func (m *Metrics) written(rounds int) {
	if m != nil {
		m.rounds.Observe(float64(rounds))
	}
}

func (m *Metrics) hasFenced() {
	if m != nil {
		m.fenced.Inc()
	}
}

func (m *Metrics) told(changes int) {
	if m != nil {
		m.repaired.Add(float64(changes))
	}
}

// countsPins says whether the number of pins was found by counting all.
func (m *Metrics) countsPins(exact bool) {
	if m == nil {
		return
	}
	m.exact.Set(0)
	if exact {
		m.exact.Set(1)
	}
}

// reads has the metrics say what a reader of this peer's own feed knows.
func (m *Metrics) reads(r *feedReader) {
	if m != nil {
		m.feed.Store(r)
	}
}

// took counts a change that was read. It is a stray if newer ones had been read.
func (m *Metrics) took(stray bool) {
	if m == nil {
		return
	}
	m.rows.Inc()
	if stray {
		m.strays.Inc()
	}
}

// feedGauges look at the reader of the feed once for all of them.
type feedGauges struct {
	feed                         *atomic.Pointer[feedReader]
	lagSeconds, lagRows, pending *prometheus.Desc
}

// Describe implements prometheus.Collector.
func (g feedGauges) Describe(to chan<- *prometheus.Desc) {
	for _, desc := range []*prometheus.Desc{g.lagSeconds, g.lagRows, g.pending} {
		to <- desc
	}
}

// Collect implements prometheus.Collector.
func (g feedGauges) Collect(to chan<- prometheus.Metric) {
	var s feedState
	if r := g.feed.Load(); r != nil {
		s = r.state()
	}
	to <- prometheus.MustNewConstMetric(g.lagSeconds, prometheus.GaugeValue, s.lag.Seconds())
	to <- prometheus.MustNewConstMetric(g.lagRows, prometheus.GaugeValue, float64(s.open))
	to <- prometheus.MustNewConstMetric(g.pending, prometheus.GaugeValue, float64(s.pending))
}

// feedReader is what reads the own feed of a peer.
type feedReader struct {
	tail *tail
	out  *dispatcher
}

// feedState is how far that is.
type feedState struct {
	lag           time.Duration
	open, pending int
}

// state looks at the reader, in memory. It goes through the CIDs whose changes are not
// done, of which there are some ten thousand at most.
func (r *feedReader) state() feedState {
	now := r.tail.feed.now()
	r.tail.mu.Lock()
	final := r.tail.final
	r.tail.mu.Unlock()
	// What is not final yet is read to its end, but for what may come late.
	s := feedState{lag: max(0, now.Sub(final)-r.tail.feed.store.lim.window()), open: len(r.out.slots)}
	r.out.mu.Lock()
	defer r.out.mu.Unlock()
	if c := r.out.open.oldest(); c != nil {
		s.lag = max(s.lag, now.Sub(c.at))
	}
	for _, t := range r.out.tasks {
		if t.pending && t.timer != nil { // else it is not looked at again by itself, or just now
			s.pending++
		}
	}
	return s
}
