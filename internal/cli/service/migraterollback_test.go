package service

import (
	"bytes"
	"slices"
	"strings"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/migrate"
)

// TestRollbackShowsTheExport as it shows its other phases.
func TestRollbackShowsTheExport(t *testing.T) {
	const pins = 20
	var file, want, stdout, stderr bytes.Buffer
	var shown []migrate.Progress
	show := func(p migrate.Progress) { shown = append(shown, p) }
	st := storeWith(t, pins)
	if err := exportShown(t.Context(), st, &file, show); err != nil {
		t.Fatal(err)
	}
	if _, err := exportPins(t.Context(), st, &want, quiet()); err != nil || !slices.Equal(sorted(file.String()), sorted(want.String())) {
		t.Errorf("the file is not that of an export (%v)", err)
	}
	for i, p := range shown {
		if p.Phase != phaseExporting || p.Done != int64(i) || p.Total >= 0 {
			t.Errorf("progress %d is %+v", i, p)
		}
	}
	if len(shown) != pins+1 {
		t.Errorf("%d times it said how far it is, want %d", len(shown), pins+1)
	}

	o := newMigrationOutput(&stdout, &stderr, true)
	if err := exportShown(t.Context(), st, &file, o.progress); err != nil {
		t.Fatal(err)
	}
	const begin = `{"progress":{"phase":"exporting","done":0,"total":-1,`
	if !bytes.HasPrefix(stdout.Bytes(), []byte(begin)) || stderr.Len() > 0 {
		t.Errorf("stdout has\n%sstderr\n%s", &stdout, &stderr)
	}
}

// sorted returns the lines of a text in alphabetical order.
func sorted(text string) []string { return slices.Sorted(strings.Lines(text)) }
