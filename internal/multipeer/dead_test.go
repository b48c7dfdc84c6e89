package multipeer

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// pinMany pins so many CIDs on two peers each, in turn.
func (w *world) pinMany(what string, n int, on ...*node) {
	w.t.Helper()
	for i := range n {
		a, b := on[i%len(on)], on[(i+1)%len(on)]
		w.allocate(w.nodes[0], fmt.Sprintf("%s %d", what, i), 2, 2, a, b)
	}
}

// holdersLeft waits until no pin is allocated to the nodes.
func (w *world) holdersLeft(nodes ...*node) {
	w.t.Helper()
	eventually(w.t, "pins to leave the peers that are gone", func() string {
		for c, pin := range w.desired() {
			for _, n := range nodes {
				if slices.Contains(pin.Allocations, n.id) {
					return fmt.Sprintf("%s is allocated to %s", c, n.name)
				}
			}
		}
		return ""
	})
}

// TestDeadPeerRepinned: the pins of a peer that died are given to others, also
// those that it was given and did not learn of.
func TestDeadPeerRepinned(t *testing.T) {
	w := newPeers(t, 4)
	w.repin.Store(true)
	dead := w.nodes[3]
	w.pinMany("before", 8, w.nodes...)
	everywhere := w.pin(w.nodes[0], "everywhere", factors(-1, -1))
	w.converge()
	dead.kill()
	// Nobody knows yet.
	w.allocate(w.nodes[0], "unread", 1, 1, dead)
	w.allocate(w.nodes[1], "half read", 2, 2, dead, w.nodes[0])
	w.died(dead)
	w.holdersLeft(dead)
	w.converge()
	for c, pin := range w.desired() {
		if len(pin.Allocations) != pin.ReplicationFactorMax && c != everywhere.Cid {
			t.Errorf("%s is allocated to %v", c, pin.Allocations)
		}
	}
	// It comes back and has nothing to do with them any more.
	w.start(dead)
	w.converge()
	if held := dead.kubo.held(); len(held) != 1 {
		t.Errorf("the peer that came back holds %v", held)
	}
}

// TestDisableRepinning: with repinning off nothing moves, until it is turned on.
func TestDisableRepinning(t *testing.T) {
	w := newPeers(t, 3)
	dead := w.nodes[2]
	w.pinMany("pin", 4, w.nodes[1], dead)
	w.converge()
	before := w.desired()
	dead.kill()
	w.died(dead)
	w.lookForWork()
	if after := w.desired(); !samePins(before, after) {
		t.Errorf("pins moved: %v, were %v", after, before)
	}
	w.repin.Store(true)
	w.holdersLeft(dead)
	w.converge()
}

// samePins compares what the pins are allocated to.
func samePins(a, b map[api.Cid]api.Pin) bool {
	if len(a) != len(b) {
		return false
	}
	for c, pin := range a {
		other, ok := b[c]
		if !ok || !slices.Equal(pin.Allocations, other.Allocations) {
			return false
		}
	}
	return true
}

// TestRminRmaxDeadHolder: a dead peer stays a holder while enough others live.
func TestRminRmaxDeadHolder(t *testing.T) {
	w := newPeers(t, 3)
	w.repin.Store(true)
	a, b, dead := w.nodes[0], w.nodes[1], w.nodes[2]
	enough := w.allocate(a, "enough", 1, 2, a, dead)
	tooFew := w.allocate(a, "too few", 2, 2, a, dead)
	w.converge()
	dead.kill()
	w.died(dead)
	eventually(t, "the pin with too few holders to move", func() string {
		if got := w.allocations(tooFew.Cid); !slices.Equal(got, []string{a.name, b.name}) {
			return fmt.Sprint(got)
		}
		return ""
	})
	w.lookForWork()
	if got := w.allocations(enough.Cid); !slices.Equal(got, []string{a.name, dead.name}) {
		t.Errorf("the pin with enough holders is allocated to %v", got)
	}
	w.converge()
}

// powerCut kills peers at once: none of them has time to see that others are gone.
func powerCut(nodes ...*node) {
	for _, n := range nodes {
		n.cut()
	}
	for _, n := range nodes {
		n.kill()
	}
}

// wantStill looks for a while whether pins move, which they should not.
func (w *world) wantStill(why string, before map[api.Cid]api.Pin) {
	w.t.Helper()
	w.lookForWork()
	if after := w.desired(); !samePins(before, after) {
		w.t.Errorf("%s: pins moved", why)
	}
}

// TestStopRule: when half of the peers die at once, nothing moves. When all are back
// and one dies alone, its pins do.
func TestStopRule(t *testing.T) {
	w := newPeers(t, 4)
	w.repin.Store(true)
	dead := w.nodes[2:]
	w.pinMany("pin", 6, w.nodes...)
	for i, n := range dead {
		w.allocate(w.nodes[0], fmt.Sprintf("alone %d", i), 1, 1, n)
	}
	w.converge()
	before := w.desired()
	powerCut(dead...)
	w.died(dead...)
	w.wantStill("half of the peers died", before)
	w.start(dead...)
	w.wantStill("they are back", before)
	dead[0].kill()
	w.died(dead[0])
	w.holdersLeft(dead[0])
	w.converge()
}

// TestColdStart: after a power cut nobody gives the pins of those who are not back yet
// to others, also when he is started again. Kubo keeps what it has.
func TestColdStart(t *testing.T) {
	w := newPeers(t, 4)
	w.repin.Store(true)
	first, second := w.nodes[0], w.nodes[1]
	w.pinMany("pin", 6, w.nodes...)
	for i := range 8 {
		w.allocate(first, fmt.Sprintf("alone %d", i), 1, 1, w.nodes[i%4])
	}
	w.converge()
	before := w.desired()
	powerCut(w.nodes...)

	w.start(first)
	w.died(w.nodes[1:]...)
	w.wantStill("the first is back", before)
	powerCut(first)
	w.start(first)
	w.died(w.nodes[1:]...)
	w.wantStill("the first was started again", before)
	w.start(second)
	w.died(w.nodes[2:]...)
	w.wantStill("the second is back", before)
	w.start(w.nodes[2:]...)
	w.converge()
	w.wantStill("all are back", before)

	w.nodes[3].kill()
	w.died(w.nodes[3])
	w.holdersLeft(w.nodes[3])
	w.converge()
}

// TestUpdateOfGonePin: a pin that was made by updating another one is pinned,
// and moves, also when that other one is gone; one that is gone already cannot
// be updated, as under upstream.
func TestUpdateOfGonePin(t *testing.T) {
	w := newPeers(t, 3)
	w.repin.Store(true)
	dead := w.nodes[2]
	source := w.allocate(w.nodes[0], "source", 1, 1, dead)
	w.converge()
	update := api.PinOptions{PinUpdate: source.Cid}
	updated, err := w.nodes[0].cluster.Pin(t.Context(), cidOf(t, "updated"), update)
	must(t, err)
	_, err = w.nodes[1].cluster.Unpin(t.Context(), source.Cid)
	must(t, err)
	w.converge()
	if !slices.Equal(updated.Allocations, source.Allocations) {
		t.Errorf("allocated to %v, the source was to %v", updated.Allocations, source.Allocations)
	}
	if _, err := w.nodes[0].cluster.Pin(t.Context(), cidOf(t, "too late"), update); err == nil {
		t.Error("a pin that is gone was updated")
	}
	dead.kill()
	w.died(dead)
	w.holdersLeft(dead)
	w.converge()
}
