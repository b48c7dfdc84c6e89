package reconcile

import (
	"context"
	"fmt"
	"hash/fnv"
	"math/rand/v2"
	"slices"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
)

// sim is one schedule: peers that come and go, their IPFS daemons, the tables, and what
// is promised of the content.
type sim struct {
	seed    uint64
	tracing bool
	began   time.Time
	store   *fakeStore
	table   *simTable
	// faults is how many requests to the database fail, in a thousand.
	faults atomic.Int64
	// lag is how long changes are under way to the peers at most.
	lag time.Duration
	// names are those of the CIDs, feeds what the peers are told. They are made before
	// anything runs.
	names map[api.Cid]string
	feeds map[peer.ID]*simFeed

	ctx     context.Context // of what is to happen later
	calm    context.CancelFunc
	running sync.WaitGroup

	mu    sync.Mutex
	nodes []*simNode
	pins  []*simPin
	// accrued is up to when the time is counted in which peers were gone.
	accrued time.Time
	trace   []string
	sum     uint64
	broken  []string
	// tally counts what has happened.
	tally map[string]int
}

// simNode is where a peer runs.
type simNode struct {
	id      peer.ID
	process *simProcess // nil while none runs
	starts  int
	kubo    *simKubo
	// beat is when the peer was last heard of, gone how long others ran since it noted that
	// it runs.
	beat time.Time
	gone time.Duration
	// removed is when the peer last was.
	removed time.Time
	// back is set when the peer was removed and called back.
	back bool
}

// simPin is what is known of a CID.
type simPin struct {
	cid            api.Cid
	lowest, most   int
	wanted, forgot bool // it is in the pinset, and was removed from it
	// taken is set when an operator has removed the last peer with a copy of it that
	// nobody had decided to drop, lost when one has emptied a disk that had it.
	taken, lost bool
}

func newSim(seed uint64, tracing bool) *sim {
	s := &sim{
		seed: seed, tracing: tracing, began: time.Now(), accrued: time.Now(),
		store: newFakeStore(), table: newSimTable(), names: map[api.Cid]string{}, feeds: map[peer.ID]*simFeed{}, tally: map[string]int{},
	}
	s.ctx, s.calm = context.WithCancel(context.Background())
	s.store.onAppend = func(feed peer.ID, c api.Cid, made bool) { s.feedOf(feed).append(simEntry{c, made}) }
	return s
}

// with calls f with the lock.
func (s *sim) with(f func()) {
	s.mu.Lock()
	defer s.mu.Unlock()
	f()
}

// later calls f with the lock after a while, unless the faults are over by then.
func (s *sim) later(d time.Duration, f func()) {
	s.running.Go(func() {
		if wait(s.ctx, d) == nil {
			s.with(f)
		}
	})
}

func (s *sim) nameOf(c api.Cid) string { return s.names[c] }

func (s *sim) feedOf(p peer.ID) *simFeed { return s.feeds[p] }

func (s *sim) node(id peer.ID) *simNode {
	return s.nodes[slices.IndexFunc(s.nodes, func(n *simNode) bool { return n.id == id })]
}

// the returns the pin of a CID.
func (s *sim) the(c api.Cid) *simPin {
	return s.pins[slices.IndexFunc(s.pins, func(p *simPin) bool { return p.cid == c })]
}

// some returns the nodes of which is is true, in order.
func (s *sim) some(is func(*simNode) bool) (some []*simNode) {
	for _, n := range s.nodes {
		if is(n) {
			some = append(some, n)
		}
	}
	return some
}

// member says whether the peer of a node is one of the cluster.
func (s *sim) member(n *simNode) bool { return !s.table.removed(n.id) }

// reachable reports whether an IPFS daemon that is up has the content.
func (s *sim) reachable(c api.Cid) bool {
	return slices.ContainsFunc(s.nodes, func(n *simNode) bool { return !n.kubo.down && n.kubo.has[c] })
}

// copies counts the nodes of which is is true that have pinned a CID, also dead ones.
func (s *sim) copies(c api.Cid, is func(*simNode) bool) int {
	return len(s.some(func(n *simNode) bool { return n.kubo.pinned[c] && is(n) }))
}

// note remembers what has happened. The caller holds the lock.
func (s *sim) note(format string, args ...any) {
	text := fmt.Sprintf("%10s %s", time.Since(s.began).Round(time.Millisecond), fmt.Sprintf(format, args...))
	h := fnv.New64a()
	_, _ = h.Write([]byte(text))
	s.sum += h.Sum64() // what happens in one instant has no order
	if s.tracing {
		s.trace = append(s.trace, text)
	}
}

// fail notes a broken promise. The caller holds the lock.
func (s *sim) fail(format string, args ...any) {
	text := fmt.Sprintf(format, args...)
	s.note("BROKEN: %s", text)
	s.broken = append(s.broken, text)
}

// dice are those of the schedule, which one goroutine throws.
func (s *sim) dice() *rand.Rand { return rand.New(rand.NewPCG(s.seed, 0)) }
