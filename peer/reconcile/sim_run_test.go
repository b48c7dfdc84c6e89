package reconcile

import (
	"fmt"
	"strings"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/simtest"
)

// simPatience is how long after the last fault everything must be in order: the hour, and
// the longest pauses of those that try again.
const simPatience = simHour + 40*time.Minute

// simulate runs one schedule. It must be called in a bubble.
func simulate(t *testing.T, seed uint64, tracing bool) *sim {
	s := newSim(seed, tracing)
	d := s.dice()
	if d.IntN(3) == 0 {
		s.faults.Store(5)
	}
	if d.IntN(3) == 0 {
		s.lag = 8 * time.Second
	}
	for i := range simMaxPins {
		c := testCid(t, i)
		s.names[c] = fmt.Sprint("c", i)
		s.pins = append(s.pins, &simPin{cid: c})
	}
	for i := range 3 + d.IntN(3) {
		n := &simNode{id: peer.ID(fmt.Sprint("p", i)), kubo: &simKubo{has: map[api.Cid]bool{}, pinned: map[api.Cid]bool{}}}
		s.nodes = append(s.nodes, n)
		s.feeds[n.id] = &simFeed{more: make(chan struct{})}
	}
	for _, n := range s.nodes {
		time.Sleep(between(d, 0, 100*time.Millisecond))
		s.with(func() { s.start(n, false) })
	}
	time.Sleep(between(d, time.Minute, 90*time.Second))
	for range 2 + d.IntN(3) {
		s.with(func() { s.pinNew(d) })
	}
	events, longest := simEvents(d), between(d, 15*time.Second, 3*time.Minute)
	for end := time.Now().Add(between(d, 10*time.Minute, 35*time.Minute)); time.Now().Before(end) && !s.failed(); {
		time.Sleep(between(d, 100*time.Millisecond, longest))
		s.next(d, events)
	}
	s.settle(d.IntN(2) == 0)
	s.end()
	return s
}

func (s *sim) failed() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return len(s.broken) > 0
}

// settle ends the faults, brings back those who are away, also the removed ones if that is
// wanted, and waits until everything is in order.
func (s *sim) settle(removed bool) {
	s.calm()
	s.with(func() {
		s.note("the faults are over")
		s.faults.Store(0)
		for _, n := range s.nodes {
			n.kubo.down = false
			if !running(n) && (s.member(n) || removed) {
				s.start(n, !s.member(n))
			}
		}
	})
	scrubs := scrubAge
	for calm := time.Now(); !s.failed(); time.Sleep(10*time.Second + 7*time.Microsecond) {
		var wrong []string
		s.with(func() { wrong = s.wrong() })
		since := time.Since(calm)
		switch {
		case len(wrong) == 0 && since > time.Minute:
			return
		case since > simPatience:
			s.with(func() { s.fail("at the end %s", strings.Join(wrong, ", ")) })
		case since > scrubs:
			scrubs += 2 * scrubAge
			s.with(func() { s.scrubSome(s.dice()) })
		}
	}
}

// end stops all processes and waits for them. One that does not is found by the
// bubble.
func (s *sim) end() {
	s.with(func() {
		for _, n := range s.nodes {
			s.kill(n)
		}
	})
	s.running.Wait()
}

// simulation is that of moves.
func simulation() simtest.Simulation {
	return simtest.Simulation{
		Test: "TestSimulatedMoves", Package: "peer/reconcile", Files: "*_test.go", Loggers: []string{"reconcile", "membership", "tracker"}, Few: 25, Many: 10_000,
		Schedule: func(t *testing.T, seed uint64, tracing bool) simtest.Outcome {
			s := simulate(t, seed, tracing)
			return simtest.Outcome{Broken: s.broken, Trace: s.trace, Sum: s.sum, Tally: s.tally}
		},
	}
}

// TestSimulatedMoves runs peers with their real views, loops and trackers through schedules
// of deaths, power cuts, returns, removals, hand-overs and garbage collections: content
// that is wanted never has fewer copies through their doing, and gets those that it is to
// have.
func TestSimulatedMoves(t *testing.T) { simulation().Run(t) }

// TestSimulatedMovesRepeat shows that a seed means one schedule.
func TestSimulatedMovesRepeat(t *testing.T) { simulation().Repeats(t, 4) }
