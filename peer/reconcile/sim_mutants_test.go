package reconcile

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/simtest"
)

// simMutants are bugs that the simulation must find, planted in the real code, in the
// words of spec/Moves.checks where they are there, too.
var simMutants = []simtest.Mutant{
	{Name: "cold start counts nobody", Edits: []overlay.Edit{{
		File: "stop.go", Old: `dead := p.Dead() && view.DeadFor(p) < lately`, New: `dead := p.Dead() && p.Seen && view.DeadFor(p) < lately`,
	}}},
	{Name: "move before pinned", Edits: []overlay.Edit{
		{File: "move.go", Old: `		next = joined(view, *pin, next)`, New: `		_ = joined`},
	}},
	{Name: "any revision counts, count before noting", Edits: []overlay.Edit{
		{File: "../tracker/keep.go", Old: `row.Status == state.PlacementPinned && row.Rev == w.rev`, New: `row.Status == state.PlacementPinned`},
		{File: "../tracker/note.go", Old: `if !known.leaving() || known.rev != was.want.rev || was.asked != nil {`, New: `if false {`},
	}},
	{Name: "the stop rule is off", Edits: []overlay.Edit{{
		File: "stop.go", Old: `	why := d.stop(s.share)`, New: `	why := d.stop(s.share)[:0]`,
	}}},
	{Name: "let go unguarded, as pin add had it", Edits: []overlay.Edit{{
		File: "../tracker/keep.go", Old: `if w.given == nil {`, New: `if w.given == nil || t != nil {`,
	}}},
	{Name: "half is not enough", Edits: []overlay.Edit{{
		File: "stop.go", Old: `case float64(d.dead)/float64(d.counted) >= share:`, New: `case float64(d.dead)/float64(d.counted) > share:`,
	}}},
	{Name: "the end of a move looks at nobody", Edits: []overlay.Edit{{
		File: "copies.go", Old: `	return there && row.Status == state.PlacementPinned && row.Rev == c.rev`, New: `	return there || row.Rev == c.rev || true`,
	}}},
	{Name: "the end of a move is left to the scrub", Edits: []overlay.Edit{
		{File: "settle.go", Old: `			_, err := r.settle(ctx, view, pin, rev)
`, New: `			_, _, err := pin, rev, error(nil)
`},
		{File: "move.go", Old: `		changed, err := r.settleBy(ctx, view, *pin, found)
		return move{changed: changed, open: !changed && inMove(*pin), alone: alone}, err`, New: `		return move{alone: alone}, nil`},
		{File: "scrub.go", Old: `if inMove(pin) && r.mayMove(r.opts.View()) {`, New: `if false {`},
	}},
	{Name: "who is not heard of yet does not matter", Edits: []overlay.Edit{{
		File: "stop.go", Old: `!p.Removed && p.Holds() && !p.Live && !p.Dead() }`, New: `p.Removed && p.Live && p.Dead() }`,
	}}},
	{Name: "a peer that leaves drops the dead", Edits: []overlay.Edit{{
		File: "drain.go", Old: `return have >= need && slices.Contains(o.useless, p)`, New: `return have > 0 && slices.Contains(o.useless, p)`,
	}}},
}

// TestSimulatedMovesFindPlantedBugs plants one bug after the other and expects the
// simulation to find it. Where none is planted it finds none: TestSimulatedMoves.
func TestSimulatedMovesFindPlantedBugs(t *testing.T) {
	simulation().Finds(t, "1-1000", simMutants, simMutants[:1])
}

// TestPlantedBugsFitTheCode: an edit that the code has outgrown would be noticed with
// TEST_LONG=1 only.
func TestPlantedBugsFitTheCode(t *testing.T) { simtest.Fit(t, simMutants) }
