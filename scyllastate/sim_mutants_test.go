package scyllastate

import (
	"context"
	"os"
	"os/exec"
	"regexp"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// simMutants are bugs that the simulation must find, planted in the real code.
var simMutants = []struct {
	name  string
	edits []overlay.Edit
}{
	{"conditional update before the intents", []overlay.Edit{{
		File: "update.go",
		Old: `		if err := s.announce(ctx, w); err != nil {
			return fmt.Errorf("announcing the pin of %s: %w", c, err)
		}
		read = s.now()
		var applied bool
		if applied, old, err = s.swap(ctx, w); err != nil || applied {
			return err
		}
`,
		New: `		read = s.now()
		var applied bool
		if applied, old, err = s.swap(ctx, w); err != nil {
			return err
		}
		if applied {
			if err := s.announce(ctx, w); err != nil {
				return state.ErrOutcomeUnknown
			}
			return nil
		}
`,
	}}},
	{"no deadline for appends", []overlay.Edit{
		{File: "intents.go", Old: `late := elapsed(at, a.now()) > a.deadline`, New: `late := elapsed(at, a.now()) > time.Hour`},
		{File: "intents.go", Old: `context.WithTimeout(context.Background(), a.deadline)`,
			New: `context.WithTimeout(context.Background(), time.Hour)`},
	}},
	{"new revision while the outcome is unknown", []overlay.Edit{{
		File: "update.go",
		Old:  `applied, now, err = s.resolve(ctx, w, err)`,
		New:  `now, err = s.readRow(ctx, w.cid, gocql.Serial)`,
	}}},
	{"whatever was replaced was not applied", []overlay.Edit{{
		File: "update.go",
		Old:  `case now.prev == w.old.rev && !s.stale(w):`,
		New:  `case now.rev != w.old.rev:`,
	}}},
	{"removed rows are deleted instead of marked", []overlay.Edit{{
		File: "statements.go",
		Old:  `"UPDATE pins USING TTL ? SET rev = ?, prev = ?, pin = null, rf_min = null, rf_max = null, created = null, peers = null WHERE cid = ? IF rev = ? AND pin != ?"`,
		New:  `"DELETE FROM pins WHERE cid = ? IF rev = ? AND pin != ?"`,
	}}},
	{"the marker has the grace of the remover, the writer a longer one", []overlay.Edit{{
		File: "update.go", Old: `> s.conf.UnpinGrace/2`, New: `> 12*s.conf.UnpinGrace`,
	}}},
	{"acting on a pending change", []overlay.Edit{
		{File: "feed_task.go", Old: `settled[i] = c.prev != gocql.UUID{}`, New: `settled[i] = true || c.done`},
		{File: "feed_task.go", Old: `settled[i] = later(now.rev, c.prev)`, New: `settled[i] = true`},
	}},
	{"dropping a pending change after a timeout", []overlay.Edit{{
		File: "feed_task.go",
		Old: `		if now, err = d.fence(ctx, c, now); err != nil {
			return nil, false, err
		}
		settled = settle(now, open)
`,
		New: `		settled = slices.Repeat([]bool{true}, len(open))
`,
	}}},
	{"writers are fenced at once", []overlay.Edit{{
		File: "deadlines.go", Old: `first: lim.window(), losses`, New: `first: lim.skew() / 10, losses`,
	}}},
	{"writers have the same time however often they were fenced", []overlay.Edit{{
		File: "deadlines.go", Old: `return d.first << lost.times`, New: `return d.first << min(lost.times, 0)`,
	}}},
	{"a fence is taken for a write that was applied", []overlay.Edit{{
		File: "deadlines.go", Old: `	changes = withoutFences(changes)
`, New: ``,
	}}},
	{"a writer has what is left of the time of another one", []overlay.Edit{{
		File: "feed_pending.go", Old: `return d.store.deadlines.ended(t.cid, pending)`, New: `return d.store.deadlines.ended(t.cid, pending[:min(1, len(pending))])`,
	}}},
	{"nobody is fenced", []overlay.Edit{{
		File: "feed_task.go", Old: `slices.Contains(settled, false) && d.overdue(t, now)`, New: `slices.Contains(settled, false) && d.overdue(t, now) && false`,
	}}},
	{"an earlier call ends what the later one is for", []overlay.Edit{{
		File: "feed_task.go",
		Old:  `case t.gen != gen || d.tasks[t.cid] != t:`,
		New:  `case d.tasks[t.cid] != t:`,
	}}},
	{"the cursor passes what ends later", []overlay.Edit{{
		File: "feed_task.go",
		Old: `			d.hold(t, mine, len(keys)-len(mine), fresh)
			return
		}
		err = *t.ended
`,
		New: `			_, t.ended = fresh, new(error)
		}
		err = *t.ended
`,
	}}},
	{"the cursor has no window for stragglers", []overlay.Edit{{
		File: "feed_tail.go",
		Old:  `settled := now.Add(-window)`,
		New:  `settled := now`,
	}}},
	{"the cursor passes pending changes", []overlay.Edit{{
		File: "feed_tail.go",
		Old:  `if oldest, ok := t.out.oldest(); ok && !oldest.After(final) {`,
		New:  `if oldest, ok := t.out.oldest(); ok && final.IsZero() {`,
	}}},
	{"what a process left unfinished is not taken up", []overlay.Edit{{
		File: "../peer/tracker/scan.go",
		Old: `	t.scan(ctx, true)
	t.scanned`,
		New: `	t.scanned`,
	}}},
	{"a change ends before there is a row", []overlay.Edit{{
		File: "../peer/tracker/act.go", Old: `case o.kept():`, New: `case o.kept() || !o.row.there:`,
	}, {
		File: "../peer/tracker/claim.go", Old: `return !direct && o.want.done != nil && o.want.first`, New: `return !direct`,
	}}},
	{"what was pinned without a row is not unpinned", []overlay.Edit{{
		File: "../peer/tracker/note.go",
		Old:  `if !known.there && was.asked == nil && !was.unpassed {`,
		New:  `if was.unpassed = false; !known.there && was.asked == nil && !was.unpassed {`,
	}}},
	{"evidence is not asked for", []overlay.Edit{{
		File: "../peer/tracker/note.go",
		Old:  `if !known.there && was.asked == nil && !was.unpassed {`,
		New:  `if false {`,
	}}},
	{"the row stays pinned while it is unpinned", []overlay.Edit{{
		File: "../peer/tracker/note.go",
		Old:  `if !known.leaving() || known.rev != was.want.rev || was.asked != nil {`,
		New:  `if pinned := known.there && known.status == state.PlacementPinned; !pinned && (!known.leaving() || known.rev != was.want.rev || was.asked != nil) {`,
	}}},
	{"what a scan has read of a pin counts when it acts", []overlay.Edit{{
		File: "../peer/tracker/note.go",
		Old:  `		return func(o *op, e *effects) { t.accept(o, t.wanted(state.Change{Cid: c, Pin: pin, Rev: rev}), e) }, nil`,
		New: `		time.Sleep(2 * time.Second)
		return func(o *op, e *effects) { o.next = nil; t.accept(o, t.wanted(state.Change{Cid: c, Pin: pin, Rev: rev}), e) }, nil`,
	}}},
	{"what arrives while a pin is read is taken at once", []overlay.Edit{{
		File: "../peer/tracker/note.go",
		Old:  `		t.offer(o, *next, e) // what was read may have begun the next write`,
		New:  `		t.accept(o, *next, e)`,
	}}},
	{"the depth of a failed pin is taken for what there is", []overlay.Edit{{
		File: "../peer/tracker/kubo.go",
		Old: `	if recursive, lsErr := t.recursive(ctx, pin.Cid); lsErr != nil || !recursive {
		return outcome{err: err}`,
		New: `	if recursive, lsErr := t.recursive(ctx, pin.Cid); lsErr != nil || !recursive {
		return outcome{err: err, depth: &pin.MaxDepth}`,
	}}},
	{"nobody looks whether an unpin is made that was given up", []overlay.Edit{{
		File: "../peer/tracker/note.go", Old: `t.lookAgain(o.cid, firstLook)`, New: `_ = o`,
	}}},
	{"a tail that settles without the shared feeds", []overlay.Edit{{
		File: "feed_tail.go",
		Old: `	for _, s := range t.sources {
		if s.final.Before(final) {`,
		New: `	for _, s := range t.sources[:1] {
		if s.final.Before(final) {`,
	}}},
}

// TestPlantedBugsFitTheCode: each can be planted, also those that only a long run
// plants: the code that one edits may have changed.
func TestPlantedBugsFitTheCode(t *testing.T) {
	for _, m := range simMutants {
		if err := overlay.Check(".", m.edits); err != nil {
			t.Errorf("%s: %s", m.name, err)
		}
	}
}

// TestSimulationFindsPlantedBugs plants one bug after the other and expects the
// simulation to find it. Where none is planted it finds none: these schedules run
// here, without the race detector, with which they take four times as long.
func TestSimulationFindsPlantedBugs(t *testing.T) {
	found := regexp.MustCompile(`seed (\d+): (.*)`)
	t.Run("none", func(t *testing.T) {
		if out, err := simulateWith(t, nil, "1-1000"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	mutants := simMutants
	if os.Getenv("TEST_LONG") != "1" {
		mutants = nil
		for i := 0; i < len(simMutants); i += 3 {
			mutants = append(mutants, simMutants[i])
		}
		t.Logf("A SLICE ONLY: %d planted bugs of %d. TEST_LONG=1 (make test-cluster) plants all.", len(mutants), len(simMutants))
	}
	for _, m := range mutants {
		t.Run(m.name, func(t *testing.T) {
			out, err := simulateWith(t, m.edits, "1-3000")
			seed := found.FindSubmatch(out)
			if err == nil || seed == nil {
				t.Fatalf("not found: %v\n%s", err, out)
			}
			t.Logf("found with seed %s: %s", seed[1], seed[2])
		})
	}
}

// simulateWith runs schedules with changed sources and returns what it printed.
func simulateWith(t *testing.T, edits []overlay.Edit, seeds string) ([]byte, error) {
	t.Helper()
	ctx, cancel := context.WithTimeout(t.Context(), 10*time.Minute)
	defer cancel()
	program, err := overlay.Build(ctx, ".", "sim_*_test.go", t.TempDir(), edits)
	if err != nil {
		t.Fatal(err)
	}
	cmd := exec.CommandContext(ctx, program, "-test.run", "^TestSimulation$")
	cmd.Env = append(os.Environ(), "SIM_SEEDS="+seeds, "SIM_SEED=")
	return cmd.CombinedOutput()
}
