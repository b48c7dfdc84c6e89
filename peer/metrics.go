package peer

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/drift"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/reconcile"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/sli"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/tracker"
)

// Metrics are those of the rooms of a peer, for Prometheus. A nil *Metrics measures nothing.
type Metrics struct {
	Membership *membership.Metrics
	Reconcile  *reconcile.Metrics
	SLI        *sli.Metrics
	Tracker    *tracker.Metrics
	Drift      *drift.Metrics
}

// NewMetrics returns metrics that say nothing until Join was called with them.
func NewMetrics() *Metrics {
	return &Metrics{
		Membership: membership.NewMetrics(), Reconcile: reconcile.NewMetrics(), SLI: sli.NewMetrics(), Tracker: tracker.NewMetrics(),
		Drift: drift.NewMetrics(),
	}
}

// rooms are the metrics of each, nil for those that measure nothing.
func (m *Metrics) rooms() Metrics {
	if m == nil {
		return Metrics{}
	}
	return *m
}

// all are those that measure something.
func (m *Metrics) all() []prometheus.Collector {
	rooms := m.rooms()
	return []prometheus.Collector{rooms.Membership, rooms.Reconcile, rooms.SLI, rooms.Tracker, rooms.Drift}
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	for _, room := range m.all() {
		room.Describe(to)
	}
}

// Collect implements prometheus.Collector. It goes by memory alone.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	for _, room := range m.all() {
		room.Collect(to)
	}
}
