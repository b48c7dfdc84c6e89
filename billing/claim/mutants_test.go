package claim_test

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// mutants are bugs that the tests must find. The first ones are planted in each run.
var mutants = []overlay.Mutant{
	{Name: "the bytes that are freed are those that are held", Test: "TestClaimsAreAreas", Edits: []overlay.Edit{
		{File: "facts.go", Old: `new(big.Int).Neg(bytes), 0)`, New: `bytes.Neg(bytes), 0)`}}},
	{Name: "the ID goes by the time", Test: "TestOtherContent", Edits: []overlay.Edit{
		{File: "facts.go", Old: `owner, c.RequestID, string(kind))`, New: `owner, c.RequestID, string(kind), at.String())`}}},
	{Name: "int64 for all copies", Test: "TestClaimsAreAreas", Edits: []overlay.Edit{
		{File: "policy.go", Old: `return n.Mul(n, big.NewInt(int64(copies)))`, New: `return n.SetInt64(c.Size * int64(copies))`}}},
	{Name: "what ends does not stop", Test: "TestClaimsAreAreas", Edits: []overlay.Edit{
		{File: "facts.go", Old: `	add(KindStop, end, nil, -1)
`, New: ``}}},

	{Name: "one ID for all kinds", Test: "TestIDs", Edits: []overlay.Edit{
		{File: "facts.go", Old: `owner, c.RequestID, string(kind))`, New: `owner, c.RequestID)`}}},
	{Name: "IDs without the lengths of their parts", Test: "TestIDs", Edits: []overlay.Edit{
		{File: "facts.go", Old: `		b = binary.BigEndian.AppendUint32(b, uint32(len(text)))
`, New: `		_ = binary.BigEndian
`}}},
	{Name: "an end before the beginning is billed", Test: "TestFacts", Edits: []overlay.Edit{
		{File: "facts.go", Old: `end := latest(c.Removed, begin)`, New: `end := c.Removed`}}},
	{Name: "what was never pinned is billed from its beginning", Test: "TestFacts", Edits: []overlay.Edit{
		{File: "policy.go", Old: `p.Start != StartPinned || !c.Pinned.IsZero()`, New: `true`}}},
	{Name: "what is pinned early is billed before it was accepted", Test: "TestFacts", Edits: []overlay.Edit{
		{File: "policy.go", Old: `at = latest(at, c.Pinned)`, New: `at = c.Pinned`}}},
	{Name: "what was before there was billing is billed", Test: "TestFacts", Edits: []overlay.Edit{
		{File: "policy.go", Old: `at := latest(c.Accepted, p.Since)`, New: `at := c.Accepted`}}},
	{Name: "all copies are billed", Test: "TestFacts", Edits: []overlay.Edit{
		{File: "policy.go", Old: `		copies = 1
`, New: ``}}},
	{Name: "no copies for the cluster's default", Test: "TestFacts", Edits: []overlay.Edit{
		{File: "policy.go", Old: `		copies = p.DefaultReplicas
`, New: ``}}},
	{Name: "fewer copies than none", Test: "TestFacts", Edits: []overlay.Edit{
		{File: "policy.go", Old: `		copies = p.AllReplicas
`, New: ``}}},
	{Name: "unsized is what has not begun", Test: "TestFacts", Edits: []overlay.Edit{
		{File: "facts.go", Old: `return begun && c.Size == 0`, New: `return begun && false || c.Size == 0`}}},
	{Name: "any size is believed", Test: "TestRefused", Edits: []overlay.Edit{
		{File: "facts.go", Old: `case p.MaxSize > 0 && c.Size > p.MaxSize:`, New: `case false:`}}},
	{Name: "a negative size is billed", Test: "TestRefused", Edits: []overlay.Edit{
		{File: "facts.go", Old: `case c.Size < 0:`, New: `case false:`}}},
	{Name: "the year does not matter", Test: "TestRefused", Edits: []overlay.Edit{
		{File: "policy.go", Old: `return year >= 1970 && year <= 9999`, New: `return year >= 1970`}}},
	{Name: "only the beginning is dated", Test: "TestRefused", Edits: []overlay.Edit{
		{File: "facts.go", Old: `[]time.Time{c.Accepted, c.Pinned, c.Removed} {`, New: `[]time.Time{c.Accepted} {`}}},
	{Name: "any text names an owner", Test: "TestRefused", Edits: []overlay.Edit{
		{File: "facts.go", Old: `return c.Owner, checkText(ReasonOwner, c.Owner)`, New: `return c.Owner, nil`}}},
	{Name: "an owner may be nobody", Test: "TestRefused", Edits: []overlay.Edit{
		{File: "facts.go", Old: `	case Suspense:
		return "", refused(`, New: `	case Suspense + Suspense:
		return "", refused(`}}},
	{Name: "what has no owner is refused", Test: "TestSuspense", Edits: []overlay.Edit{
		{File: "facts.go", Old: `		return Suspense, nil`, New: `		return "", refused(ReasonOwner, "it is missing")`}}},
	{Name: "the future is billed", Test: "TestTimely", Edits: []overlay.Edit{
		{File: "policy.go", Old: `case f.At > future:`, New: `case f.At > future+1<<40:`}}},
	{Name: "clocks are not ahead", Test: "TestTimely", Edits: []overlay.Edit{
		{File: "policy.go", Old: `future := now.Add(Ahead).UnixMilli()`, New: `future := now.UnixMilli()`}}},
	{Name: "the past is billed, however far", Test: "TestTimely", Edits: []overlay.Edit{
		{File: "policy.go", Old: `f.At < now.Add(-p.Window).UnixMilli():`, New: `false:`}}},
	{Name: "one ID for both sides of a correction", Test: "TestIDs", Edits: []overlay.Edit{
		{File: "correction.go", Old: `hash(correctionFormat, c.ID, string(kind))`, New: `hash(correctionFormat, c.ID)`}}},
	{Name: "what is given is not taken", Test: "TestOtherOwner", Edits: []overlay.Edit{
		{File: "correction.go", Old: `c.fact(KindLess, c.At, c.From, -1)`, New: `c.fact(KindLess, c.At, c.From, 1)`}}},
	{Name: "a correction does not end", Test: "TestCorrectedSize", Edits: []overlay.Edit{
		{File: "correction.go", Old: `if !c.Until.IsZero() {`, New: `if false {`}}},
	{Name: "pins are given to nobody", Test: "TestOtherOwner", Edits: []overlay.Edit{
		{File: "correction.go", Old: `sign*h.Pins)`, New: `0)`}}},
}

// TestMutants plants one bug after the other in what makes facts.
func TestMutants(t *testing.T) { overlay.Find(t, 4, mutants, "-rapid.nofailfile", "-rapid.seed=1") }
