package statetest

import (
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

func crudTests() []test {
	return []test{
		{"missing", testMissing},
		{"add", testAdd},
		{"replace", testReplace},
		{"rm", testRm},
		{"refused", testRefused},
		{"no aliasing", testNoAliasing},
	}
}

// named returns an ordinary pin of Cid(label) that is called name.
func named(label, name string) api.Pin {
	p := pin(func(p *api.Pin) { p.Name = name })
	p.Cid = Cid(label)
	return p
}

func testMissing(t *testing.T, s Suite) {
	store := s.New(t)
	for _, c := range []api.Cid{Cid("a"), api.CidUndef} {
		wantMissing(t, store, c)
		rm(t, store, c, c)
		wantMissing(t, store, c)
	}
	wantPinset(t, store)
}

func testAdd(t *testing.T, s Suite) {
	store := s.New(t)
	a, b := named("a", "first"), named("b", "second")
	add(t, store, a)
	wantPin(t, store, asStored(t, a))
	wantMissing(t, store, b.Cid)
	add(t, store, b)
	wantPinset(t, store, asStored(t, a), asStored(t, b))
}

// testReplace stores each sample over the one before under one CID: nothing
// of the older pin may shine through, and no pin may be refused because of it.
func testReplace(t *testing.T, s Suite) {
	store := s.New(t)
	other := named("other", "other")
	add(t, store, other)
	samples := Samples(t)
	samples = append(samples, samples[0])
	for _, sample := range samples {
		p := sample.Pin
		p.Cid = Cid("replaced")
		add(t, store, p)
		wantPin(t, store, asStored(t, p))
	}
	last := samples[0].Pin
	last.Cid = Cid("replaced")
	wantPinset(t, store, asStored(t, last), asStored(t, other))
}

func testRm(t *testing.T, s Suite) {
	store := s.New(t)
	a, b := named("a", "first"), named("b", "second")
	add(t, store, a, b)
	for range 2 { // the second time it is gone already
		rm(t, store, a.Cid)
		wantMissing(t, store, a.Cid)
		wantPinset(t, store, asStored(t, b))
	}
	again := named("a", "again")
	add(t, store, again)
	wantPin(t, store, asStored(t, again))
	rm(t, store, a.Cid, b.Cid)
	wantPinset(t, store)
}

// testRefused uses text that is not UTF-8, which upstream's encoding refuses.
func testRefused(t *testing.T, s Suite) {
	store := s.New(t)
	before := named("a", "before")
	add(t, store, before)

	badName, badKey := named("a", "caf\xe9"), named("b", "b")
	badKey.Metadata = map[string]string{"caf\xe9": "closed"}
	for _, bad := range []api.Pin{badName, badKey} {
		if err := store.Add(t.Context(), bad); err == nil {
			t.Errorf("Add accepted a pin that cannot be encoded (%q, %q)", bad.Name, bad.Metadata)
		}
	}
	wantPinset(t, store, asStored(t, before))
}

// testNoAliasing changes, behind the back of the store, what was handed to it
// and what it handed out.
func testNoAliasing(t *testing.T, s Suite) {
	store := s.New(t)
	given := named("a", "given")
	given.Metadata = map[string]string{"k": "v"}
	want := asStored(t, given)
	add(t, store, given)

	spoil := func(p api.Pin) {
		p.Metadata["k"] = "spoiled"
		p.Allocations[0] = Peer("spoiled")
	}
	spoil(given)
	wantPin(t, store, want)
	got, err := store.Get(t.Context(), given.Cid)
	if err != nil {
		t.Fatalf("Get: %v", err)
	}
	spoil(got)
	wantPin(t, store, want)
	if err := list(t.Context(), t, store, spoil); err != nil {
		t.Fatalf("List: %v", err)
	}
	wantPin(t, store, want)
}
