package multipeer

import (
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// unpins notes how many others have what the Kubo of a node is about to unpin, also those
// that are down.
func (w *world) unpins(n *node, c string) {
	others := 0
	for _, other := range w.nodes {
		for has := range other.kubo.pinned() {
			if other != n && has.String() == c {
				others++
			}
		}
	}
	w.holders.left(c, others)
}

// left notes how many are left that hold a CID.
func (h *holders) left(c string, n int) {
	h.mu.Lock()
	defer h.mu.Unlock()
	if least, known := h.least[c]; !known || n < least {
		h.least[c] = n
	}
}

// fails lets the machines of nodes fail at once: their peers and their Kubos.
func fails(nodes ...*node) {
	powerCut(nodes...)
	for _, n := range nodes {
		n.kubo.kill()
	}
}

// returns starts the machines of nodes again.
func (w *world) returns(nodes ...*node) {
	w.t.Helper()
	for _, n := range nodes {
		n.kubo.run()
	}
	w.connect()
	w.start(nodes...)
}

// connect connects all Kubos that run.
func (w *world) connect() {
	w.t.Helper()
	for i, n := range w.nodes {
		for _, other := range w.nodes[:i] {
			if n.kubo.runs() && other.kubo.runs() {
				n.kubo.connect(other.kubo)
			}
		}
	}
}

// collect lets every Kubo that runs remove what it has not pinned.
func (w *world) collect() {
	w.t.Helper()
	for _, n := range w.nodes {
		if n.kubo.runs() {
			n.kubo.collect()
		}
	}
}

// onlyCopies is a cluster of four peers with real Kubos, each of which has content that
// no other has.
type onlyCopies struct {
	*world
	pins []api.Pin
}

func newOnlyCopies(t *testing.T, program string, hour time.Duration) *onlyCopies {
	t.Helper()
	w := newWorld(t)
	w.program, w.hour, w.ping, w.recover = program, hour, 2*time.Second, 5*time.Second
	w.repin.Store(true)
	nodes := w.newNodes(4)
	w.connect()
	w.start(nodes...)
	o := &onlyCopies{world: w}
	for i := range 12 {
		n, text := nodes[i%4], fmt.Sprintf("only copy %d", i)
		n.kubo.add(text)
		o.pins = append(o.pins, w.allocate(nodes[(i+1)%4], text, 1, 1, n))
	}
	w.converge()
	w.collect()
	o.wantContent("at first")
	return o
}

// wantContent wants that nobody has unpinned the last copy of a pin, and that a holder has
// its content after a garbage collection.
func (o *onlyCopies) wantContent(when string) {
	o.t.Helper()
	o.collect()
	for i, pin := range o.pins {
		if left, known := o.holders.leastOf(pin.Cid); known && left < 1 {
			o.t.Errorf("%s: somebody has unpinned the last copy of pin %d", when, i)
		}
		have := 0
		for _, n := range o.nodes {
			if n.kubo.pinned()[pin.Cid] && (!n.kubo.runs() || n.kubo.hasBlock(pin.Cid)) {
				have++
			}
		}
		if have < 1 {
			o.t.Errorf("%s: nobody has the content of pin %d", when, i)
		}
	}
	if o.t.Failed() {
		o.t.FailNow()
	}
}

func (h *holders) leastOf(c api.Cid) (n int, known bool) {
	h.mu.Lock()
	defer h.mu.Unlock()
	n, known = h.least[c.String()]
	return n, known
}

// of are the pins that a node holds alone.
func (o *onlyCopies) of(n *node) []api.Pin {
	now := o.desired()
	return slices.DeleteFunc(slices.Clone(o.pins), func(pin api.Pin) bool {
		return !slices.Equal(now[pin.Cid].Allocations, ids(n))
	})
}

// coldStart: after a power cut the peers come back one after another, the first one twice.
func (o *onlyCopies) coldStart(first, second *node, others ...*node) {
	o.t.Helper()
	before := o.desired()
	fails(o.nodes...)
	for range 2 {
		o.returns(first)
		o.died(append(others, second)...)
		o.wantStill("the first is back", before)
		o.wantContent("the first is back")
		fails(first)
	}
	o.returns(first, second)
	o.died(others...)
	o.wantStill("the second is back", before)
	o.returns(others...)
	o.converge()
	o.wantStill("all are back", before)
	o.wantContent("after a power cut")
}

// restart: half of the peers are dead, and one of the others starts again.
func (o *onlyCopies) restart(again *node, dead ...*node) {
	o.t.Helper()
	before := o.desired()
	fails(dead...)
	o.died(dead...)
	o.wantStill("half of the peers died", before)
	fails(again)
	o.returns(again)
	o.died(dead...)
	o.wantStill("one of the others has started again", before)
	o.wantContent("one of the others has started again")
	o.returns(dead...)
	o.converge()
	o.wantContent("after a restart")
}

// repinned: the only holder dies, others are to fetch what nobody has, and it returns.
func (o *onlyCopies) repinned(only *node) {
	o.t.Helper()
	pins := o.of(only)
	fails(only)
	o.died(only)
	o.wantAllocations("others to try", pins, func(names []string) bool { return len(names) == 2 && slices.Contains(names, only.name) })
	o.wantContent("the only holder is dead")
	o.returns(only)
	o.wantAllocations("one holder to be left", pins, func(names []string) bool { return len(names) == 1 })
	o.converge()
	o.wantContent("the only holder has returned")
}

// drained: the only holder leaves.
func (o *onlyCopies) drained(by, only *node) {
	o.t.Helper()
	must(o.t, by.cluster.PeerRemove(o.t.Context(), only.id))
	o.stopsItself(only)
	o.converge()
	if pins := only.kubo.pinned(); len(pins) > 0 {
		o.t.Errorf("the peer that left has pinned %v", pins)
	}
	o.wantContent("the only holder has left")
}

// outlasts: nobody but one comes back within the hour, which is short here.
func (o *onlyCopies) outlasts(first *node, others ...*node) {
	o.t.Helper()
	pins := o.of(others[0])
	fails(o.nodes...)
	o.returns(first)
	o.wantAllocations("the hour to pass", pins, func(names []string) bool { return len(names) == 2 && slices.Contains(names, first.name) })
	o.wantContent("the hour has passed")
	o.returns(others...)
	o.wantAllocations("one holder to be left", pins, func(names []string) bool { return len(names) == 1 })
	o.converge()
	o.wantContent("all are back after an hour")
}

// TestContentThatOnlyOneHas survives power cuts, restarts, deaths, returns and hand-overs, with
// real Kubos that collect garbage all the while.
func TestContentThatOnlyOneHas(t *testing.T) {
	longOnly(t, "it takes minutes; TestOnlyHolder and TestColdStart are without real content")
	program := buildKubo(t)
	for run := range 5 {
		t.Run(fmt.Sprint("run ", run), func(t *testing.T) {
			hour := 15 * time.Minute
			if run == 4 {
				hour = 20 * time.Second
			}
			o := newOnlyCopies(t, program, hour)
			at := func(i int) *node { return o.nodes[(run+i)%4] }
			if run == 4 {
				o.outlasts(at(0), at(1), at(2), at(3))
			} else {
				o.coldStart(at(0), at(1), at(2), at(3))
				o.restart(at(1), at(2), at(3))
			}
			o.repinned(at(2))
			o.drained(at(1), at(3))
		})
	}
}
