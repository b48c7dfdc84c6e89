package multipeer

import (
	"fmt"
	"testing"
	"time"
)

// TestDatabaseOutage: while the database stands still, for many times as long as
// a heartbeat counts, nobody is taken for dead and no pin moves. Afterwards all
// goes on.
func TestDatabaseOutage(t *testing.T) {
	w := newWorld(t)
	w.ping = time.Second
	w.start(w.newNodes(3)...)
	w.repin.Store(true)
	w.pinMany("before", 6, w.nodes...)
	w.pin(w.nodes[0], "everywhere", factors(-1, -1))
	w.converge()
	before := w.desired()
	ttl := 2 * w.ping
	outage := 10 * ttl
	if long(t, "an outage of 10 times the life of a heartbeat, not 60") {
		outage = 60 * ttl
	}

	for _, n := range w.nodes {
		n.database.freeze()
	}
	for until := time.Now().Add(outage); time.Now().Before(until); time.Sleep(20 * time.Millisecond) {
		w.allAlive("during the outage")
	}
	if view := w.nodes[0].components.Monitor.View(); !view.Frozen {
		t.Error("a peer that cannot read judges others")
	}
	began := time.Now()
	// One sees the table before the others can write to it.
	first := w.nodes[0]
	reads := first.store.members.Load()
	first.database.thaw()
	eventually(t, "the first peer to read again", func() string {
		if first.store.members.Load() == reads {
			return "it has not"
		}
		return ""
	})
	for _, n := range w.nodes[1:] {
		n.database.thaw()
	}
	eventually(t, "the peers to read again", func() string {
		w.allAlive("after the outage")
		for _, n := range w.nodes {
			if n.components.Monitor.View().Frozen {
				return n.name + " judges nobody yet"
			}
		}
		return ""
	})
	t.Logf("all peers read again %s after an outage of %s", time.Since(began).Round(time.Millisecond), outage)
	w.lookForWork()
	w.allAlive("when all judge again")
	if after := w.desired(); !samePins(before, after) {
		t.Error("pins moved because of the outage")
	}
	w.meet()
	for i, n := range w.nodes {
		w.pin(n, fmt.Sprintf("after %d", i), factors(2, 3))
		w.unpin(n, cidOf(t, fmt.Sprintf("before %d", i)))
	}
	w.converge()
}

// allAlive checks that no peer takes another for dead.
func (w *world) allAlive(when string) {
	w.t.Helper()
	for _, n := range w.nodes {
		peers, err := n.components.Consensus.Peers(w.t.Context())
		if err != nil || len(peers) != len(w.nodes) {
			w.t.Fatalf("%s %s sees %d peers: %v", when, n.name, len(peers), err)
		}
		if alerts := n.cluster.Alerts(); len(alerts) > 0 {
			w.t.Fatalf("%s %s was alerted: %v", when, n.name, alerts)
		}
	}
}
