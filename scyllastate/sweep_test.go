package scyllastate

import (
	"context"
	"maps"
	"slices"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestSweep: what only earlier runs have written is removed, and nothing else.
func TestSweep(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	p := statetest.Peer("a")
	pins := make(map[string]state.BulkPin)
	for n, name := range []string{"gone", "stays", "changed", "removed", "of another"} {
		pin := held(name, p)
		pin.Cid = statetest.Cid(name)
		pins[name] = bulkPin(t, int64(n+1), pin)
	}
	write := func(id string, run int64, names ...string) state.Importer {
		i := begin(t, s, migration(id, run, true))
		for _, name := range names {
			must(t, i.Write(ctx, []state.BulkPin{pins[name]}))
		}
		return i
	}
	want := func(names ...string) {
		t.Helper()
		if left := slices.Sorted(maps.Keys(namesOfPins(t, s))); !slices.Equal(left, names) {
			t.Errorf("left are %q, want %q", left, names)
		}
		for name, pin := range pins {
			_, there, err := s.GetPlacement(ctx, p, pin.Pin.Cid)
			if must(t, err); there != slices.Contains(names, name) {
				t.Errorf("the placement of %q is there: %v", name, there)
			}
		}
	}
	sweep := func(i state.Importer, want int64) {
		t.Helper()
		if n, err := i.Sweep(ctx, func(int64) {}); err != nil || n != want {
			t.Errorf("%d pins were removed, want %d: %v", n, want, err)
		}
	}
	write("crdt:/other", 1, "of another")
	write("crdt:/one", 1, "gone", "stays")
	own, others, err := s.CountMigrated(ctx, "crdt:/one", func(int64) {})
	if must(t, err); own != 2 || others != 1 {
		t.Errorf("it has %d of its own and %d others", own, others)
	}
	sweep(write("crdt:/one", 2, "stays"), 1)
	want("of another", "stays")
	write("crdt:/one", 3, "gone", "stays", "changed", "removed") // it is there again
	want("changed", "gone", "of another", "removed", "stays")

	i := write("crdt:/one", 4, "gone", "stays")
	must(t, s.Add(ctx, pins["changed"].Pin))
	must(t, s.Rm(ctx, pins["removed"].Pin.Cid))
	must(t, s.DropPlacement(ctx, p, pins["removed"].Pin.Cid))
	late, ok := i.(*importer)
	if !ok {
		t.Fatal("the importer is another one")
	}
	late.pace.check = func(context.Context) error { return nil } // it has not noticed yet
	sweep(i, 0)
	want("changed", "gone", "of another", "stays")
}

// namesOfPins returns the names of all pins.
func namesOfPins(t *testing.T, s *Store) map[string]struct{} {
	t.Helper()
	out := make(chan api.Pin, 100)
	must(t, s.List(t.Context(), out))
	names := make(map[string]struct{})
	for pin := range out {
		names[pin.Name] = struct{}{}
	}
	return names
}
