package ingest

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// mutants are bugs that a test must find. The first one is planted in each run.
var mutants = []overlay.Mutant{
	{Name: "an event counts alone", Test: "TestAnyOrder", Edits: []overlay.Edit{
		{File: "take.go", Old: `claim.Facts(dataOf(g.claim), in.policy)`, New: `claim.Facts(g.entries[0].data, in.policy)`}}},
	{Name: "what others have told is not left to them", Test: "TestOld", Edits: []overlay.Edit{
		{File: "take.go", Old: `b.Delta.Equal(f.Delta)`, New: `b.Equal(f) && b.At > f.At`}}},
	{Name: "what was noted before is left to others", Test: "TestKilled", Edits: []overlay.Edit{
		{File: "take.go", Old: `		others = others.Without(source)
`, New: `		if g.entries[0].told.Source > source {
			others = others.Without(source)
		}
`}}},
	{Name: "what is late is noted after its facts alone", Test: "TestKilledBeforeLateIsNoted", Edits: []overlay.Edit{
		{File: "late.go", Old: `in.noteLate(ctx, facts, nil)`, New: `in.noteLate(ctx, nil, nil)`}}},
	{Name: "a conflict is counted", Test: "TestConflict", Edits: []overlay.Edit{
		{File: "take.go", Old: `len(columns) > 0`, New: `len(columns) > 3`}}},
	{Name: "what is in conflict is dropped", Test: "TestConflict", Edits: []overlay.Edit{
		{File: "take.go", Old: `			aside = append(aside, g.aside(refused(claim.ReasonConflict, why))...)
`, New: `			_ = why
`}}},
	{Name: "claims are read before they are noted", Test: "TestConflictAtOnce", Edits: []overlay.Edit{
		{File: "take.go", Old: `	if err := in.store.Note(ctx, told); err != nil {
		return err
	}
	if err := in.enter(ctx, groups); err != nil {
		return err
	}
	if err := in.read(ctx, groups); err != nil {
		return err
	}
`, New: `	if err := in.enter(ctx, groups); err != nil {
		return err
	}
	for k, g := range groups {
		known, err := in.store.Claims(ctx, []ledger.Key{k})
		if err != nil {
			return err
		}
		if g.claim = known[k]; g.claim.Terms == nil {
			g.claim = ledger.Claim{Key: k, Terms: map[ledger.Terms]ledger.Source{told[0].Terms: told[0].Source}, Sizes: map[int64]ledger.Source{told[0].Size: told[0].Source}}
		}
	}
	if err := in.store.Note(ctx, told); err != nil {
		return err
	}
`}}},
	{Name: "what was there is late", Test: "TestLate", Edits: []overlay.Edit{
		{File: "late.go", Old: `		case slices.ContainsFunc(stored[f.ID], f.Delta.Equal):
			continue
`, New: ``}}},
	{Name: "nothing is late", Test: "TestLate", Edits: []overlay.Edit{
		{File: "late.go", Old: `in.store.MarkLate(ctx, today, begun)`, New: `in.store.MarkLate(ctx, today, nil)`}}},
	{Name: "the close is asked for before the facts are written", Test: "TestMidnight", Edits: []overlay.Edit{
		{File: "late.go", Old: `	today := usage.DayOf(in.now().UnixMilli())
	over`, New: `	today := usage.DayOf(facts[0].At)
	over`}}},
	{Name: "any age counts", Test: "TestOld", Edits: []overlay.Edit{
		{File: "late.go", Old: `in.policy.Timely(now, f)`, New: `in.policy.Timely(now)`}}},
	{Name: "half of a claim that is too old counts", Test: "TestOld", Edits: []overlay.Edit{
		{File: "take.go", Old: `bad[keyOf(&f)] != nil`, New: `false`}}},
	{Name: "times that are ahead are noted", Test: "TestPutAside", Edits: []overlay.Edit{
		{File: "ingest.go", Old: `anyAge.Timely(in.now(), facts...)`, New: `anyAge.Timely(in.now(), facts[:0]...)`}}},
	{Name: "claims are entered after sizes were looked at", Test: "TestSizes", Edits: []overlay.Edit{
		{File: "sized.go", Old: `	return in.store.PutUnsized(ctx, cids)`, New: `	return nil`}}},
	{Name: "sizes of peers are not looked at", Test: "TestSizes", Edits: []overlay.Edit{
		{File: "sized.go", Old: `	if len(lacking) == 0 {`, New: `	if len(lacking) >= 0 {`}}},
	{Name: "a size that peers do not agree in counts", Test: "TestSizesInConflict", Edits: []overlay.Edit{
		{File: "sized.go", Old: `		if len(known) > 1 {
			continue`, New: `		if len(known) > 5 {
			continue`}}},
	{Name: "who has a size stays among those without", Test: "TestSizes", Edits: []overlay.Edit{
		{File: "sized.go", Old: `	return in.store.DeleteUnsized(ctx, cids)`, New: `	return nil`}}},
	{Name: "nobody is an owner", Test: "TestSuspense", Edits: []overlay.Edit{
		{File: "take.go", Old: `		d.Owner = ""
`, New: ``}}},
}

// TestMutants plants one bug after the other in what counts events. The tests with them use the
// server of this one.
func TestMutants(t *testing.T) {
	cqltest.Start(t)
	overlay.Find(t, 1, mutants)
}
