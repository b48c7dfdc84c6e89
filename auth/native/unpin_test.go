package native_test

import (
	"slices"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/auth/pins"
)

// make makes requests for cidV1 of owners in t1.
func (w *world) make(t testing.TB, owners ...string) {
	t.Helper()
	for _, owner := range owners {
		if _, err := w.Create(t.Context(), pins.NewRequest{Tenant: "t1", Owner: owner, CID: cidV1}); err != nil {
			t.Fatal(err)
		}
	}
}

// TestUnpinOnRecord: each request that is removed is on record, also of more than are told
// at once.
func TestUnpinOnRecord(t *testing.T) {
	w := newWorld(t)
	w.make(t, "alice", "bob", "carol")
	w.most = 2
	if status, text := w.ask(t, "admin@t1", "DELETE", "/pins/"+cidV1, ""); status != 200 || len(w.all) > 0 {
		t.Errorf("%d %s, and %+v are left", status, text, w.all)
	}
	var want []string
	for _, id := range []string{"r3", "r2", "r1"} {
		want = append(want, "intent pins:delete "+id+" "+cidV1, "outcome success 200")
	}
	if got := w.records.take(); !slices.Equal(got, want) {
		t.Errorf("the records are %q", got)
	}
}

// TestUnpinAllOrNone: who may not remove one of the requests removes none.
func TestUnpinAllOrNone(t *testing.T) {
	w := newWorld(t)
	w.make(t, "bob", "alice")
	if status, text := w.ask(t, "user@t1", "DELETE", "/pins/"+cidV1, ""); status != 403 || len(w.all) != 2 {
		t.Errorf("%d %s, and %+v are left", status, text, w.all)
	}
	if got := w.records.take(); len(got) != 1 || got[0] != "done pins:delete r1 "+cidV1+" denied 403" {
		t.Errorf("the records are %q", got)
	}
}
