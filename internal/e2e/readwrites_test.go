package e2e

import (
	"errors"
	"fmt"
	"slices"
	"sync"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
)

// TestReadYourWrites: from the moment a request is acknowledged no peer contradicts it,
// by either API, in an answer about one pin or in a list. Several clients at once go
// through what can be done to a pin.
func TestReadYourWrites(t *testing.T) {
	t.Parallel()
	cells := []readWriteCell{{peers: 3, factor: 2, pins: 12, killed: 4}}
	if longTests() {
		cells = []readWriteCell{
			{peers: 1, factor: 1, pins: 1000}, {peers: 1, factor: -1, pins: 1000},
			// That is more than a thousand requests in each of the three parts.
			{peers: 3, factor: 1, pins: 150, killed: 150}, {peers: 3, factor: 2, pins: 150, killed: 150}, {peers: 3, factor: -1, pins: 150, killed: 150},
		}
	} else {
		t.Log("A SLICE ONLY: one of 5 cells, 12 pins, not 150 and more. TEST_LONG=1 tests the whole.")
	}
	var kubos []*ipfs
	for range 3 {
		kubos = append(kubos, startKubo(t))
	}
	for i, cell := range cells {
		t.Run(cell.String(), func(t *testing.T) { cell.run(t, fmt.Sprint("cell ", i), kubos[:cell.peers]) })
	}
}

// readWriteCell is a cluster of so many peers that pins with that factor. pins are made
// while all live, and as many as killed says while one is killed and after that. To
// each some seven requests are made.
type readWriteCell struct{ peers, factor, pins, killed int }

func (c readWriteCell) String() string { return fmt.Sprintf("%d peers, factor %d", c.peers, c.factor) }

func (c readWriteCell) run(t *testing.T, name string, kubos []*ipfs) {
	group := newGroup(t, on(t, cqltest.Start(t)), kubos, map[string]string{
		"CLUSTER_REPLICATIONFACTORMIN": fmt.Sprint(min(c.factor, 1)), "CLUSTER_REPLICATIONFACTORMAX": fmt.Sprint(c.factor),
		"CLUSTER_DISABLEREPINNING": "true", // what is allocated to a peer stays there
	})
	for _, p := range group {
		p.start(t)
	}
	waitMeet(t, group...)
	r := &readWriter{t: t, group: group, ids: make(map[*member]string)}
	for _, p := range group {
		r.ids[p] = p.id(t)
	}
	r.plan(name, c.pins, kubos)()
	r.report("all peers live")
	if c.killed > 0 {
		r.killOne(name+", killed", c.killed, kubos)
	}
	for _, p := range r.live() {
		p.stop(t)
	}
}

// writers is how many clients there are, each of which has its own pins.
const writers = 4

// readWriter compares what the peers of a group say with what was acknowledged.
type readWriter struct {
	t     *testing.T
	group []*member
	ids   map[*member]string
	// dead is the peer that is killed, known is set once the others know that.
	dead  *member
	known bool

	asked, contradictions atomic.Int64
	slowest               atomic.Int64 // answer about one pin, in nanoseconds
	mu                    sync.Mutex
	said                  map[string]int // contradictions of a kind
}

// live are the peers that are not killed.
func (r *readWriter) live() []*member {
	return slices.DeleteFunc(slices.Clone(r.group), func(m *member) bool { return m == r.dead })
}

// contradicts notes that an answer is wrong.
func (r *readWriter) contradicts(what string, format string, args ...any) {
	r.contradictions.Add(1)
	r.mu.Lock()
	defer r.mu.Unlock()
	if r.said == nil {
		r.said = make(map[string]int)
	}
	if r.said[what]++; r.said[what] <= 3 {
		r.t.Errorf("%s: %s", what, fmt.Sprintf(format, args...))
	}
}

func (r *readWriter) report(what string) {
	r.t.Helper()
	r.mu.Lock()
	defer r.mu.Unlock()
	r.t.Logf("%s: %d contradictions in %d answers, the slowest status took %s",
		what, r.contradictions.Load(), r.asked.Load(), time.Duration(r.slowest.Load()).Round(time.Millisecond))
	for kind, n := range r.said {
		r.t.Errorf("%s: %d contradictions: %s", what, n, kind)
	}
}

// plan prepares what goes through what can be done to a pin, with n of them.
func (r *readWriter) plan(name string, n int, kubos []*ipfs) (tell func()) {
	r.t.Helper()
	var cids []string
	for _, k := range kubos {
		cids = k.addBlocks(r.t, name, n)
	}
	var stories []*story
	for range writers {
		stories = append(stories, newStory(r, r.live()))
	}
	return func() {
		var running sync.WaitGroup
		for w, s := range stories {
			running.Go(func() {
				for i := w; i < n; i += writers {
					s.pin(i, cids[i])
				}
			})
		}
		running.Wait()
	}
}

// killOne kills a peer while clients are at work, and goes on when the others know.
func (r *readWriter) killOne(name string, n int, kubos []*ipfs) {
	r.dead = r.group[len(r.group)-1]
	tell := r.plan(name+", meanwhile", n, kubos)
	var meanwhile sync.WaitGroup
	meanwhile.Go(tell)
	r.dead.daemon.Kill()
	meanwhile.Wait()
	r.report("while a peer is killed")
	for _, p := range r.live() {
		eventually(r.t, noticed, "the others know that it is dead", func() error {
			if p.canAllocate([]string{r.ids[r.dead]}) == nil {
				return errors.New("it is taken for alive")
			}
			return nil
		})
	}
	r.known = true
	r.slowest.Store(0)
	r.plan(name+", then", n, kubos)()
	r.report("when a peer is known to be dead")
	if slowest := time.Duration(r.slowest.Load()); longTests() && slowest > time.Second {
		r.t.Errorf("the status of a pin takes %s when one peer is dead", slowest)
	}
}
