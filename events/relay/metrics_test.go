package relay_test

import (
	"fmt"
	"testing"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/relay"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/metrictest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/natstest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func TestMetricsFollowTheRules(t *testing.T) {
	metrictest.Check(t, relay.NewMetrics(), "ipfscluster_events_", nil)
	var none *relay.Metrics
	prometheus.NewRegistry().MustRegister(none)
	none.Collect(nil)
}

// TestMetrics: what is told counts once, and while nothing can be told the lag grows and the
// failures count. A relay that has ended has no shards and no lag.
func TestMetrics(t *testing.T) {
	cluster := natstest.Start(t, 1)
	f, b := newFakeEvents(), connect(t, cluster)
	m := relay.NewMetrics()
	value := func(name string) float64 { return metrictest.Values(t, m)["ipfscluster_events_"+name] }
	atLeast := func(name string, n float64) func() string {
		return func() string {
			if got := value(name); got < n {
				return fmt.Sprintf("%s is %v, want %v", name, got, n)
			}
			return ""
		}
	}
	_, stop := start(t, relay.Options{Events: f, Bus: b, Holder: "a", Metrics: m})
	eventually(t, "all shards", atLeast("shards_held", state.EventShards))
	want := append(write(t, f, 3, 1), write(t, f, 2, 5)...)
	eventually(t, "the events", func() string { return missing(t, b, want) })
	eventually(t, "them to count", atLeast("published_total", 5))
	eventually(t, "all shards to be told up to a moment ago", func() string {
		if lag := value("lag_seconds"); lag <= 0 || lag > 60 {
			return fmt.Sprintf("the lag is %v s", lag)
		}
		return ""
	})
	if value("published_total") != 5 || value("streams_usable") != 1 || value("malformed_total") != 0 || value("replayed_total") != 0 {
		t.Errorf("the metrics are %v", metrictest.Values(t, m))
	}
	before := value("lag_seconds")
	cluster.Kill(0)
	write(t, f, 1, 3)
	eventually(t, "failures to count", atLeast("publish_failures_total", 2))
	eventually(t, "the lag to grow", atLeast("lag_seconds", before+0.5))
	if value("published_total") != 5 {
		t.Errorf("%v events are said to be told", value("published_total"))
	}
	stop()
	if value("shards_held") != 0 || value("lag_seconds") != 0 {
		t.Errorf("after its end the relay has %v shards and a lag of %v s", value("shards_held"), value("lag_seconds"))
	}
}
