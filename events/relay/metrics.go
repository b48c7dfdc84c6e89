package relay

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are those of a Relay, for Prometheus: its Stats, and how far behind it is. They are
// zero until New was called with them. A nil *Metrics measures nothing.
type Metrics struct {
	relay atomic.Pointer[Relay]
	all   []prometheus.Collector
}

// NewMetrics returns metrics that say nothing yet.
func NewMetrics() *Metrics {
	m := &Metrics{}
	counter := func(name, help string, value func(Stats) uint64) prometheus.Collector {
		return prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help}, func() float64 { return float64(value(m.stats())) })
	}
	gauge := func(name, help string, value func() float64) prometheus.Collector {
		return prometheus.NewGaugeFunc(prometheus.GaugeOpts{Name: name, Help: help}, value)
	}
	m.all = []prometheus.Collector{
		counter("ipfscluster_events_published_total",
			"Counts the events that this process has told and that the stream has acknowledged, without those that were told again on request.",
			func(s Stats) uint64 { return s.Published }),
		counter("ipfscluster_events_publish_failures_total",
			"Counts the batches of events that could not be published and were tried again.",
			func(s Stats) uint64 { return s.Failures }),
		counter("ipfscluster_events_replayed_total",
			"Counts the events that this process has told again because a consumer asked for a replay.",
			func(s Stats) uint64 { return s.Replayed }),
		counter("ipfscluster_events_malformed_total",
			"Counts the rows of the feeds of events that cannot be told and were passed over. There are none unless there is a bug.",
			func(s Stats) uint64 { return s.Malformed }),
		counter("ipfscluster_events_streams_refused_total",
			"Counts how often the streams of events could not be used when this process looked at them.",
			func(s Stats) uint64 { return s.Refused }),
		gauge("ipfscluster_events_streams_usable",
			"Is 1 if the streams of events could be used when this process looked at them last, and 0 otherwise.",
			func() float64 {
				if m.stats().Usable {
					return 1
				}
				return 0
			}),
		gauge("ipfscluster_events_shards_held",
			"The number of shards of events that this process tells. The sum over all peers is the number of shards, 16, while all events are told.",
			func() float64 { return float64(m.stats().Shards) }),
		gauge("ipfscluster_events_lag_seconds",
			"The seconds between the time up to which all events are told and now, of the shard of this process that is furthest behind. "+
				"It is 0 without a shard. Rows may appear late in a feed, so that 10 to 15 seconds are usual, although events are told sooner than that.",
			func() float64 {
				if r := m.relay.Load(); r != nil {
					return r.stats.lag(time.Now()).Seconds()
				}
				return 0
			}),
	}
	return m
}

func (m *Metrics) stats() Stats {
	if r := m.relay.Load(); r != nil {
		return r.Stats()
	}
	return Stats{}
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

// watch has the metrics say what a Relay does.
func (m *Metrics) watch(r *Relay) {
	if m != nil {
		m.relay.Store(r)
	}
}
