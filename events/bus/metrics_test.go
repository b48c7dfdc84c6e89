package bus_test

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/metrictest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
)

func TestMetricsFollowTheRules(t *testing.T) {
	metrictest.Check(t, bus.NewMetrics(), "ipfscluster_events_", map[string][]string{"result": {"sent", "failed", "received"}})
	var none *bus.Metrics
	prometheus.NewRegistry().MustRegister(none)
	none.Collect(nil)
}

// TestMetrics: the connection is seen while it is there, and wake-ups count where they are sent,
// lost and received, one's own not.
func TestMetrics(t *testing.T) {
	cluster := natstest.Start(t, 1)
	ours, theirs := bus.NewMetrics(), bus.NewMetrics()
	a := connect(t, cluster, func(cfg *bus.Config) { cfg.Metrics = ours })
	b := connect(t, cluster, func(cfg *bus.Config) { cfg.Metrics = theirs })
	value := func(m *bus.Metrics, name string) float64 { return metrictest.Values(t, m)["ipfscluster_events_"+name] }
	until := func(what string, ok func() bool) {
		t.Helper()
		for deadline := time.Now().Add(2 * time.Minute); !ok(); time.Sleep(10 * time.Millisecond) {
			if time.Now().After(deadline) {
				t.Fatalf("waited in vain for %s: %v, %v", what, metrictest.Values(t, ours), metrictest.Values(t, theirs))
			}
		}
	}
	connected := func(want float64) func() bool {
		return func() bool { return value(ours, "connected") == want && value(theirs, "connected") == want }
	}
	until("the connections", connected(1))
	woken := make(chan struct{}, 100)
	stop, err := b.OnWake([]string{"x"}, func(string) { woken <- struct{}{} })
	must(t, err)
	must(t, b.Wake("x")) // its own
	until("the listener", func() bool {
		must(t, a.Wake("x"))
		return len(woken) > 0
	})
	must(t, stop())
	if came, sent := value(theirs, `wakes_total{result="received"}`), value(ours, `wakes_total{result="sent"}`); came < 1 || came > sent {
		t.Errorf("%v wake-ups of %v have come", came, sent) // those before the listener was known are lost
	}
	if value(theirs, `wakes_total{result="sent"}`) != 1 || value(ours, `wakes_total{result="received"}`) != 0 || value(ours, `wakes_total{result="failed"}`) != 0 {
		t.Errorf("counted %v and %v", metrictest.Values(t, ours), metrictest.Values(t, theirs))
	}
	cluster.Kill(0)
	until("the connections to be lost", connected(0))
	if a.Wake("x") == nil || value(ours, `wakes_total{result="failed"}`) != 1 {
		t.Errorf("a wake-up without a connection: counted %v", metrictest.Values(t, ours))
	}
	cluster.Start(t, 0)
	until("the connections to be back", connected(1))
	if n := value(ours, "reconnects_total"); n < 1 {
		t.Errorf("%v reconnects were counted", n)
	}
}
