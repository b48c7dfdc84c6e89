package peer

import (
	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/reconcile"
)

// Metrics are those of the rooms of a peer, for Prometheus. A nil *Metrics measures nothing.
type Metrics struct {
	Membership *membership.Metrics
	Reconcile  *reconcile.Metrics
}

// NewMetrics returns metrics that say nothing until Join was called with them.
func NewMetrics() *Metrics {
	return &Metrics{Membership: membership.NewMetrics(), Reconcile: reconcile.NewMetrics()}
}

// rooms are the metrics of each, nil for those that measure nothing.
func (m *Metrics) rooms() Metrics {
	if m == nil {
		return Metrics{}
	}
	return *m
}

// Describe implements prometheus.Collector.
func (m *Metrics) Describe(to chan<- *prometheus.Desc) {
	rooms := m.rooms()
	rooms.Membership.Describe(to)
	rooms.Reconcile.Describe(to)
}

// Collect implements prometheus.Collector. It goes by memory alone.
func (m *Metrics) Collect(to chan<- prometheus.Metric) {
	rooms := m.rooms()
	rooms.Membership.Collect(to)
	rooms.Reconcile.Collect(to)
}
