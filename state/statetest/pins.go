package statetest

import (
	"reflect"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

func pinTests() []test {
	return []test{
		{"samples", testSamples},
		{"round trip", testRoundTrip},
	}
}

func testSamples(t *testing.T, s Suite) {
	store := s.New(t)
	samples := Samples(t)
	given, want := make([]api.Pin, len(samples)), make([]api.Pin, len(samples))
	for i, sample := range samples {
		given[i], want[i] = sample.Pin, asStored(t, sample.Pin)
	}
	addMany(t, store, given)
	for i, sample := range samples {
		t.Run(sample.Name, func(t *testing.T) { wantPin(t, store, want[i]) })
	}
	wantPinset(t, store, want...)
}

// testRoundTrip spells out what a stored pin loses. The other tests leave that
// to dsstate; this one would notice if a new version of it lost more or less.
func testRoundTrip(t *testing.T, s Suite) {
	store := s.New(t)
	given := pin(func(p *api.Pin) {
		p.Cid = Cid("given")
		p.Mode = api.PinModeDirect // MaxDepth is -1
		p.UserAllocations = peers(1)
		p.ExpireAt = time.Unix(1_900_000_000, 999_999_999)
		p.Timestamp = time.Unix(1_800_000_000, 999_999_999)
		p.Allocations = nil
		p.Metadata = map[string]string{}
	})
	add(t, store, given)
	got, err := store.Get(t.Context(), given.Cid)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if got.UserAllocations != nil {
		t.Errorf("user allocations %v: want none, they are not stored", got.UserAllocations)
	}
	if got.Mode != api.PinModeRecursive {
		t.Errorf("mode %s: want recursive, by the depth", got.Mode)
	}
	if want := time.Unix(1_900_000_000, 0); !got.ExpireAt.Equal(want) {
		t.Errorf("expiry %v: want %v, to the second", got.ExpireAt, want)
	}
	if want := time.Unix(1_800_000_000, 0); !got.Timestamp.Equal(want) {
		t.Errorf("timestamp %v: want %v, to the second", got.Timestamp, want)
	}
	if got.Allocations == nil || got.Origins == nil {
		t.Errorf("allocations %#v, origins %#v: want empty, not nil", got.Allocations, got.Origins)
	}
	if got.Metadata != nil {
		t.Errorf("metadata %#v: want nil for none", got.Metadata)
	}

	never := given
	never.Cid = Cid("never")
	never.ExpireAt = time.Unix(0, 0)
	add(t, store, never)
	if got, err = store.Get(t.Context(), never.Cid); err != nil {
		t.Fatalf("Get: %v", err)
	}
	if !got.ExpireAt.IsZero() {
		t.Errorf("expiry %v for unix zero: want the zero time, never", got.ExpireAt)
	}

	// Once stored, a pin loses nothing more.
	add(t, store, got)
	again, err := store.Get(t.Context(), never.Cid)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	if !reflect.DeepEqual(again, got) {
		t.Errorf("a stored pin changed when it was stored again:\n got %s\nwant %s", asJSON(again), asJSON(got))
	}
}
