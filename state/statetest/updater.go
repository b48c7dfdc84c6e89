package statetest

import (
	"errors"
	"fmt"
	"reflect"
	"strings"
	"sync/atomic"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// UpdatingStore is a store that can also change one pin by compare-and-set.
type UpdatingStore interface {
	state.Store
	state.Updater
}

// RunUpdater checks the obligations of a state.Updater. Each subtest gets an
// empty store of its own from newStore, which releases what it took in a
// Cleanup of tb.
func RunUpdater(t *testing.T, newStore func(tb testing.TB) UpdatingStore) {
	t.Helper()
	for _, test := range []struct {
		name string
		run  func(t *testing.T, s UpdatingStore)
	}{
		{"create replace remove", testUpdateSteps},
		{"removed is absent", testUpdateRemoved},
		{"refusal", testUpdateRefused},
		{"another cid", testUpdateAnotherCid},
		{"overtaken", testUpdateOvertaken},
		{"counter", testUpdateCounter},
	} {
		t.Run("updater/"+test.name, func(t *testing.T) { test.run(t, newStore(t)) })
	}
}

// change returns an update function that notes what it was called with, in the
// order of the calls, and gives next.
func change(seen *[]*api.Pin, next *api.Pin) func(*api.Pin) (*api.Pin, error) {
	return func(current *api.Pin) (*api.Pin, error) {
		*seen = append(*seen, current)
		return next, nil
	}
}

// wantLast fails unless the last call was with want.
func wantLast(t *testing.T, seen []*api.Pin, want *api.Pin) {
	t.Helper()
	if len(seen) == 0 {
		t.Fatal("the function was not called")
	}
	if got := seen[len(seen)-1]; !reflect.DeepEqual(got, want) {
		t.Fatalf("the function got %s, want %s", asJSON(got), asJSON(want))
	}
}

func testUpdateSteps(t *testing.T, s UpdatingStore) {
	first, second := named("a", "first"), named("a", "second")
	var seen []*api.Pin
	update := func(next *api.Pin) {
		t.Helper()
		seen = nil
		if err := s.Update(t.Context(), first.Cid, change(&seen, next)); err != nil {
			t.Fatalf("Update: %v", err)
		}
	}
	update(nil) // nothing there, nothing wanted
	wantLast(t, seen, nil)
	wantPinset(t, s)

	update(&first)
	wantLast(t, seen, nil)
	stored := asStored(t, first)
	wantPinset(t, s, stored)

	update(&second)
	wantLast(t, seen, &stored)
	stored = asStored(t, second)
	wantPinset(t, s, stored)

	update(nil)
	wantLast(t, seen, &stored)
	wantMissing(t, s, first.Cid)
	wantPinset(t, s)
}

// testUpdateRemoved is about stores that keep something of a removed pin.
func testUpdateRemoved(t *testing.T, s UpdatingStore) {
	p := named("a", "a")
	add(t, s, p)
	rm(t, s, p.Cid)
	wantMissing(t, s, p.Cid)
	var seen []*api.Pin
	if err := s.Update(t.Context(), p.Cid, change(&seen, nil)); err != nil {
		t.Fatalf("Update: %v", err)
	}
	wantLast(t, seen, nil)
	if err := s.Update(t.Context(), p.Cid, change(&seen, &p)); err != nil {
		t.Fatalf("Update: %v", err)
	}
	wantLast(t, seen, nil)
	wantPinset(t, s, asStored(t, p))
}

func testUpdateRefused(t *testing.T, s UpdatingStore) {
	p := named("a", "a")
	add(t, s, p)
	refusal := errors.New("refused")
	for _, c := range []api.Cid{p.Cid, Cid("absent")} {
		err := s.Update(t.Context(), c, func(*api.Pin) (*api.Pin, error) { return nil, refusal })
		if err != refusal { //nolint:errorlint // it must come back as it is
			t.Fatalf("Update returns %v, want the error of the function", err)
		}
	}
	wantPinset(t, s, asStored(t, p))
}

func testUpdateAnotherCid(t *testing.T, s UpdatingStore) {
	c, other := Cid("a"), named("b", "b")
	if err := s.Update(t.Context(), c, func(*api.Pin) (*api.Pin, error) { return &other, nil }); err == nil {
		t.Fatal("Update stores the pin of another CID")
	}
	if err := s.Update(t.Context(), api.CidUndef, func(*api.Pin) (*api.Pin, error) { return nil, nil }); err == nil {
		t.Fatal("Update of the undefined CID is no error")
	}
	wantPinset(t, s)
}

// testUpdateOvertaken lets somebody else change the pin while the function
// decides: here the function itself plays that part. It must be asked again, even if the pin looks as it did before.
func testUpdateOvertaken(t *testing.T, s UpdatingStore) {
	ctx := t.Context()
	for _, test := range []struct {
		name   string
		before bool // the pin is there at first
		meant  func(p api.Pin) error
		after  bool // the pin is there when the function is asked again
	}{
		{"replaced", true, func(p api.Pin) error { p.Name = "theirs"; return s.Add(ctx, p) }, true},
		{"replaced by the same", true, func(p api.Pin) error { return s.Add(ctx, p) }, true},
		{"removed", true, func(p api.Pin) error { return s.Rm(ctx, p.Cid) }, false},
		{"removed and added", true, func(p api.Pin) error { return errors.Join(s.Rm(ctx, p.Cid), s.Add(ctx, p)) }, true},
		{"added", false, func(p api.Pin) error { return s.Add(ctx, p) }, true},
		{"added and removed", false, func(p api.Pin) error { return errors.Join(s.Add(ctx, p), s.Rm(ctx, p.Cid)) }, false},
	} {
		p := named(test.name, "ours at first")
		if test.before {
			add(t, s, p)
		}
		var names []string
		overtake := test.meant
		err := s.Update(ctx, p.Cid, func(current *api.Pin) (*api.Pin, error) {
			if current == nil {
				names = append(names, "absent")
			} else {
				names = append(names, current.Name)
			}
			if overtake != nil {
				err := overtake(p)
				overtake = nil
				if err != nil {
					return nil, err
				}
			}
			next := p
			next.Name = "after " + names[len(names)-1]
			return &next, nil
		})
		if err != nil {
			t.Fatalf("%s: Update: %v", test.name, err)
		}
		if len(names) < 2 {
			t.Fatalf("%s: the function was asked once: the other write is lost", test.name)
		}
		got, err := s.Get(ctx, p.Cid)
		if err != nil {
			t.Fatalf("%s: Get: %v", test.name, err)
		}
		if last := names[len(names)-1]; got.Name != "after "+last || (last != "absent") != test.after {
			t.Fatalf("%s: the function saw %s, and %q is stored", test.name, strings.Join(names, ", then "), got.Name)
		}
	}
}

// testUpdateCounter counts in a field of one pin, from several goroutines. All
// of them have read the pin before the first one writes.
func testUpdateCounter(t *testing.T, s UpdatingStore) {
	const writers, each = 6, 6
	p := named("a", "a")
	p.ShardSize = 0
	var g errgroup.Group
	all := make(chan struct{}) // closed when every writer has read the pin
	var reading atomic.Int64
	for range writers {
		g.Go(func() error {
			waited := false
			for range each {
				err := s.Update(t.Context(), p.Cid, func(current *api.Pin) (*api.Pin, error) {
					if !waited {
						waited = true
						if reading.Add(1) == writers {
							close(all)
						}
						select {
						case <-all:
						case <-time.After(patience):
							return nil, errors.New("another Update waits until this one has decided")
						}
					}
					next := p
					if current != nil {
						next = *current
					}
					next.ShardSize++
					return &next, nil
				})
				if err != nil {
					return fmt.Errorf("update: %w", err)
				}
			}
			return nil
		})
	}
	if err := g.Wait(); err != nil {
		t.Fatal(err)
	}
	got, err := s.Get(t.Context(), p.Cid)
	if err != nil || got.ShardSize != writers*each {
		t.Fatalf("the counter is at %d (%v), want %d", got.ShardSize, err, writers*each)
	}
}
