package reconcile

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
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster/api"
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

// runSeed runs one schedule in a bubble of its own.
func runSeed(t *testing.T, seed uint64, tracing bool) (s *sim) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("seed %d: %v", seed, r)
		}
	}()
	synctest.Test(t, func(t *testing.T) { s = simulate(t, seed, tracing) })
	return s
}

// simSeeds is which schedules to run: those that SIM_SEEDS names (first-last),
// 10,000 with TEST_LONG=1, 25 else.
func simSeeds(t *testing.T) (first, last uint64) {
	t.Helper()
	text := os.Getenv("SIM_SEEDS")
	if text == "" {
		text = "1-25"
		if os.Getenv("TEST_LONG") == "1" {
			text = "1-10000"
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

// silence keeps the logs of the peers out of the way: they tell of every fault.
func silence(t *testing.T) {
	t.Helper()
	for _, name := range []string{"reconcile", "membership", "tracker"} {
		if err := logging.SetLogLevel(name, "fatal"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = logging.SetLogLevel(name, "error") })
	}
}

// TestSimulatedMoves runs peers with their real views, loops and trackers through schedules
// of deaths, power cuts, returns, removals, hand-overs and garbage collections: content
// that is wanted never has fewer copies through their doing, and gets those that it is to
// have. SIM_SEED=n repeats one schedule and prints it.
func TestSimulatedMoves(t *testing.T) {
	silence(t)
	if text := os.Getenv("SIM_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		s := runSeed(t, seed, true)
		t.Log("\n" + strings.Join(s.trace, "\n"))
		if len(s.broken) > 0 {
			t.Errorf("seed %d breaks %d promises", seed, len(s.broken))
		}
		return
	}
	first, last := simSeeds(t)
	var next atomic.Uint64
	next.Store(first)
	var failed atomic.Bool
	var mu sync.Mutex // of total
	total := map[string]int{}
	var group sync.WaitGroup
	for range runtime.GOMAXPROCS(0) {
		group.Go(func() {
			for !failed.Load() {
				seed := next.Add(1) - 1
				if seed > last {
					return
				}
				s := runSeed(t, seed, false)
				mu.Lock()
				total["schedules"]++
				for what, n := range s.tally {
					total[what] += n
				}
				mu.Unlock()
				if len(s.broken) > 0 && !failed.Swap(true) {
					t.Errorf("seed %d: %s\nSIM_SEED=%d go test -run TestSimulatedMoves ./peer/reconcile repeats it", seed, strings.Join(s.broken, "\n"), seed)
				}
			}
		})
	}
	group.Wait()
	t.Log(total)
}

// TestSimulatedMovesRepeat shows that a seed means one schedule.
func TestSimulatedMovesRepeat(t *testing.T) {
	silence(t)
	first, last := uint64(1), uint64(4)
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
