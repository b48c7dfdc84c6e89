// Package simtest runs simulations: schedules of events that a seed decides, in bubbles
// of simulated time, and the same with bugs planted in what they simulate.
package simtest

import (
	"os"
	"runtime"
	"slices"
	"strconv"
	"strings"
	"sync"
	"sync/atomic"
	"testing"
	"testing/synctest"

	logging "github.com/ipfs/go-log/v2"
)

// Simulation is what runs, and how it is run. Its methods are for tests of one package.
type Simulation struct {
	// Test is the name of the test that calls Run, Package the folder that it is in below
	// that of the module.
	Test, Package string
	// Files matches the names of the test files that Test needs.
	Files string
	// Loggers tell of every fault, and are silent meanwhile.
	Loggers []string
	// Few is how many schedules run, Many how many with TEST_LONG=1. SIM_SEEDS=first-last
	// names others.
	Few, Many uint64
	// Schedule runs one in a bubble. It keeps a trace if it is asked for one.
	Schedule func(t *testing.T, seed uint64, tracing bool) Outcome
}

// Outcome is what became of a schedule.
type Outcome struct {
	// Broken says which promises were broken, and how.
	Broken []string
	// Trace is what happened, and Sum is of all that, in whatever order.
	Trace []string
	Sum   uint64
	// Tally counts what happened, by a name.
	Tally map[string]int
}

// Run runs schedules until one breaks a promise. SIM_SEED=n repeats one, and prints it.
func (s Simulation) Run(t *testing.T) {
	t.Helper()
	s.silence(t)
	if text := os.Getenv("SIM_SEED"); text != "" {
		seed, err := strconv.ParseUint(text, 10, 64)
		if err != nil {
			t.Fatal(err)
		}
		o := s.schedule(t, seed, true)
		t.Logf("\n%s\n%s", strings.Join(o.Trace, "\n"), strings.Join(o.Broken, "\n"))
		if len(o.Broken) > 0 {
			t.Errorf("seed %d breaks %d promises", seed, len(o.Broken))
		}
		return
	}
	first, last := s.seeds(t)
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
				o := s.schedule(t, seed, false)
				mu.Lock()
				total["schedules"]++
				for what, n := range o.Tally {
					total[what] += n
				}
				mu.Unlock()
				if len(o.Broken) > 0 && !failed.Swap(true) {
					t.Errorf("seed %d: %s\nSIM_SEED=%d go test -run '%s$' ./%s repeats it", seed, strings.Join(o.Broken, "\n"), seed, s.Test, s.Package)
				}
			}
		})
	}
	group.Wait()
	t.Log(total)
}

// Repeats runs the schedules of the seeds up to last, or of SIM_SEEDS, twice each: a seed
// must mean one schedule.
func (s Simulation) Repeats(t *testing.T, last uint64) {
	t.Helper()
	s.silence(t)
	first := uint64(1)
	if os.Getenv("SIM_SEEDS") != "" {
		first, last = s.seeds(t)
	}
	for seed := first; seed <= last; seed++ {
		one, two := s.schedule(t, seed, true), s.schedule(t, seed, true)
		if one.Sum == two.Sum {
			continue
		}
		slices.Sort(one.Trace)
		slices.Sort(two.Trace)
		for i := range min(len(one.Trace), len(two.Trace)) {
			if one.Trace[i] != two.Trace[i] {
				t.Errorf("seed %d differs:\n%s\n%s", seed, one.Trace[i], two.Trace[i])
				break
			}
		}
		if !t.Failed() {
			t.Errorf("seed %d differs in its length", seed)
		}
	}
}

// schedule runs one schedule in a bubble of its own.
func (s Simulation) schedule(t *testing.T, seed uint64, tracing bool) (o Outcome) {
	t.Helper()
	defer func() {
		if r := recover(); r != nil {
			t.Fatalf("seed %d: %v", seed, r)
		}
	}()
	synctest.Test(t, func(t *testing.T) { o = s.Schedule(t, seed, tracing) })
	return o
}

// seeds is which schedules to run.
func (s Simulation) seeds(t *testing.T) (first, last uint64) {
	t.Helper()
	text := os.Getenv("SIM_SEEDS")
	switch {
	case text != "":
	case os.Getenv("TEST_LONG") == "1":
		return 1, s.Many
	default:
		return 1, s.Few
	}
	from, to, _ := strings.Cut(text, "-")
	first, err1 := strconv.ParseUint(from, 10, 64)
	last, err2 := strconv.ParseUint(to, 10, 64)
	if err1 != nil || err2 != nil {
		t.Fatalf("SIM_SEEDS=%s: want first-last", text)
	}
	return first, last
}

// silence keeps the logs of what is simulated out of the way.
func (s Simulation) silence(t *testing.T) {
	t.Helper()
	for _, name := range s.Loggers {
		if err := logging.SetLogLevel(name, "fatal"); err != nil {
			t.Fatal(err)
		}
		t.Cleanup(func() { _ = logging.SetLogLevel(name, "error") })
	}
}
