package scyllastate

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/simtest"
)

// simMutants are bugs that the simulation must find, planted in the real code.
var simMutants = []simtest.Mutant{
	{Name: "conditional update before the intents", Edits: []overlay.Edit{{
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
	{Name: "no deadline for appends", Edits: []overlay.Edit{
		{File: "intents.go", Old: `late := elapsed(at, a.now()) > a.deadline`, New: `late := elapsed(at, a.now()) > time.Hour`},
		{File: "intents.go", Old: `context.WithTimeout(context.Background(), a.deadline)`,
			New: `context.WithTimeout(context.Background(), time.Hour)`},
	}},
	{Name: "new revision while the outcome is unknown", Edits: []overlay.Edit{{
		File: "update.go",
		Old:  `applied, now, err = s.resolve(ctx, w, err)`,
		New:  `now, err = s.readRow(ctx, w.cid, gocql.Serial)`,
	}}},
	{Name: "whatever was replaced was not applied", Edits: []overlay.Edit{{
		File: "update.go",
		Old:  `case now.prev == w.old.rev && !s.stale(w):`,
		New:  `case now.rev != w.old.rev:`,
	}}},
	{Name: "removed rows are deleted instead of marked", Edits: []overlay.Edit{{
		File: "statements.go",
		Old:  `"UPDATE pins USING TTL ? SET rev = ?, prev = ?, pin = null, rf_min = null, rf_max = null, created = null, peers = null WHERE cid = ? IF rev = ? AND pin != ?"`,
		New:  `"DELETE FROM pins WHERE cid = ? IF rev = ? AND pin != ?"`,
	}}},
	{Name: "the marker has the grace of the remover, the writer a longer one", Edits: []overlay.Edit{{
		File: "update.go", Old: `> s.conf.UnpinGrace/2`, New: `> 12*s.conf.UnpinGrace`,
	}}},
	{Name: "acting on a pending change", Edits: []overlay.Edit{
		{File: "feed_task.go", Old: `settled[i] = c.prev != gocql.UUID{}`, New: `settled[i] = true || c.done`},
		{File: "feed_task.go", Old: `settled[i] = later(now.rev, c.prev)`, New: `settled[i] = true`},
	}},
	{Name: "dropping a pending change after a timeout", Edits: []overlay.Edit{{
		File: "feed_task.go",
		Old: `		if now, err = d.fence(ctx, c, now); err != nil {
			return nil, false, err
		}
		settled = settle(now, open)
`,
		New: `		settled = slices.Repeat([]bool{true}, len(open))
`,
	}}},
	{Name: "writers are fenced at once", Edits: []overlay.Edit{{
		File: "deadlines.go", Old: `first: lim.window(), losses`, New: `first: lim.skew() / 10, losses`,
	}}},
	{Name: "writers have the same time however often they were fenced", Edits: []overlay.Edit{{
		File: "deadlines.go", Old: `return d.first << lost.times`, New: `return d.first << min(lost.times, 0)`,
	}}},
	{Name: "a fence is taken for a write that was applied", Edits: []overlay.Edit{{
		File: "deadlines.go", Old: `	changes = withoutFences(changes)
`, New: ``,
	}}},
	{Name: "a writer has what is left of the time of another one", Edits: []overlay.Edit{{
		File: "feed_pending.go", Old: `	return pending
}`, New: `	return pending[:min(1, len(pending))]
}`,
	}}},
	{Name: "nobody is fenced", Edits: []overlay.Edit{{
		File: "feed_task.go", Old: `slices.Contains(settled, false) && d.overdue(t, c, now)`, New: `slices.Contains(settled, false) && d.overdue(t, c, now) && false`,
	}}},
	{Name: "an earlier call ends what the later one is for", Edits: []overlay.Edit{{
		File: "feed_task.go",
		Old:  `case t.gen != gen || d.tasks[t.cid] != t:`,
		New:  `case d.tasks[t.cid] != t:`,
	}}},
	{Name: "the cursor passes what ends later", Edits: []overlay.Edit{{
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
	{Name: "the cursor has no window for stragglers", Edits: []overlay.Edit{{
		File: "feed_tail.go",
		Old:  `settled := now.Add(-window)`,
		New:  `settled := now`,
	}}},
	{Name: "the cursor passes pending changes", Edits: []overlay.Edit{{
		File: "feed_tail.go",
		Old:  `if oldest, ok := t.out.oldest(); ok && !oldest.After(final) {`,
		New:  `if oldest, ok := t.out.oldest(); ok && final.IsZero() {`,
	}}},
	{Name: "what a process left unfinished is not taken up", Edits: []overlay.Edit{{
		File: "../peer/tracker/scan.go",
		Old: `	t.scan(ctx, true)
	t.scanned`,
		New: `	t.scanned`,
	}}},
	{Name: "a change ends before there is a row", Edits: []overlay.Edit{{
		File: "../peer/tracker/act.go", Old: `case o.kept():`, New: `case o.kept() || !o.row.there:`,
	}, {
		File: "../peer/tracker/claim.go", Old: `return !direct && o.want.done != nil && o.want.first`, New: `return !direct`,
	}}},
	{Name: "what was pinned without a row is not unpinned", Edits: []overlay.Edit{{
		File: "../peer/tracker/note.go",
		Old:  `if !known.there && was.asked == nil && !was.unpassed {`,
		New:  `if was.unpassed = false; !known.there && was.asked == nil && !was.unpassed {`,
	}}},
	{Name: "evidence is not asked for", Edits: []overlay.Edit{{
		File: "../peer/tracker/note.go",
		Old:  `if !known.there && was.asked == nil && !was.unpassed {`,
		New:  `if false {`,
	}}},
	{Name: "the row stays pinned while it is unpinned", Edits: []overlay.Edit{{
		File: "../peer/tracker/note.go",
		Old:  `if !known.leaving() || known.rev != was.want.rev || was.asked != nil {`,
		New:  `if pinned := known.there && known.status == state.PlacementPinned; !pinned && (!known.leaving() || known.rev != was.want.rev || was.asked != nil) {`,
	}}},
	{Name: "what a scan has read of a pin counts when it acts", Edits: []overlay.Edit{{
		File: "../peer/tracker/note.go",
		Old:  `		return func(o *op, e *effects) { t.accept(o, t.wanted(state.Change{Cid: c, Pin: pin, Rev: rev}), e) }, nil`,
		New: `		time.Sleep(2 * time.Second)
		return func(o *op, e *effects) { o.next = nil; t.accept(o, t.wanted(state.Change{Cid: c, Pin: pin, Rev: rev}), e) }, nil`,
	}}},
	{Name: "what arrives while a pin is read is taken at once", Edits: []overlay.Edit{{
		File: "../peer/tracker/note.go",
		Old:  `		t.offer(o, *next, e) // what was read may have begun the next write`,
		New:  `		t.accept(o, *next, e)`,
	}}},
	{Name: "the depth of a failed pin is taken for what there is", Edits: []overlay.Edit{{
		File: "../peer/tracker/kubo.go",
		Old: `	if recursive, lsErr := t.recursive(ctx, pin.Cid); lsErr != nil || !recursive {
		return outcome{err: err}`,
		New: `	if recursive, lsErr := t.recursive(ctx, pin.Cid); lsErr != nil || !recursive {
		return outcome{err: err, depth: &pin.MaxDepth}`,
	}}},
	{Name: "nobody looks whether an unpin is made that was given up", Edits: []overlay.Edit{{
		File: "../peer/tracker/note.go", Old: `t.lookAgain(o.cid, firstLook, firstLook)`, New: `_ = o`,
	}}},
	{Name: "a tail that settles without the shared feeds", Edits: []overlay.Edit{{
		File: "feed_tail.go",
		Old: `	for _, s := range t.sources {
		if s.final.Before(final) {`,
		New: `	for _, s := range t.sources[:1] {
		if s.final.Before(final) {`,
	}}},
	{Name: "the events pass what is not settled", Edits: []overlay.Edit{{
		File: "events_step.go", Old: `if c := e.open.oldest(); c != nil && !c.at.After(through) {`, New: `if c := e.open.oldest(); c != nil && through.IsZero() {`,
	}}},
	{Name: "what is not settled is told", Edits: []overlay.Edit{{
		File: "events_tell.go", Old: `if settled && w.unread == nil {`, New: `if (settled || c.Defined()) && w.unread == nil {`,
	}}},
	{Name: "events that were refused are done", Edits: []overlay.Edit{{
		File: "events_step.go", Old: `		if err == nil {
			r.other = nil`, New: `		if true {
			r.other = nil`,
	}}},
	{Name: "what came of a pin is told after it is noted", Edits: []overlay.Edit{{
		File: "../peer/tracker/note.go",
		Old: `		if err := t.tellRow(ctx, was, row); err != nil { // the size is known now
			return nil, err
		}
		apply, err := t.put(`,
		New: `		defer func() { _ = t.tellRow(ctx, was, row) }()
		apply, err := t.put(`,
	}}},
}

// TestPlantedBugsFitTheCode: each can be planted, also those that only a long run
// plants: the code that one edits may have changed.
func TestPlantedBugsFitTheCode(t *testing.T) { simtest.Fit(t, simMutants) }

// TestSimulationFindsPlantedBugs plants one bug after the other and expects the
// simulation to find it. Where none is planted it finds none: these schedules run
// here, without the race detector, with which they take four times as long.
func TestSimulationFindsPlantedBugs(t *testing.T) {
	t.Run("none", func(t *testing.T) {
		if out, err := simulation().With(t, nil, "1-1000"); err != nil {
			t.Errorf("%v\n%s", err, out)
		}
	})
	var slice []simtest.Mutant
	for i := 0; i < len(simMutants); i += 3 {
		slice = append(slice, simMutants[i])
	}
	simulation().Finds(t, "1-3000", simMutants, slice)
}
