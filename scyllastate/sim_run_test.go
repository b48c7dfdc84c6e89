package scyllastate

import (
	"fmt"
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"
	"time"

	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster/api"

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

// runSeed runs one schedule in a bubble of its own.
func runSeed(t *testing.T, seed uint64, tracing bool) (w *world) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("seed %d: %v", seed, r)
		}
	}()
	synctest.Test(t, func(*testing.T) { w = simulate(seed, tracing) })
	return w
}

// simSeeds is which schedules to run: those that SIM_SEEDS names (first-last),
// 100,000 with TEST_LONG=1, 200 else, and 1,000 in TestSimulationFindsPlantedBugs.
func simSeeds(t *testing.T) (first, last uint64) {
	t.Helper()
	text := os.Getenv("SIM_SEEDS")
	if text == "" {
		text = "1-200"
		if os.Getenv("TEST_LONG") == "1" {
			text = "1-100000"
		}
	}
	from, to, _ := strings.Cut(text, "-")
	first, err1 := strconv.ParseUint(from, 10, 64)
	last, err2 := strconv.ParseUint(to, 10, 64)
	if err1 != nil || err2 != nil {
		t.Fatalf("SIM_SEEDS=%s: want first-last", text)
	}
	return first, last
}

// silence keeps the log of the store out of the way: it tells of every fault.
func silence(t *testing.T) {
	t.Helper()
	for _, name := range []string{"scyllastate", "tracker"} {
		if err := logging.SetLogLevel(name, "fatal"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = logging.SetLogLevel(name, "error") })
	}
}

// TestSimulation runs the write path, the feed and the act code through
// schedules of faults. SIM_SEED=n repeats one schedule and prints it.
func TestSimulation(t *testing.T) {
	silence(t)
	if text := os.Getenv("SIM_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		w := runSeed(t, seed, true)
		t.Log("\n" + w.report())
		if len(w.broken) > 0 {
			t.Errorf("seed %d breaks %d promises", seed, len(w.broken))
		}
		return
	}
	first, last := simSeeds(t)
	var next atomic.Uint64
	next.Store(first)
	var failed atomic.Bool
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for !failed.Load() {
				seed := next.Add(1) - 1
				if seed > last {
					return
				}
				w := runSeed(t, seed, false)
				if w != nil && len(w.broken) > 0 && !failed.Swap(true) {
					t.Errorf("seed %d: %s\nSIM_SEED=%d go test -run 'TestSimulation$' ./scyllastate repeats it", seed, strings.Join(w.broken, "\n"), seed)
				}
			}
		})
	}
	group.Wait()
}

// TestSimulationRepeats shows that a seed means one schedule.
func TestSimulationRepeats(t *testing.T) {
	silence(t)
	first, last := uint64(1), uint64(50)
	if os.Getenv("SIM_SEEDS") != "" {
		first, last = simSeeds(t)
	}
	for seed := first; seed <= last; seed++ {
		one, two := runSeed(t, seed, true), runSeed(t, seed, true)
		if one.sum == two.sum {
			continue
		}
		slices.Sort(one.trace)
		slices.Sort(two.trace)
		for i := range min(len(one.trace), len(two.trace)) {
			if one.trace[i] != two.trace[i] {
				t.Errorf("seed %d differs:\n%s\n%s", seed, one.trace[i], two.trace[i])
				break
			}
		}
		if !t.Failed() {
			t.Errorf("seed %d differs in its length", seed)
		}
	}
}
