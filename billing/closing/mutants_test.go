package closing

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// mutants are bugs that the tests must find. The first ones are planted in each run.
var mutants = []overlay.Mutant{
	{Name: "the level is not carried", Test: "TestAnyHistory", Edits: []overlay.Edit{
		{File: "close.go", Old: `return last.Usage.Closing, err`, New: `return last.Usage.Opening, err`}}},
	{Name: "an adjustment is lost after a crash", Test: "TestCrash", Edits: []overlay.Edit{
		{File: "recompute.go", Old: `	if err := w.complete(ctx, owner, stored); err != nil {
		return err
	}
`, New: ``}}},

	{Name: "midnight off by one", Test: "TestWhenADayCloses", Edits: []overlay.Edit{
		{File: "closing.go", Old: `time.UnixMilli((day + 1) * usage.DayMS).UTC()`, New: `time.UnixMilli((day+1)*usage.DayMS - 1).UTC()`}}},
	{Name: "an adjustment is not stored", Test: "TestLate", Edits: []overlay.Edit{
		{File: "recompute.go", Old: `		if err := w.adjust(ctx, owner, next.Period, ch.version+1, ch.day, ch.before, ch.after); err != nil {`,
			New: `		if err := error(nil); err != nil {`}}},
	{Name: "an adjustment is stored twice", Test: "TestLate", Edits: []overlay.Edit{
		{File: "recompute.go", Old: `	a, _ := usage.Diff(day, version, before, after)
	if err := w.store.PutAdjustment(`, New: `	a, _ := usage.Diff(day, version, before, after)
	a.ID[0] ^= byte(w.opts.Now().UnixMilli() / 86_400_000)
	if err := w.store.PutAdjustment(`}}},
	{Name: "idle days after a late one are skipped", Test: "TestLate", Edits: []overlay.Edit{
		{File: "recompute.go", Old: `		case len(rows) == 0:
			after = usage.Idle(opening)
`, New: ``}}},
	{Name: "idle days are not read", Test: "TestLate", Edits: []overlay.Edit{
		{File: "reader.go", Old: `			if err := f(d); err != nil {`, New: `			if d.Latest.Deltas == 0 {
				continue
			}
			if err := f(d); err != nil {`}}},
	{Name: "an idle day is stored as it is by now", Test: "TestLate", Edits: []overlay.Edit{
		{File: "recompute.go", Old: `Day: ch.day, Usage: ch.before}`, New: `Day: ch.day, Usage: ch.after}`}}},
	{Name: "late facts are not looked at", Test: "TestAnyHistory", Edits: []overlay.Edit{
		{File: "work.go", Old: `		if err := w.late(ctx, last); err != nil {
			return err
		}
`, New: ``}}},
	{Name: "late facts are looked at after the next close", Test: "TestAnyHistory", Edits: []overlay.Edit{
		{File: "work.go", Old: `		if err := w.late(ctx, last); err != nil {
			return err
		}
`, New: ``}, {File: "work.go", Old: `			return nil
		}
		if err := w.closeDay`, New: `			return w.late(ctx, last)
		}
		if err := w.closeDay`}}},
	{Name: "marks of yesterday are not looked at", Test: "TestAnyHistory", Edits: []overlay.Edit{
		{File: "late.go", Old: `for noted := closed;`, New: `for noted := today;`}}},
	{Name: "a day is skipped", Test: "TestWhenADayCloses", Edits: []overlay.Edit{
		{File: "work.go", Old: `w.closeDay(ctx, last+1)`, New: `w.closeDay(ctx, last+1+int64(len(w.shards)&1))`}}},
	{Name: "a day is closed before the grace is over", Test: "TestWhenADayCloses", Edits: []overlay.Edit{
		{File: "closing.go", Old: `return until.Add(-c.opts.Grace), nil`, New: `return until, nil`}}},
	{Name: "what waits is not waited for", Test: "TestWhenADayCloses", Edits: []overlay.Edit{
		{File: "closing.go", Old: `if t.Before(until) {`, New: `if t.After(until) {`}}},
	{Name: "no other version is looked for", Test: "TestPaused", Edits: []overlay.Edit{
		{File: "recompute.go", Old: `if !same(kept.Usage, d.Usage) || kept.Period != d.Period {`, New: `if kept.Version < 0 {`}}},
	{Name: "the first of two that close is believed", Test: "TestPaused", Edits: []overlay.Edit{
		{File: "close.go", Old: `if kept.Usage.Digest != worked.Digest {`, New: `if false {`},
		{File: "late.go", Old: `for noted := closed;`, New: `for noted := today + 1;`}}},
	{Name: "a lease that has run out is used", Test: "TestLeaseHasRunOut", Edits: []overlay.Edit{
		{File: "work.go", Old: `if time.Now().UnixNano() >= w.lasts.Load() {`, New: `if false {`}}},
	{Name: "one of two that differ counts", Test: "TestHeld", Edits: []overlay.Edit{
		{File: "fold.go", Old: `		if differ[d.ID] {`, New: `		if differ[d.ID] && !first[d.ID].Equal(d) {`}}},
	{Name: "two that differ hold nothing", Test: "TestHeld", Edits: []overlay.Edit{
		{File: "fold.go", Old: `	worked.Negative = true
`, New: ``}}},
	{Name: "a level below zero holds nothing", Test: "TestHeld", Edits: []overlay.Edit{
		{File: "reader.go", Old: `if d.Latest.Negative {`, New: `if false {`}}},
	{Name: "an export that is cut off is whole", Test: "TestGateway", Edits: []overlay.Edit{
		{File: "gateway.go", Old: `			return errCut
`, New: `			return nil
`}}},
	{Name: "a claim that is among both counts twice", Test: "TestReconcile", Edits: []overlay.Edit{
		{File: "reconcile.go", Old: `if d.Removed.After(o.settled) {`, New: `if false {`}}},
	{Name: "the size that a peer told is a drift", Test: "TestReconcile", Edits: []overlay.Edit{
		{File: "compare.go", Old: `counted.Size = sizes // peers may have told it`, New: ``}, {File: "compare.go", Old: `if sizes := c.Data().Size; counted.Size == 0 {`, New: `if false {`}}},
}

// TestMutants plants one bug after the other.
func TestMutants(t *testing.T) {
	cqltest.Start(t)
	overlay.Find(t, -1, mutants) // each builds the room and opens keyspaces
}
