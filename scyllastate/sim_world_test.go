package scyllastate

import (
	"fmt"
	"hash/fnv"
	"math"
	"sync"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

const (
	simCids  = 4
	simPeers = 3
	// simPrelude is the time in which the peers take their first position.
	simPrelude = time.Second
	never      = time.Duration(math.MaxInt64)
)

// What the schedules are about. They are made once: outside of the bubbles, and
// because it takes time.
var (
	simCidList, simPeerList = simNames()
	simLabels               = simLabel()
)

func simNames() ([]api.Cid, []peer.ID) {
	var cids []api.Cid
	for i := range simCids {
		cids = append(cids, statetest.Cid(fmt.Sprint("simulated ", i)))
	}
	var peers []peer.ID
	for i := range simPeers {
		peers = append(peers, statetest.Peer(fmt.Sprint("simulated ", i)))
	}
	return cids, peers
}

func simLabel() map[string]string {
	labels := make(map[string]string)
	for i, c := range simCidList {
		labels[string(c.Bytes())] = fmt.Sprint("c", i)
	}
	for i, p := range simPeerList {
		labels[p.String()] = fmt.Sprint("p", i)
	}
	return labels
}

func label(c api.Cid) string { return simLabels[string(c.Bytes())] }

// world is one schedule: the database, the network, what goes wrong, and a
// record of what happened.
type world struct {
	seed           uint64
	lim            limits
	requestTimeout time.Duration
	length         time.Duration // from start to calm
	grace          time.Duration
	// late is how late an update may arrive. With the half of grace that the
	// store allows a write it must stay below grace.
	late time.Duration
	cids int
	// slow is set where nothing fails, and all that happens is that.
	slow *simSlow
	// tracker is set when the real Tracker acts, in place of handler.act.
	tracker bool
	// relay reads the events, nil where there are none.
	relay *simRelay
	// pause is the longest time between two calls of a writer.
	pause   time.Duration
	odds    odds
	tracing bool

	// Things go wrong from start until calm.
	start, calm time.Time

	mu       sync.Mutex
	machines []*machine
	peers    []*simPeer
	// lanes are those of the writers that are not done.
	lanes int
	// over ends everything.
	over    bool
	pins    simPins
	changes map[simSlot][]simChange
	cursors map[string]cursor
	// everywhere has the CIDs that are listed among the pins of every peer.
	everywhere map[api.Cid]bool
	// underWay counts what is sent and has not arrived.
	underWay int
	// moved is when something happened last.
	moved  time.Time
	record record
	trace  []string
	sum    uint64
	broken []string
}

// odds are how often, in a thousand, something goes wrong with a request.
type odds struct {
	lost, lostAnswer, late, slow, twice, hanging, refused, stall, crash, ipfs int
	// jobs is how often IPFS works while nobody waits.
	jobs int
	// gc is how often an unpin that is given up is made later, old how often what a
	// Tracker is told of the tables is old.
	gc, old int
	// These are no faults: how often a pin is direct or for every peer, how often a
	// lane goes on with the CID of its last call, a user pins by hand, and a Tracker
	// is asked to look at a pin.
	direct, everywhere, again, user, hint int
}

// newWorld draws the kind of schedule: not all kinds of faults occur in each.
func newWorld(seed uint64, tracing bool) *world {
	d := newDraw(seed, 0, "world")
	some := func(permille int) int {
		if d.chance(400) {
			return 0
		}
		return permille
	}
	w := &world{
		seed: seed, tracing: tracing, start: time.Now().Add(simPrelude),
		lim:            limits{writeDeadline: 3 * time.Second, clockSkew: 300 * time.Millisecond},
		requestTimeout: 2 * time.Second,
		length:         d.between(30*time.Second, 60*time.Second),
		grace:          10 * time.Minute,
		late:           20 * time.Second,
		cids:           1 + d.below(simCids),
		odds: odds{
			lost: some(20), lostAnswer: some(60), late: some(40), slow: some(80), twice: some(60), hanging: some(40),
			refused: some(15), stall: some(90), crash: some(25), ipfs: some(120), jobs: 300,
			direct: some(300), everywhere: some(200), again: some(400), user: some(600), gc: some(500), hint: some(300), old: some(250),
		},
		pins:    simPins{rows: make(map[string]simRow), hanging: make(map[string]func(bool))},
		changes: make(map[simSlot][]simChange),
		cursors: make(map[string]cursor), everywhere: make(map[api.Cid]bool),
		record: newRecord(),
	}
	w.tracker = d.chance(400)
	w.pause = 12 * time.Second
	if d.chance(500) {
		w.grace, w.late = 30*time.Second, 12*time.Second // markers run out within the schedule
		if d.chance(500) {
			w.pause, w.length = 40*time.Second, 2*w.length
		}
	}
	if d.chance(150) {
		w.slow = newSimSlow(d)
		w.grace = 10 * time.Minute // a slow write is not a stale one
		w.odds = odds{jobs: w.odds.jobs, direct: w.odds.direct, everywhere: w.odds.everywhere, again: w.odds.again}
	}
	if d.chance(400) {
		w.relay = newSimRelay(w)
	}
	w.calm = w.start.Add(w.length)
	w.moved = w.start
	return w
}

func (w *world) draw(n int, words ...string) *draw { return newDraw(w.seed, n, words...) }

// faulty reports whether things still go wrong.
func (w *world) faulty() bool {
	now := time.Now()
	return !now.Before(w.start) && now.Before(w.calm)
}

// later runs f when something that was sent arrives.
func (w *world) later(after time.Duration, f func()) {
	w.mu.Lock()
	w.underWay++
	w.mu.Unlock()
	time.AfterFunc(after, func() {
		w.mu.Lock()
		defer w.mu.Unlock()
		w.underWay--
		if !w.over {
			f()
		}
	})
}

// note adds to the trace. What the notes of one instant say must not depend on
// their order, and the sum does not. The caller holds the lock.
func (w *world) note(format string, args ...any) {
	if !w.tracing {
		return
	}
	line := fmt.Sprintf("%11.6fs  %s", time.Since(w.start).Seconds(), fmt.Sprintf(format, args...))
	h := fnv.New64a()
	_, _ = fmt.Fprint(h, time.Since(w.start).Nanoseconds(), line)
	w.sum += h.Sum64()
	w.trace = append(w.trace, line)
}

// fail records a broken promise. The caller holds the lock.
func (w *world) fail(format string, args ...any) {
	w.note("BROKEN: "+format, args...)
	w.broken = append(w.broken, fmt.Sprintf(format, args...))
}

// settleHanging finishes what hangs on a row, or rules it out, as the next
// ballot does. The caller holds the lock.
func (w *world) settleHanging(key string) {
	if f := w.pins.hanging[key]; f != nil {
		delete(w.pins.hanging, key)
		d := w.draw(int(time.Since(w.start)), "hanging", key)
		f(d.chance(600))
	}
}

// update runs a conditional statement and records what came of it. The caller
// holds the lock.
func (w *world) update(text, kind string, p *process, wr *write, o *op, promise promise) (bool, row) {
	before := w.pins.read(string(wr.cid.Bytes()), time.Now(), "rev", "prev", "pin")
	applied, now := w.pins.swap(text, wr, w.grace, time.Now())
	w.starves(o, applied, now)
	if w.tracing {
		w.note("%s: %s of %s by %s, rev %s if %s: %s", p.name, kind, label(wr.cid), o.title(), stamp(wr.rev), stamp(wr.old.rev),
			map[bool]string{true: "applied", false: "not applied, the row has rev " + stamp(now.rev)}[applied])
	}
	if applied {
		w.moved = time.Now()
		w.applied(wr, before, o, promise)
	}
	return applied, now
}

func (w *world) feedName(feed string) string {
	if name := simLabels[feed]; name != "" {
		return name
	}
	return feed
}

func (w *world) label(cid []byte) string { return simLabels[string(cid)] }

// stamp names a revision in the trace: its random bits differ from run to run.
func stamp(rev gocql.UUID) string {
	if rev == (gocql.UUID{}) {
		return "none"
	}
	return rev.Time().UTC().Format("04:05.0000000")
}
