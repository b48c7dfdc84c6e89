package consume

import (
	"slices"
	"sync"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are those of the Consumers of a process, for Prometheus: the sums of their counts.
// They are zero until New was called with them. A nil *Metrics measures nothing.
type Metrics struct {
	mu        sync.Mutex
	consumers []*Consumer
	all       []prometheus.Collector
}

// NewMetrics returns metrics that say nothing yet.
func NewMetrics() *Metrics {
	m := &Metrics{}
	for _, c := range []struct {
		name, help string
		value      func(*counters) uint64
	}{
		{
			"handled_total", "Counts the events that the handlers of this process have handled.",
			func(c *counters) uint64 { return c.handled.Load() },
		}, {
			"dropped_total", "Counts the events that were dropped as they were not newer than what was handled already.",
			func(c *counters) uint64 { return c.dropped.Load() },
		}, {
			"superseded_total", "Counts the messages of a relay that had lost its shard to another one and did not know yet. They are dropped, as the other one tells the same events.",
			func(c *counters) uint64 { return c.superseded.Load() },
		}, {
			"handler_retries_total", "Counts how often a handler has failed and was called again for the same event.",
			func(c *counters) uint64 { return c.retries.Load() },
		}, {
			"gaps_total", "Counts how often messages were missing in the stream.",
			func(c *counters) uint64 { return c.gaps.Load() },
		}, {
			"late_total", "Counts how often the stream had dropped messages by its limits before this process has read them.",
			func(c *counters) uint64 { return c.late.Load() },
		}, {
			"replays_asked_total", "Counts how often a relay was asked to tell events again, because some were missed.",
			func(c *counters) uint64 { return c.asked.Load() },
		}, {
			"replays_received_total", "Counts the replays that were asked for and received whole.",
			func(c *counters) uint64 { return c.replays.Load() },
		},
	} {
		m.counter("ipfscluster_events_"+c.name, c.help, nil, c.value)
	}
	for reason, value := range map[Reason]func(*counters) uint64{
		Unknown:   func(c *counters) uint64 { return c.unknown.Load() },
		Malformed: func(c *counters) uint64 { return c.malformed.Load() },
		Failed:    func(c *counters) uint64 { return c.failed.Load() },
	} {
		m.counter("ipfscluster_events_dead_letters_total",
			"Counts the events that this process has put aside, by the reason: of a type that is unknown to it, malformed, or failed as the handler could not handle it or has refused it.",
			prometheus.Labels{"reason": string(reason)}, value)
	}
	return m
}

func (m *Metrics) counter(name, help string, labels prometheus.Labels, value func(*counters) uint64) {
	m.all = append(m.all, prometheus.NewCounterFunc(prometheus.CounterOpts{Name: name, Help: help, ConstLabels: labels}, func() float64 {
		m.mu.Lock()
		consumers := slices.Clone(m.consumers)
		m.mu.Unlock()
		sum := uint64(0)
		for _, c := range consumers {
			sum += value(&c.stats)
		}
		return float64(sum)
	}))
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

// watch has the metrics say what a Consumer does, too.
func (m *Metrics) watch(c *Consumer) {
	if m == nil {
		return
	}
	m.mu.Lock()
	defer m.mu.Unlock()
	m.consumers = append(m.consumers, c)
}
