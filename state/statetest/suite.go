// Package statetest is the conformance suite of the contract in package state.
//
// An implementation calls Run from its own tests, RunStrict if it keeps the
// points that upstream's dsstate does not keep, and RunUpdater if it is a
// state.Updater too:
//
//	func TestConformance(t *testing.T) {
//		statetest.Run(t, statetest.Suite{New: newStore, NewBatching: newBatching})
//	}
//
// Run passes on upstream's dsstate with nothing left out, which is tested
// here, so a failure of Run means that the store differs from what
// ipfs-cluster is used to. What a stored pin must look like is not written
// down in the suite: it stores the same pin in a dsstate in memory and
// compares. The tests of this package also run the suite on stores with one
// planted bug each and demand that it fails.
//
// To add a test, add it to the theme it belongs to, run it on dsstate, and
// plant the bug it is meant to catch in mutants_test.go.
package statetest

import (
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// patience is how long a call may go without any progress before the suite
// says that it hangs.
const patience = 10 * time.Second

// Suite tells how to make the stores under test.
type Suite struct {
	// New returns an empty store that shares nothing with the stores of
	// other calls. It releases what it took in a Cleanup of tb. It is called
	// once per subtest, about thirty times in all.
	New func(tb testing.TB) state.Store

	// NewBatching returns a batching store over an empty pinset, and a plain
	// store over that same pinset, which shows what others see.
	NewBatching func(tb testing.TB) (batching state.BatchingStore, committed state.Store)

	// Corrupt overwrites what is stored for c, which is in the pinset of s,
	// with bytes that are not a pin. s came from New. Only RunStrict uses it.
	Corrupt func(tb testing.TB, s state.Store, c api.Cid)

	// ManyPins is the number of pins in the listings that are meant to be
	// long: set it above the page size of the store. 0 means 2500.
	ManyPins int

	// ModelSteps bounds each of the 100 random histories that the model test
	// plays (flag -rapid.checks changes the 100). Lower it where one write
	// costs much more than 2 ms. 0 means 20.
	ModelSteps int
}

type theme struct {
	name  string
	tests []test
}

type test struct {
	name string
	run  func(t *testing.T, s Suite)
}

// Run checks every obligation of package state that upstream's dsstate keeps
// too. Each subtest gets a store of its own; they run one after another.
func Run(t *testing.T, s Suite) {
	t.Helper()
	run(t, s, []theme{
		{"crud", crudTests()},
		{"list", listTests()},
		{"pins", pinTests()},
		{"cids", cidTests()},
		{"snapshot", snapshotTests()},
		{"batch", batchTests()},
		{"context", contextTests()},
		{"concurrency", concurrencyTests()},
		{"model", modelTests()},
	})
}

// RunStrict checks the obligations of package state that upstream's dsstate
// does not keep: they are listed in the package comment of state. It comes in
// addition to Run.
func RunStrict(t *testing.T, s Suite) {
	t.Helper()
	if s.Corrupt == nil {
		t.Fatal("statetest: Suite.Corrupt is not set")
	}
	run(t, s, []theme{
		{"list", strictListTests()},
		{"crud", strictCrudTests()},
		{"snapshot", strictSnapshotTests()},
		{"batch", strictBatchTests()},
	})
}

func run(t *testing.T, s Suite, themes []theme) {
	t.Helper()
	if s.New == nil || s.NewBatching == nil {
		t.Fatal("statetest: Suite.New and Suite.NewBatching must be set")
	}
	if s.ManyPins == 0 {
		s.ManyPins = 2500
	}
	if s.ModelSteps == 0 {
		s.ModelSteps = 20
	}
	for _, theme := range themes {
		t.Run(theme.name, func(t *testing.T) {
			for _, test := range theme.tests {
				t.Run(test.name, func(t *testing.T) { test.run(t, s) })
			}
		})
	}
}
