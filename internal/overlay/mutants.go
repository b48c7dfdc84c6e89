package overlay

import (
	"context"
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"
	"time"
)

// Mutant is a bug that a test must find, planted in the real code.
type Mutant struct {
	Name string
	// Test is the one that finds it.
	Test  string
	Edits []Edit
}

// buildAndRun is how long one mutant may take.
const buildAndRun = 10 * time.Minute

// Find plants one bug after the other in the package whose test t is, and expects the test
// that is named to fail, run with the flags. Without a bug all tests must pass, t left out. It
// plants the first few bugs, all of them with TEST_LONG=1; below 0 it does not run the tests without
// a bug either. It always fails for each that cannot be planted any more, as the code that it edits
// has changed.
func Find(t *testing.T, first int, mutants []Mutant, flags ...string) {
	t.Helper()
	self := t.Name()
	for i, m := range append([]Mutant{{Name: "no bug"}}, mutants...) {
		if err := Check(".", m.Edits); err != nil {
			t.Errorf("%s: %s", m.Name, err)
		} else if i <= first || os.Getenv("TEST_LONG") == "1" {
			t.Run(m.Name, func(t *testing.T) {
				ctx, cancel := context.WithTimeout(t.Context(), buildAndRun)
				defer cancel()
				if err := m.find(ctx, ".", t.TempDir(), append([]string{"-test.skip", "^" + self + "$"}, flags...)); err != nil {
					t.Error(err)
				}
			})
		}
	}
	if first < len(mutants) && os.Getenv("TEST_LONG") != "1" {
		t.Logf("A SLICE ONLY: %d planted bugs of %d. TEST_LONG=1 plants all.", max(first, 0), len(mutants))
	}
}

// find returns an error if the test of the package in dir does not fail, or, if none is named,
// one does.
func (m Mutant) find(ctx context.Context, dir, work string, flags []string) error {
	program, err := Build(ctx, dir, "*_test.go", work, m.Edits)
	if err != nil {
		return err
	}
	if m.Test != "" {
		flags = append([]string{"-test.run", "^" + m.Test + "$"}, flags...)
	}
	cmd := exec.CommandContext(ctx, program, flags...) //nolint:gosec // it was just built
	cmd.Dir = dir
	out, err := cmd.CombinedOutput()
	switch failed := strings.Contains(string(out), "--- FAIL: "+m.Test+" "); {
	case m.Test == "" && err != nil:
		return fmt.Errorf("the tests fail where there is no bug: %w\n%s", err, out)
	case m.Test != "" && (err == nil || !failed):
		return fmt.Errorf("%s does not find it (%v):\n%s", m.Test, err, out) //nolint:errorlint // nil is what it may not be
	}
	return nil
}
