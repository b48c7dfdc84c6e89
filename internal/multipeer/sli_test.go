package multipeer

import (
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/metrictest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/sli"
)

// counted are the events that a node has counted: good ones, and late ones.
func (n *node) counted() (good, late float64) {
	n.w.t.Helper()
	values := metrictest.Values(n.w.t, n.slo)
	return values[`ipfscluster_pin_slo_events_total{content="available",result="good"}`],
		values[`ipfscluster_pin_slo_events_total{content="available",result="late"}`]
}

func (n *node) wantCounted(what string, good, late float64) {
	n.w.t.Helper()
	if g, l := n.counted(); g != good || l != late {
		n.w.t.Errorf("%s: %s has counted %v good and %v late, want %v and %v", what, n.name, g, l, good, late)
	}
}

// TestLateAtADeadHolder: a pin on a live peer and a dead one is good at the one, and late at
// the other when its time is over, which the peer counts that has accepted it.
func TestLateAtADeadHolder(t *testing.T) {
	longOnly(t, "it waits for a deadline of a minute")
	w := newWorld(t)
	nodes := w.newNodes(3)
	for _, n := range nodes {
		n.slo = sli.NewMetrics()
	}
	w.start(nodes...)
	accepts, lives, dead := nodes[0], nodes[1], nodes[2]
	dead.kill()
	w.died(dead)
	began := time.Now()
	w.allocate(accepts, "a", 2, 2, lives, dead)
	eventually(t, "the live holder to count", func() string {
		if good, _ := lives.counted(); good != 1 {
			return "it has not"
		}
		return ""
	})
	accepts.wantCounted("before the deadline", 0, 0)
	eventually(t, "the other one to be late", func() string {
		if _, late := accepts.counted(); late != 1 {
			return "it is not"
		}
		return ""
	})
	// Not sooner, by the clock, and by the test's patience not much later.
	if took := time.Since(began); took < sli.Deadline-time.Second {
		t.Errorf("it was late after %s", took)
	}
	dead.slo = sli.NewMetrics()
	w.start(dead)
	eventually(t, "the one that came back to count", func() string {
		if good, late := dead.counted(); good != 0 || late != 1 {
			return "it has not"
		}
		return ""
	})
	w.converge()
	eventually(t, "its latency to be observed", func() string {
		if metrictest.Values(t, dead.slo)["ipfscluster_pin_latency_seconds_count"] != 1 {
			return "it is not"
		}
		return ""
	})
	accepts.wantCounted("at the end", 0, 1)
	lives.wantCounted("at the end", 1, 0)
	dead.wantCounted("at the end", 0, 1)
}
