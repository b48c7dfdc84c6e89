package api_test

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/cqltest"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/overlay"
)

// mutants are bugs that a test must find. The first one is planted in each run.
var mutants = []overlay.Mutant{
	{Name: "an invoice of another owner is shown", Test: "TestOwners", Edits: []overlay.Edit{
		{File: "invoices.go", Old: `!ok || found.Document.Owner != c.owner`, New: `!ok`}}},
	{Name: "an empty token is that of operators who have none", Test: "TestNoOperators", Edits: []overlay.Edit{
		{File: "api.go", Old: ` && right != ""`, New: ``}}},
	{Name: "the gateway does what operators do", Test: "TestWhoMayAsk", Edits: []overlay.Edit{
		{File: "api.go", Old: `r.operators && !operator:`, New: `r.operators && !operator && !gateway:`}}},
	{Name: "who has no token may ask", Test: "TestWhoMayAsk", Edits: []overlay.Edit{
		{File: "api.go", Old: `case !ok || !operator && !gateway:`, New: `case !ok:`}}},
	{Name: "the last of a page is left out", Test: "TestPages", Edits: []overlay.Edit{
		{File: "pins.go", Old: `last := found[len(found)-1].PlaceOf()`, New: `last := found[max(0, len(found)-2)].PlaceOf()`}}},
	{Name: "a cursor is good for any list", Test: "TestPages", Edits: []overlay.Edit{
		{File: "answer.go", Old: ` || all[0] != kind`, New: ``}}},
	{Name: "texts are formulas", Test: "TestCSV", Edits: []overlay.Edit{
		{File: "answer.go", Old: `		return invoice.Cell(v)`, New: `		_ = invoice.Cell
		return v`}}},
	{Name: "what is not closed is not counted", Test: "TestUsage", Edits: []overlay.Edit{
		{File: "usage.go", Old: `	if m.Complete {
		return view, nil
	}`, New: `	if true || m.Complete {
		return view, nil
	}`}}},
	{Name: "a failure is an empty answer", Test: "TestDatabaseIsGone", Edits: []overlay.Edit{
		{File: "pins.go", Old: `limit)
	if err != nil {
		return err
	}
	var p page[pinView]`, New: `limit)
	var p page[pinView]`}}},
	{Name: "anything is resolved", Test: "TestOperators", Edits: []overlay.Edit{
		{File: "operators.go", Old: `	case !found:
		return missing("there is no such item")
`, New: ``}}},
}

// TestMutants plants one bug after the other in the API. The tests with them use the server of this
// one.
func TestMutants(t *testing.T) {
	cqltest.Start(t)
	overlay.Find(t, -1, mutants) // each builds the room and opens keyspaces
}
