package multipeer

import (
	"fmt"
	"slices"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// wantAllocations waits until the pins are with the given peers.
func (w *world) wantAllocations(what string, pins []api.Pin, want func(names []string) bool) {
	w.t.Helper()
	eventually(w.t, what, func() string {
		for _, pin := range pins {
			if names := w.allocations(pin.Cid); !want(names) {
				return fmt.Sprintf("%s is with %v", pin.Cid, names)
			}
		}
		return ""
	})
}

// wantCopies says which of the pins nobody has had at some moment since begin.
func (w *world) wantCopies(pins []api.Pin) {
	w.t.Helper()
	for _, pin := range pins {
		if n := w.holders.fewest(pin.Cid); n < 1 {
			w.t.Errorf("at some moment nobody had %s", pin.Cid)
		}
	}
}

// TestOnlyHolder: content that only one peer has stays with it when it dies and comes
// back, and when its pins are given to others, until those have it.
func TestOnlyHolder(t *testing.T) {
	w := newPeers(t, 3)
	w.repin.Store(true)
	others, only := w.nodes[:2], w.nodes[2]
	var pins []api.Pin
	for i := range 8 {
		pins = append(pins, w.allocate(others[0], fmt.Sprintf("only %d", i), 1, 1, only))
	}
	w.converge()
	w.holders.begin()
	for _, n := range others {
		n.ipfs.lacksContent.Store(true)
	}

	only.kill()
	w.died(only)
	w.wantAllocations("others to try", pins, func(names []string) bool { return len(names) == 2 && slices.Contains(names, only.name) })
	w.start(only)
	w.wantAllocations("its pins to be its alone", pins, func(names []string) bool { return slices.Equal(names, []string{only.name}) })
	w.wantCopies(pins)

	// A pin add goes by upstream's rules, which know nothing of content.
	for i := range pins {
		pins[i] = w.allocate(others[0], fmt.Sprintf("only %d", i), 1, 1, others[i%2])
	}
	eventually(t, "the only holder to notice", func() string {
		for _, pin := range pins {
			row, there, err := only.store.GetPlacement(t.Context(), only.id, pin.Cid)
			if err != nil || !there || row.Status != state.PlacementUnpinning {
				return fmt.Sprintf("the row of %s is %v, %v", pin.Cid, row, err)
			}
		}
		return ""
	})
	w.lookForWork()
	w.wantCopies(pins)
	for i, n := range others {
		n.ipfs.lacksContent.Store(false)
		for _, pin := range pins[i:] {
			if slices.Contains(pin.Allocations, n.id) {
				if _, err := n.components.Tracker.Recover(t.Context(), pin.Cid); err != nil {
					t.Error(err)
				}
			}
		}
	}
	w.converge()
	w.wantCopies(pins)
	if held := only.kubo.held(); len(held) != 0 {
		t.Errorf("the peer that had them alone still has %d", len(held))
	}
}
