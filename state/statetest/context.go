package statetest

import (
	"context"
	"errors"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

func contextTests() []test {
	return []test{
		{"cancelled", testCancelled},
	}
}

// testCancelled calls everything with a context that has ended. A call may
// succeed all the same, as on dsstate, or fail; it must not tell a lie.
func testCancelled(t *testing.T, s Suite) {
	store := s.New(t)
	present, added := named("present", "present"), named("added", "added")
	add(t, store, present)
	ctx, cancel := context.WithCancel(t.Context())
	cancel()

	if got, err := store.Get(ctx, present.Cid); err == nil {
		samePin(t, got, asStored(t, present))
	} else if errors.Is(err, state.ErrNotFound) {
		t.Errorf("Get with a cancelled context says that a stored pin is missing: %v", err)
	}
	if has, err := store.Has(ctx, present.Cid); err == nil && !has {
		t.Error("Has with a cancelled context says that a stored pin is missing")
	}
	if _, err := store.Get(ctx, added.Cid); err == nil {
		t.Error("Get with a cancelled context returns a pin that does not exist")
	}
	if has, err := store.Has(ctx, added.Cid); err == nil && has {
		t.Error("Has with a cancelled context says that a missing pin exists")
	}
	if err := store.Add(ctx, added); err == nil {
		wantPin(t, store, asStored(t, added))
	}
	if err := store.Rm(ctx, present.Cid); err == nil {
		wantMissing(t, store, present.Cid)
	}
	// The store must be none the worse for it.
	add(t, store, present, added)
	wantPinset(t, store, asStored(t, present), asStored(t, added))
}
