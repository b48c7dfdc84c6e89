package peer

import (
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/metrictest"
)

// TestMetricsOfAllRooms: the metrics of the rooms go together, and a peer without any has
// rooms without any.
func TestMetricsOfAllRooms(t *testing.T) {
	m := NewMetrics()
	values := metrictest.Values(t, m)
	for _, series := range []string{`ipfscluster_peers{state="alive"}`, `ipfscluster_repin_moves_total{result="moved"}`, "ipfscluster_pin_oldest_pending_seconds", `ipfscluster_tracker_queue{priority="normal"}`} {
		if value, there := values[series]; !there || value != 0 {
			t.Errorf("%s is %v, there: %t", series, value, there)
		}
	}
	var none *Metrics
	prometheus.NewRegistry().MustRegister(none)
	none.Collect(nil)
	if none.rooms() != (Metrics{}) {
		t.Error("no metrics have rooms with metrics")
	}
}
