package multipeer

import (
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
)

// stopsItself waits until the peer has ended because it was removed.
func (w *world) stopsItself(n *node) {
	w.t.Helper()
	select {
	case <-n.cluster.Done():
	case <-time.After(patience):
		w.t.Fatalf("%s goes on although it was removed", n.name)
	}
	n.stop()
}

// TestPeerRemoved: a peer that is removed stops, and its pins are given to
// others when repinning is on.
func TestPeerRemoved(t *testing.T) {
	w := newPeers(t, 3)
	gone := w.nodes[2]
	w.pinMany("pin", 4, w.nodes[1], gone)
	w.converge()
	// Without repinning nothing is handed over first.
	must(t, w.nodes[0].cluster.PeerRemove(t.Context(), gone.id))
	w.stopsItself(gone)
	w.leftBehind(2)
	w.lookForWork()
	for c := range w.desired() {
		if got := w.allocations(c); len(got) != 2 || got[1] != gone.name {
			t.Errorf("%s moved to %v although repinning is off", c, got)
		}
	}
	w.repin.Store(true)
	w.holdersLeft(gone)
	w.converge()
}

// leftBehind waits until every live peer knows that so many are in the cluster.
func (w *world) leftBehind(peers int) {
	w.t.Helper()
	eventually(w.t, "the others to notice", func() string {
		for _, n := range w.live() {
			if in, err := n.components.Consensus.Peers(w.t.Context()); err != nil || len(in) != peers {
				return fmt.Sprintf("%s sees %d peers: %v", n.name, len(in), err)
			}
			// Lists go by the view, which is read at other moments.
			in := slices.DeleteFunc(slices.Clone(n.components.Monitor.View().Peers), func(p membership.Peer) bool { return p.Removed })
			if len(in) != peers {
				return fmt.Sprintf("%s lists %d peers", n.name, len(in))
			}
		}
		return ""
	})
}

// TestRemovedPeerComesBack: a removed peer starts only if it is told to join
// again. It then serves as any other, and what is not its any more leaves it.
func TestRemovedPeerComesBack(t *testing.T) {
	w := newPeers(t, 3)
	gone := w.nodes[2]
	w.pinMany("old", 4, w.nodes[1], gone)
	w.converge()
	must(t, w.nodes[0].cluster.PeerRemove(t.Context(), gone.id))
	w.stopsItself(gone)
	w.repin.Store(true)
	w.holdersLeft(gone)
	if held := gone.kubo.held(); len(held) != 4 {
		t.Fatalf("while the peer is away its IPFS daemon holds %d pins", len(held))
	}

	err := gone.start(false)
	if err == nil || !strings.Contains(err.Error(), "was removed from the cluster") || !strings.Contains(err.Error(), "--bootstrap") {
		t.Fatalf("a removed peer started: %v", err)
	}
	must(t, gone.start(true))
	w.meet()
	w.pin(gone, "new", factors(3, 3))
	w.converge()
	if held := gone.kubo.held(); len(held) != 1 {
		t.Errorf("the peer that came back holds %v", held)
	}
}

// TestLastPeerCannotLeave: nobody would hold the pins.
func TestLastPeerCannotLeave(t *testing.T) {
	w := newPeers(t, 1)
	n := w.nodes[0]
	err := n.cluster.PeerRemove(t.Context(), n.id)
	if err == nil || !strings.Contains(err.Error(), "the last peer of the cluster") {
		t.Fatalf("the last peer was removed: %v", err)
	}
	w.pin(n, "still at work", factors(1, 1))
	w.converge()
}

// TestDrain: a live peer that is removed hands its pins over first. At no moment
// do fewer peers hold a pin than it asks for.
func TestDrain(t *testing.T) {
	w := newPeers(t, 3)
	w.repin.Store(true)
	leaving := w.nodes[2]
	w.pinMany("pin", 6, w.nodes...)
	alone := w.allocate(w.nodes[0], "alone", 1, 1, leaving)
	w.allocate(w.nodes[0], "spare", 1, 3, w.nodes...)
	w.converge()
	w.holders.begin()
	// The others take their time with what they are given.
	release := w.holdPins(w.nodes[:2]...)
	must(t, w.nodes[0].cluster.PeerRemove(t.Context(), leaving.id))
	eventually(t, "pins to be given to others", func() string {
		if got := w.allocations(alone.Cid); len(got) < 2 {
			return fmt.Sprint(got)
		}
		return ""
	})
	w.lookForWork()
	if got := w.allocations(alone.Cid); len(got) != 2 || got[1] != leaving.name {
		t.Errorf("before another peer has it, the pin is allocated to %v", got)
	}
	release()
	w.stopsItself(leaving)
	if held := leaving.kubo.held(); len(held) > 0 {
		t.Errorf("the peer that left holds %v", held)
	}
	w.converge()
	for c, pin := range w.desired() {
		if n := w.holders.fewest(c); n < pin.ReplicationFactorMin {
			t.Errorf("%s was held by %d peers for a while, want at least %d", c, n, pin.ReplicationFactorMin)
		}
	}
	if placed := w.placements()[leaving.id.String()]; len(placed) > 0 {
		t.Errorf("the peer that left has placements: %v", placed)
	}
}

// holdPins lets the IPFS daemons of the nodes finish no pin until release.
func (w *world) holdPins(nodes ...*node) (release func()) {
	var gates []*gate
	for _, n := range nodes {
		n.ipfs.pins.Lock()
		gates = append(gates, n.ipfs)
	}
	release = sync.OnceFunc(func() {
		for _, g := range gates {
			g.pins.Unlock()
		}
	})
	w.t.Cleanup(release)
	return release
}
