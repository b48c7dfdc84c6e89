package statetest

import (
	"fmt"
	"os"
	"os/exec"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// mutantVar names the mutant that this process is to run the suite on.
const mutantVar = "STATETEST_MUTANT"

// mutant is a store with one bug.
type mutant struct {
	name   string
	caught string // the subtest that has to fail
	strict bool   // caught is a subtest of RunStrict
	suite  Suite
	// updater is set instead of suite for a subtest of RunUpdater.
	updater func(testing.TB) UpdatingStore
}

// TestMutants proves that the suite can fail. It starts itself once for each
// mutant, on the one subtest that has to fail, and once on the stores without
// a bug, which have to pass.
func TestMutants(t *testing.T) {
	if name := os.Getenv(mutantVar); name != "" {
		runMutant(t, name)
		return
	}
	for _, m := range append(sound(), mutants()...) {
		t.Run(m.name, func(t *testing.T) {
			t.Parallel()
			out, err := runAgain(t, m)
			if m.caught == "" {
				if err != nil {
					t.Fatalf("the suite fails (%v) where there is no bug:\n%s", err, out)
				}
				return
			}
			failed := "--- FAIL: TestMutants/" + strings.ReplaceAll(m.caught, " ", "_")
			switch {
			case err == nil:
				t.Errorf("%s does not notice", m.caught)
			case !strings.Contains(out, failed):
				t.Errorf("want a failure of %s, got %v:\n%s", m.caught, err, out)
			default:
				t.Logf("caught by %s", m.caught)
			}
		})
	}
}

func runMutant(t *testing.T, name string) {
	t.Helper()
	for _, m := range append(sound(), mutants()...) {
		switch {
		case m.name != name:
		case m.updater != nil:
			RunUpdater(t, m.updater)
			return
		case m.strict:
			RunStrict(t, m.suite)
			return
		default:
			Run(t, m.suite)
			return
		}
	}
	t.Fatalf("no mutant is called %q", name)
}

// runAgain runs this test binary on m and returns what it printed.
func runAgain(t *testing.T, m mutant) (string, error) {
	t.Helper()
	binary, err := os.Executable()
	if err != nil {
		t.Fatal(err)
	}
	pattern := "^TestMutants$"
	for name := range strings.SplitSeq(m.caught, "/") {
		if name != "" {
			pattern += fmt.Sprintf("/^%s$", strings.ReplaceAll(name, " ", "_"))
		}
	}
	cmd := exec.CommandContext(t.Context(), binary, "-test.run="+pattern, "-test.timeout=1m",
		"-rapid.nofailfile", "-rapid.shrinktime=0s")
	cmd.Env = append(os.Environ(), mutantVar+"="+m.name)
	out, err := cmd.CombinedOutput()
	return string(out), err
}

// sound returns the stores that pass.
func sound() []mutant {
	return []mutant{
		{name: "no bug", suite: mutate(func(s state.Store) faulty { return faulty{Store: s} })},
		{name: "no bug, batching", suite: mutateBatching(func(b state.BatchingStore, _ state.Store) faultyBatching {
			return faultyBatching{faulty: faulty{Store: b}, commit: b.Commit}
		})},
		{name: "no bug, strict", strict: true, suite: strictSuite()},
		{name: "no bug, updater", updater: func(tb testing.TB) UpdatingStore { return newRegister(tb, registerBugs{}) }},
	}
}

func mutants() []mutant {
	var all []mutant
	all = append(all, crudMutants()...)
	all = append(all, listMutants()...)
	all = append(all, pinMutants()...)
	all = append(all, cidMutants()...)
	all = append(all, snapshotMutants()...)
	all = append(all, batchMutants()...)
	all = append(all, contextMutants()...)
	all = append(all, concurrencyMutants()...)
	all = append(all, updaterMutants()...)
	return append(all, strictMutants()...)
}

// strictMutants are one store: dsstate, which is the reason for RunStrict.
func strictMutants() []mutant {
	suite := upstreamSuite()
	suite.Corrupt = func(tb testing.TB, s state.Store, c api.Cid) {
		upstream, ok := s.(*dsstate.State)
		if !ok {
			tb.Fatalf("Corrupt got a %T", s)
		}
		corrupt(tb, upstream, c)
	}
	var all []mutant
	for _, test := range []string{
		"list/reader leaves", "list/corrupt pin", "crud/undefined cid", "crud/unreadable pin",
		"snapshot/cut short", "snapshot/bad records", "batch/commit forgets",
	} {
		all = append(all, mutant{name: "dsstate in " + test, caught: test, strict: true, suite: suite})
	}
	return all
}
