package ledger

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// mutants are bugs that a test must find. The first one is planted in each run.
var mutants = []overlay.Mutant{
	{Name: "the highest source stays", Test: "TestNote", Edits: []overlay.Edit{
		{File: "claims.go", Old: `firstOnly-int64(t.Source), name`, New: `firstOnly+int64(t.Source), name`}}},
	{Name: "another value takes the place of one", Test: "TestConflicts", Edits: []overlay.Edit{
		{File: "statements.go", Old: `removed = removed + ?, sizes = sizes + ?`, New: `removed = ?, sizes = ?`}}},
	{Name: "facts are written before who is active", Test: "TestActiveBeforeFacts", Edits: []overlay.Edit{
		{File: "facts.go", Old: `	if err := s.write(ctx, rows); err != nil {
		return fmt.Errorf("noting who is active: %w", err)
	}
	s.active.add(slices.Collect(maps.Keys(active))...)
	return wrap(s.write(ctx, b), "writing facts")`, New: `	if err := s.write(ctx, b); err != nil {
		return fmt.Errorf("noting who is active: %w", err)
	}
	s.active.add(slices.Collect(maps.Keys(active))...)
	return wrap(s.write(ctx, rows), "writing facts")`}}},
	{Name: "who was to be active counts as written", Test: "TestActiveBeforeFacts", Edits: []overlay.Edit{
		{File: "facts.go", Old: `			active[a] = true
`, New: `			active[a] = true
			s.active.add(a)
`}}},
	{Name: "a day is a millisecond late", Test: "TestFacts", Edits: []overlay.Edit{
		{File: "keys.go", Old: `	day := usage.DayOf(f.At)
`, New: `	day := usage.DayOf(f.At - 1)
`}}},
	{Name: "one bucket is read", Test: "TestManyFacts", Edits: []overlay.Edit{
		{File: "facts.go", Old: `	return each(ctx, buckets, func`, New: `	return each(ctx, buckets[:min(1, len(buckets))], func`}}},
	{Name: "an owner is active once for each bucket", Test: "TestManyFacts", Edits: []overlay.Edit{
		{File: "active.go", Old: `owner == last && !first`, New: `owner == last && !first && day < 0`}}},
	{Name: "the last one to store a day counts", Test: "TestPutDay", Edits: []overlay.Edit{
		{File: "statements.go", Old: `?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?) IF NOT EXISTS"`, New: `?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?, ?)"`},
		{File: "store.go", Old: `return scylla.Decide(ctx, s.db, statement)`, New: `return s.db.WriteAll(ctx, []scylla.Statement{statement})`}}},
	{Name: "who stores a day is told what it has worked out", Test: "TestPutDay", Edits: []overlay.Edit{
		{File: "days.go", Old: `	return kept, wrap(err, "reading version`, New: `	kept = d
	return kept, wrap(err, "reading version`}}},
	{Name: "a month without days ends the search", Test: "TestLastDay", Edits: []overlay.Edit{
		{File: "days.go", Old: `if err != nil || found {
			return d`, New: `if err != nil || !found || found {
			return d`}}},
	{Name: "the last day may be the one itself", Test: "TestLastDay", Edits: []overlay.Edit{
		{File: "days.go", Old: `scylla.Bind(selectDayBefore, owner, month, before)`, New: `scylla.Bind(selectDayBefore, owner, month, before+1)`}}},
	{Name: "an older epoch closes", Test: "TestClose", Edits: []overlay.Edit{
		{File: "statements.go", Old: `IF epoch = ? AND state = ?"`, New: `IF epoch != ? AND state = ?"`}}},
	{Name: "an older epoch begins", Test: "TestClose", Edits: []overlay.Edit{
		{File: "progress.go", Old: `case p.Epoch > epoch:`, New: `case p.Epoch > epoch+100:`}}},
	{Name: "an outcome that is not known is none", Test: "TestClose", Edits: []overlay.Edit{
		{File: "store.go", Old: `return scylla.Decide(ctx, s.db, statement)`, New: `_, _, err := s.db.CAS(ctx, statement)
	return err`}}},
	{Name: "begun is forgotten", Test: "TestBegun", Edits: []overlay.Edit{
		{File: "progress.go", Old: `*known[at] = p.Begun; p.Begun`, New: `p.Begun`}}},
	{Name: "what comes again is another item", Test: "TestQuarantine", Edits: []overlay.Edit{
		{File: "quarantine.go", Old: `append([]byte(why+"\x00"), payload...)`, New: `append([]byte(why+"\x00"+s.now().String()), payload...)`}}},
	{Name: "a late write enters a claim again", Test: "TestUnsized", Edits: []overlay.Edit{
		{File: "sizes.go", Old: `k.RequestID, int64(firstOnly))`, New: `k.RequestID, s.now().UnixMicro()+1)`}}},
	{Name: "of sizes the last one stays", Test: "TestSizes", Edits: []overlay.Edit{
		{File: "statements.go", Old: `SET sizes = sizes + ? WHERE cid`, New: `SET sizes = ? WHERE cid`}}},
}

// TestMutants plants one bug after the other in what stores. The tests with them use the server
// of this one.
func TestMutants(t *testing.T) {
	cqltest.Start(t)
	overlay.Find(t, 1, mutants)
}
