package membership

import (
	"testing"
	"time"

	"github.com/prometheus/client_golang/prometheus"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/metrictest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func TestMetricsFollowTheRules(t *testing.T) {
	metrictest.Check(t, NewMetrics(), "ipfscluster_", map[string][]string{"state": {"alive", "dead", "removed", "unknown"}})
	var none *Metrics
	prometheus.NewRegistry().MustRegister(none)
	none.Collect(nil)
}

// TestMetricsOfPeers: the peers are counted as the view has them, and who is removed is
// neither alive nor dead.
func TestMetricsOfPeers(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		m := NewMetrics()
		before := metrictest.Values(t, m)
		want := func(what string, alive, dead, removed, unknown float64) {
			t.Helper()
			got := metrictest.Values(t, m)
			for name, n := range map[string]float64{"alive": alive, "dead": dead, "removed": removed, "unknown": unknown} {
				if got[`ipfscluster_peers{state="`+name+`"}`] != n {
					t.Errorf("%s: %v peers are %s, want %v", what, got[`ipfscluster_peers{state="`+name+`"}`], name, n)
				}
			}
			if failures := got["ipfscluster_heartbeat_failures_total"]; failures != 0 {
				t.Errorf("%s: %v heartbeats have failed", what, failures)
			}
		}
		opts := options(db, "A")
		opts.Metrics = m
		stop(t, mustClaim(t, options(db, "D"))) // it never sends a heartbeat
		a := mustClaim(t, opts)
		want("a peer that was not heard of yet", 1, 0, 0, 1)
		a.Start(nil)
		t.Cleanup(func() { stop(t, a) })
		b := startPeer(t, options(db, "B"))
		startPeer(t, options(db, "C"))
		after(settled)
		want("one that died", 3, 1, 0, 0)
		stop(t, b)
		after(settled + interval)
		want("another one that died", 2, 2, 0, 0)
		db.edit("B", func(m *state.Member) { m.Removed = time.Now() })
		db.edit("C", func(m *state.Member) { m.Removed = time.Now() })
		after(interval)
		want("two that were removed", 1, 1, 2, 0)
		if moved := metrictest.Moved(t, m, before); len(moved) > 4 {
			t.Errorf("these have moved: %v", moved)
		}
	})
}

// TestMetricsOfHeartbeats: the age grows while they fail and is small again afterwards, and each
// failure is counted.
func TestMetricsOfHeartbeats(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		m := NewMetrics()
		age := func() time.Duration {
			return time.Duration(metrictest.Values(t, m)["ipfscluster_heartbeat_age_seconds"] * float64(time.Second))
		}
		failures := func() float64 { return metrictest.Values(t, m)["ipfscluster_heartbeat_failures_total"] }
		opts := options(db, "A")
		opts.Metrics = m
		a := mustClaim(t, opts)
		after(time.Hour)
		if age() != 0 {
			t.Errorf("a peer that has not begun is %s behind", age())
		}
		_, announced, _ := db.counts()
		db.set(func(db *table) { db.beatErr = errDown })
		a.Start(nil)
		t.Cleanup(func() { stop(t, a) })
		after(time.Minute)
		if got := age(); got < time.Minute || got > time.Minute+time.Second {
			t.Errorf("after a minute without a heartbeat the age is %s", got)
		}
		if _, tried, _ := db.counts(); failures() != float64(tried-announced) {
			t.Errorf("%v failures were counted of %d heartbeats", failures(), tried-announced)
		}
		db.set(func(db *table) { db.beatErr = nil })
		after(interval)
		before := failures()
		after(10 * interval)
		if got := age(); got > interval {
			t.Errorf("with heartbeats every %s the age is %s", interval, got)
		}
		if failures() != before {
			t.Error("heartbeats that were written count as failures")
		}
	})
}
