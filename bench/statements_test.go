package main

import (
	"os"
	"strconv"
	"strings"
	"testing"

	"github.com/scylladb/gocqlx/v2/qb"
)

// So it is with the one that writes what events of claims come to.
func TestStatementsAreThoseOfTheLedger(t *testing.T) {
	source, err := os.ReadFile("../billing/ledger/statements.go")
	if err != nil {
		t.Fatal(err)
	}
	text := strings.ReplaceAll(string(source), "\" +\n\t\t\"", "") // long ones are in two lines
	for _, s := range []string{updateClaim, insertFact, insertActive} {
		if !strings.Contains(text, "= "+strconv.Quote(s)+"\n") {
			t.Errorf("the ledger does not have the statement %s", s)
		}
	}
}

// The bare driver loop measures the store only as long as both send the same.
func TestStatementsAreThoseOfTheStore(t *testing.T) {
	source, err := os.ReadFile("../scyllastate/statements.go")
	if err != nil {
		t.Fatal(err)
	}
	text := string(source)
	for _, s := range []string{selectPin, selectExists, casPut, casRemove, selectRange, bulkPut, putPlacement, insertBucket} {
		if !strings.Contains(text, "= "+strconv.Quote(s)+"\n") {
			t.Errorf("the store does not have the statement %s", s)
		}
	}
	columns := []string{"feed", "slot", "at", "cid", "rev", "prev", "kind", "traceparent"}
	if want := `Columns: []string{"` + strings.Join(columns, `", "`) + `"}`; !strings.Contains(text, want) {
		t.Errorf("the store does not have a table with %s", want)
	}
	if generated, _ := qb.Insert("changes").Columns(columns...).ToCql(); generated != insertChange {
		t.Errorf("the store sends %q, the bare loop %q", generated, insertChange)
	}
	if !strings.Contains(text, "slotLength = time.Minute\n") {
		t.Errorf("a slot of the store is not %d seconds", slotSeconds)
	}
	if !strings.Contains(text, "writeDeadline = 10 * time.Second\n") {
		t.Errorf("the write deadline of the store is not %s", writeDeadline)
	}
}
