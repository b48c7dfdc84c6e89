package scyllastate

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/simtest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// quietLimit is how long after the last fault everything must be in order.
const quietLimit = 10 * time.Minute

// simulate runs one schedule. It must be called in a bubble.
func simulate(seed uint64, tracing bool) *world {
	w := newWorld(seed, tracing)
	d := w.draw(0, "machines")
	var peers []*simPeer
	for i := range 2 + d.below(simPeers-1) {
		peers = append(peers, newSimPeer(w, fmt.Sprint("p", i), simPeerList[i]))
	}
	for i := len(peers); i < simPeers; i++ {
		peers = append(peers, newSimPeer(w, fmt.Sprint("p", i), simPeerList[i]))
	}
	w.peers = peers
	for _, p := range peers {
		p.start()
		w.machines = append(w.machines, p.machine)
	}
	time.Sleep(time.Until(w.start))
	for _, p := range peers {
		<-p.claimed
	}
	for i := range 2 + d.below(2) {
		w.machines = append(w.machines, newWriter(w, fmt.Sprint("w", i)))
	}
	if w.relay != nil {
		w.machines = append(w.machines, w.relay.machine)
	}
	if w.tracker {
		for _, p := range peers {
			w.user(p)
		}
	}
	for _, m := range w.machines {
		if m.current == nil {
			m.start()
		}
		m.plan()
	}
	w.settle(peers)
	w.end()
	return w
}

// settle waits until nothing happens any more and checks the result.
func (w *world) settle(peers []*simPeer) {
	for {
		time.Sleep(time.Second + 7*time.Microsecond)
		w.mu.Lock()
		calm := time.Since(w.calm)
		busy := w.lanes > 0 || w.underWay > 0
		quiet := calm > 0 && !busy && time.Since(w.moved) > 2*w.lim.window()
		if quiet || calm > quietLimit {
			wrong := w.wrong(peers)
			if w.lanes > 0 { // a cursor may be under way at any time
				wrong = append(wrong, "the writers do not come to an end")
			}
			if len(wrong) == 0 || calm > quietLimit {
				for _, text := range wrong {
					w.fail("at the end %s", text)
				}
				w.mu.Unlock()
				return
			}
		}
		if len(w.broken) > 0 {
			w.mu.Unlock()
			return
		}
		w.mu.Unlock()
	}
}

// wrong tells what the peers hold that the pinset does not say, and the other
// way around.
func (w *world) wrong(peers []*simPeer) (out []string) {
	for _, c := range simCidList {
		r := w.pins.read(string(c.Bytes()), time.Now(), "rev", "prev", "pin")
		pin, err := r.decode(c)
		if err != nil {
			out = append(out, err.Error())
			continue
		}
		for _, p := range peers {
			if p.keeps(c, pin, state.Revision(r.rev)) {
				continue
			}
			if text := w.wrongAt(p, c, pin); text != "" {
				row, there := p.placements[c].get()
				out = append(out, fmt.Sprintf("%s of %s: %s (placement there: %t, status %d, depth %s; the pin is %q with rev %s)",
					label(c), p.name, text, there, row.Status, depthText(row.Depth), nameOf(c, r), stamp(r.rev)))
			}
		}
	}
	if text := w.unfinished(); text != "" {
		out = append(out, text)
	}
	if w.relay != nil {
		out = append(out, w.relay.wrong()...)
	}
	return out
}

// keeps tells whether the peer has content that the pin is to be taken off for the reason
// that no other peer has it, and notes that it is to go: a holder may be unable to pin it,
// as its user has it pinned in another way. The caller holds the lock of the world.
func (p *simPeer) keeps(c api.Cid, pin *api.Pin, rev state.Revision) bool {
	row, there := p.placements[c].get()
	if pin == nil || !pin.IsRemotePin(p.id) || !there || !row.Status.Leaving() {
		return false
	}
	return !slices.ContainsFunc(p.w.peers, func(other *simPeer) bool {
		row, there := other.placements[c].get()
		return !pin.IsRemotePin(other.id) && there && row.Status == state.PlacementPinned && row.Rev == rev
	})
}

// end stops all processes and gives their goroutines the time to notice. One
// that does not is found by the bubble.
func (w *world) end() {
	w.mu.Lock()
	w.over = true
	for _, m := range w.machines {
		if m.current != nil {
			m.current.dead.Store(true)
			m.current.cancel()
		}
	}
	w.mu.Unlock()
	time.Sleep(time.Hour)
}

// simulation is that of the write path, the feed and the act code.
func simulation() simtest.Simulation {
	return simtest.Simulation{
		Test: "TestSimulation", Package: "scyllastate", Files: "sim_*_test.go", Loggers: []string{"scyllastate", "tracker"}, Few: 200, Many: 100_000,
		Schedule: func(_ *testing.T, seed uint64, tracing bool) simtest.Outcome {
			w := simulate(seed, tracing)
			return simtest.Outcome{Broken: w.broken, Trace: w.trace, Sum: w.sum}
		},
	}
}

// TestSimulation runs the write path, the feed and the act code through schedules of
// faults.
func TestSimulation(t *testing.T) { simulation().Run(t) }

// TestSimulationRepeats shows that a seed means one schedule.
func TestSimulationRepeats(t *testing.T) { simulation().Repeats(t, 50) }
