package bus

import (
	"sync/atomic"

	"github.com/prometheus/client_golang/prometheus"
)

// Metrics are those of a Bus, for Prometheus. They are zero until Connect was called with
// them. A nil *Metrics measures nothing.
type Metrics struct {
	bus                             atomic.Pointer[Bus]
	wakesSent, wakesLost, wakesCame prometheus.Counter
	all                             []prometheus.Collector
}

// NewMetrics returns metrics that say nothing yet.
func NewMetrics() *Metrics {
	m := &Metrics{}
	wakes := prometheus.NewCounterVec(prometheus.CounterOpts{
		Name: "ipfscluster_events_wakes_total",
		Help: "Counts the wake-ups of feeds, which tell other processes that there is something new: " +
			"sent by this process, failed to be sent, or received from others. One that is lost delays what it tells of, and nothing else.",
	}, []string{"result"})
	m.wakesSent, m.wakesLost, m.wakesCame = wakes.WithLabelValues("sent"), wakes.WithLabelValues("failed"), wakes.WithLabelValues("received")
	m.all = []prometheus.Collector{
		wakes,
		prometheus.NewGaugeFunc(prometheus.GaugeOpts{
			Name: "ipfscluster_events_connected",
			Help: "Is 1 while this process is connected to NATS, and 0 otherwise.",
		}, func() float64 {
			if b := m.bus.Load(); b != nil && b.conn.IsConnected() {
				return 1
			}
			return 0
		}),
		prometheus.NewCounterFunc(prometheus.CounterOpts{
			Name: "ipfscluster_events_reconnects_total",
			Help: "Counts how often this process was connected to NATS again after it had lost the connection.",
		}, func() float64 {
			if b := m.bus.Load(); b != nil {
				return float64(b.conn.Stats().Reconnects)
			}
			return 0
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

// watch has the metrics say what a Bus does.
func (m *Metrics) watch(b *Bus) {
	if m != nil {
		m.bus.Store(b)
	}
}

func (m *Metrics) woke(err error) {
	switch {
	case m == nil:
	case err != nil:
		m.wakesLost.Inc()
	default:
		m.wakesSent.Inc()
	}
}

func (m *Metrics) woken() {
	if m != nil {
		m.wakesCame.Inc()
	}
}
