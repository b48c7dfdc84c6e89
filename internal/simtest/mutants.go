package simtest

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// Mutant is a bug that the simulation must find, planted in the real code.
type Mutant struct {
	Name  string
	Edits []overlay.Edit
}

// buildAndRun is how long one mutant may take.
const buildAndRun = 10 * time.Minute

// Finds plants one bug after the other, those of the slice or all of them with
// TEST_LONG=1, and expects the simulation to find it with one of the seeds first-last.
func (s Simulation) Finds(t *testing.T, seeds string, all, slice []Mutant) {
	t.Helper()
	found := regexp.MustCompile(`seed (\d+): (.*)`)
	mutants := all
	if os.Getenv("TEST_LONG") != "1" {
		mutants = slice
		t.Logf("A SLICE ONLY: %d planted bugs of %d. TEST_LONG=1 (make test-cluster) plants all.", len(slice), len(all))
	}
	for _, m := range mutants {
		t.Run(m.Name, func(t *testing.T) {
			out, err := s.With(t, m.Edits, seeds)
			seed := found.FindSubmatch(out)
			if err == nil || seed == nil {
				t.Fatalf("not found: %v\n%s", err, out)
			}
			t.Logf("found with seed %s: %s", seed[1], seed[2])
		})
	}
}

// Fit fails for each bug that cannot be planted any more, as the code that it edits has
// changed. It takes no time, so that those are noticed, too, that only a long run plants.
func Fit(t *testing.T, mutants []Mutant) {
	t.Helper()
	for _, m := range mutants {
		if err := overlay.Check(".", m.Edits); err != nil {
			t.Errorf("%s: %s", m.Name, err)
		}
	}
}

// With runs schedules with changed sources, without the race detector, and returns what
// that printed.
func (s Simulation) With(t *testing.T, edits []overlay.Edit, seeds string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), buildAndRun)
	defer cancel()
	program, err := overlay.Build(ctx, ".", s.Files, t.TempDir(), edits)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, program, "-test.run", "^"+s.Test+"$") //nolint:gosec // it was just built
	cmd.Env = append(os.Environ(), "SIM_SEEDS="+seeds, "SIM_SEED=")
	return cmd.CombinedOutput()
}
