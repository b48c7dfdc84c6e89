package reconcile

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// simMutants are bugs that the simulation must find, planted in the real code, in the
// words of spec/Moves.checks where they are there, too.
var simMutants = []struct {
	name  string
	edits []overlay.Edit
}{
	{"cold start counts nobody", []overlay.Edit{{
		File: "stop.go", Old: `dead := p.Dead() && view.DeadFor(p) < lately`, New: `dead := p.Dead() && p.Seen && view.DeadFor(p) < lately`,
	}}},
	{"move before pinned", []overlay.Edit{
		{File: "move.go", Old: `		next = joined(view, *pin, next)`, New: `		_ = joined`},
	}},
	{"any revision counts, count before noting", []overlay.Edit{
		{File: "../tracker/keep.go", Old: `row.Status == state.PlacementPinned && row.Rev == w.rev`, New: `row.Status == state.PlacementPinned`},
		{File: "../tracker/note.go", Old: `if !known.leaving() || known.rev != was.want.rev || was.asked != nil {`, New: `if false {`},
	}},
	{"the stop rule is off", []overlay.Edit{{
		File: "stop.go", Old: `	why := d.stop(s.share)`, New: `	why := d.stop(s.share)[:0]`,
	}}},
	{"let go unguarded, as pin add had it", []overlay.Edit{{
		File: "../tracker/keep.go", Old: `if w.given == nil {`, New: `if w.given == nil || t != nil {`,
	}}},
	{"half is not enough", []overlay.Edit{{
		File: "stop.go", Old: `case float64(d.dead)/float64(d.counted) >= share:`, New: `case float64(d.dead)/float64(d.counted) > share:`,
	}}},
	{"the end of a move looks at nobody", []overlay.Edit{{
		File: "settle.go", Old: `if there && row.Status == state.PlacementPinned && row.Rev == rev {`, New: `if there || row.Rev == rev || true {`,
	}}},
	{"the end of a move is left to the scrub", []overlay.Edit{
		{File: "settle.go", Old: `			_, err := r.settle(ctx, view, pin, rev)
`, New: `			_, _, err := pin, rev, error(nil)
`},
		{File: "move.go", Old: `		changed, err := r.settle(ctx, view, *pin, rev)
		return move{changed: changed, open: !changed && inMove(*pin), alone: !has}, err`, New: `		return move{alone: !has}, nil`},
		{File: "scrub.go", Old: `if inMove(pin) && r.mayMove(r.opts.View()) {`, New: `if false {`},
	}},
	{"who is not heard of yet does not matter", []overlay.Edit{{
		File: "stop.go", Old: `!p.Removed && p.Works() && !p.Live && !p.Dead() }`, New: `p.Removed && p.Live && p.Dead() }`,
	}}},
	{"a peer that leaves drops the dead", []overlay.Edit{{
		File: "drain.go", Old: `return have >= need && slices.Contains(o.useless, p)`, New: `return have > 0 && slices.Contains(o.useless, p)`,
	}}},
}

// fewMutants are those that are planted without TEST_LONG=1.
const fewMutants = 1

// TestSimulatedMovesFindPlantedBugs plants one bug after the other and expects the
// simulation to find it. Where none is planted it finds none: TestSimulatedMoves.
func TestSimulatedMovesFindPlantedBugs(t *testing.T) {
	found := regexp.MustCompile(`seed (\d+): (.*)`)
	mutants := simMutants
	if os.Getenv("TEST_LONG") != "1" {
		mutants = mutants[:fewMutants]
		t.Logf("A SLICE ONLY: %d planted bugs of %d. TEST_LONG=1 (make test-cluster) plants all.", len(mutants), len(simMutants))
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			out, err := simulateWith(t, m.edits, "1-1000")
			seed := found.FindSubmatch(out)
			if err == nil || seed == nil {
				t.Fatalf("not found: %v\n%s", err, out)
			}
			t.Logf("found with seed %s: %s", seed[1], seed[2])
		})
	}
}

// TestPlantedBugsFitTheCode: an edit that the code has outgrown would be noticed with
// TEST_LONG=1 only.
func TestPlantedBugsFitTheCode(t *testing.T) {
	for _, m := range simMutants {
		if err := overlay.Check(".", m.edits); err != nil {
			t.Errorf("%s: %v", m.name, err)
		}
	}
}

// simulateWith runs schedules with changed sources and returns what it printed.
func simulateWith(t *testing.T, edits []overlay.Edit, seeds string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	program, err := overlay.Build(ctx, ".", "*_test.go", t.TempDir(), edits)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, program, "-test.run", "^TestSimulatedMoves$")
	cmd.Env = append(os.Environ(), "SIM_SEEDS="+seeds, "SIM_SEED=")
	return cmd.CombinedOutput()
}
