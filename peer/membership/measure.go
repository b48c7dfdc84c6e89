package membership

import (
	"sync/atomic"
	"time"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are those of a Monitor, for Prometheus. They are zero until Claim was called with
// them. A nil *Metrics measures nothing.
type Metrics struct {
	monitor  atomic.Pointer[Monitor]
	failures prometheus.Counter
	all      []prometheus.Collector
}

// NewMetrics returns metrics that say nothing yet.
func NewMetrics() *Metrics {
	m := &Metrics{failures: prometheus.NewCounter(prometheus.CounterOpts{
		Name: "ipfscluster_heartbeat_failures_total",
		Help: "Counts the heartbeats of this peer that could not be written to the database.",
	})}
	m.all = []prometheus.Collector{
		m.failures,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ipfscluster_heartbeat_age_seconds",
			Help: "The seconds since this peer has written its last heartbeat to the database, or began to write them. It is 0 before that.",
		}, func() float64 {
			if monitor := m.monitor.Load(); monitor != nil {
				if at, _ := monitor.Beaten(); !at.IsZero() {
					return time.Since(at).Seconds()
				}
			}
			return 0
		}),
		m.peers("alive", func(p Peer) bool { return p.Live && !p.Removed }),
		m.peers("dead", func(p Peer) bool { return p.Dead() && !p.Removed }),
		m.peers("removed", func(p Peer) bool { return p.Removed }),
		m.peers("unknown", func(p Peer) bool { return !p.Live && !p.Dead() && !p.Removed }),
	}
	return m
}

// peers counts the peers in one state.
func (m *Metrics) peers(name string, is func(Peer) bool) prometheus.Collector {
	return prometheus.NewGaugeFunc(prometheus.GaugeOpts{
		Name: "ipfscluster_peers",
		Help: "The number of peers by state, as this peer sees them: alive, dead as their heartbeats stopped, " +
			"removed by an operator or by themselves, or unknown as they were seen first a moment ago.",
		ConstLabels: prometheus.Labels{"state": name},
	}, func() float64 {
		monitor := m.monitor.Load()
		if monitor == nil {
			return 0
		}
		n := 0
		for _, p := range monitor.View().Peers {
			if is(p) {
				n++
			}
		}
		return float64(n)
	})
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

// watch has the metrics say what a Monitor knows.
func (m *Metrics) watch(monitor *Monitor) {
	if m != nil {
		m.monitor.Store(monitor)
	}
}

func (m *Metrics) beatFailed() {
	if m != nil {
		m.failures.Inc()
	}
}
