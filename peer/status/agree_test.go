package status

import (
	"errors"
	"maps"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestListsAgree: what a listing says of a pin is what the answer about it alone says,
// also of pins that every peer holds.
func TestListsAgree(t *testing.T) {
	withoutDaemon := func(k int) func(*world) {
		return func(w *world) { w.member(k, func(p *membership.Peer) { p.Role = membership.RoleAPI }) }
	}
	removed := func(p *membership.Peer) { p.Removed = true }
	for name, set := range map[string]func(*world){
		"all are well":                     func(*world) {},
		"one is dead":                      func(w *world) { w.member(1, dies) },
		"all lists fail":                   func(w *world) { w.failAll() },
		"a peer without a daemon":          withoutDaemon(1),
		"a holder without a daemon":        withoutDaemon(0),
		"a holder was removed":             func(w *world) { w.member(2, removed) },
		"all holders were removed":         func(w *world) { w.member(0, removed); w.member(2, removed) },
		"a holder that nobody knows":       func(w *world) { w.give("on one", statetest.Peer("gone")) },
		"a pin cannot be decoded":          func(w *world) { w.pins.bad[statetest.Cid("on two")] = true },
		"one is dead, and a pin corrupt":   func(w *world) { w.member(2, dies); w.pins.bad[statetest.Cid("on two")] = true },
		"IPFS has lost something":          func(w *world) { w.loses(0, "on two", "everywhere") },
		"a holder that may not be asked":   func(w *world) { w.nodes[2].closed = true },
		"pins of no time, and one is dead": func(w *world) { w.forgetTimes(); w.member(2, dies) },
	} {
		t.Run(name, func(t *testing.T) {
			w := newWorld(t, 3)
			pins := []api.Pin{w.pin("everywhere"), w.pin("everywhere, too"), w.pin("on two", 0, 2), w.pin("on one", 0)}
			set(w)
			for _, filter := range []api.TrackerStatus{
				0, api.TrackerStatusPinned, api.TrackerStatusRemote, api.TrackerStatusError, api.TrackerStatusClusterError,
				api.TrackerStatusPinQueued | api.TrackerStatusClusterError, api.TrackerStatusUnexpectedlyUnpinned,
			} {
				listed := make(map[api.Cid]map[int]api.TrackerStatus)
				all, err := w.list(t.Context(), filter)
				if err != nil && !filter.Match(api.TrackerStatusClusterError) && (w.nodes[1].broken || w.nodes[2].closed) {
					continue // it cannot be complete, and says so
				}
				if err != nil {
					t.Fatal(err)
				}
				for _, info := range all {
					listed[info.Cid] = w.byPeer(info)
				}
				for _, pin := range pins {
					want, err := w.status(pin.Cid)
					if err != nil {
						t.Fatal(err)
					}
					maps.DeleteFunc(want, func(_ int, s api.TrackerStatus) bool { return !s.Match(filter) })
					if got := listed[pin.Cid]; !maps.Equal(got, want) {
						t.Errorf("the list for %q says of %q %v, alone it is %v", filter, pin.Name, got, want)
					}
				}
			}
		})
	}
}

// give has a peer hold a pin, too.
func (w *world) give(label string, to peer.ID) {
	pin := w.pins.pins[statetest.Cid(label)]
	pin.Allocations = append(slices.Clone(pin.Allocations), to)
	w.pins.pins[pin.Cid] = pin
}

// loses has the daemon of a peer lose pins.
func (w *world) loses(k int, labels ...string) {
	n := w.nodes[k]
	n.set(func() {
		n.lost = make(map[api.Cid]bool)
		for _, label := range labels {
			n.lost[statetest.Cid(label)] = true
		}
	})
}

// forgetTimes makes pins as those of clusters that did not note when they were made.
func (w *world) forgetTimes() {
	for c, pin := range w.pins.pins {
		pin.Timestamp = time.Time{}
		w.pins.pins[c] = pin
	}
}

// failAll makes every peer fail, as when each has lost its IPFS daemon.
func (w *world) failAll() {
	for _, n := range w.nodes {
		n.broken, n.fails = true, errors.New("it broke")
	}
}
