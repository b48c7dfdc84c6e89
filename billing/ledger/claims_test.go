package ledger

import (
	"fmt"
	"maps"
	"math/rand/v2"
	"reflect"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events"
)

func claimsOf(t *testing.T, s *Store, keys ...Key) map[Key]Claim {
	t.Helper()
	known, err := s.Claims(t.Context(), keys)
	must(t, err)
	return known
}

// What is noted in any order, any number of times, adds up to the same: of those who say the
// same the lowest source.
func TestNote(t *testing.T) {
	s := openStore(t)
	terms := Terms{Cid: "c", Accepted: 1000, Replicas: 3}
	var told []Told
	for source := Added; source <= Removed; source++ {
		one := Told{Source: source, Terms: terms, Name: "the name"}
		if source >= Pinned {
			one.Pinned = 2000
		}
		if source >= Sized {
			one.Size = 5
		}
		if source == Removed {
			one.Removed = 3000
		}
		told = append(told, one)
	}
	told = append(told, Told{Source: Peer, Size: 5, Unsized: true}, told[1])
	want := Claim{
		Name: "the name", Terms: map[Terms]Source{terms: Added}, Pinned: map[int64]Source{2000: Pinned},
		Sizes: map[int64]Source{5: Sized}, Removed: map[int64]Source{3000: Removed}, Unsized: true,
	}
	for i := range 20 {
		key := Key{"alice", fmt.Sprint("request ", i)}
		for _, j := range rand.Perm(len(told)) {
			one := told[j]
			one.Key = key
			must(t, s.Note(t.Context(), []Told{one}))
		}
		want.Key = key
		if got := claimsOf(t, s, key)[key]; !reflect.DeepEqual(got, want) {
			t.Fatalf("got  %+v\nwant %+v", got, want)
		}
	}
	d := want.Data()
	if d.Cid != "c" || d.Name != "the name" || d.Replicas != 3 || d.Size != 5 || !d.Accepted.Equal(time.UnixMilli(1000)) ||
		!d.Pinned.Equal(time.UnixMilli(2000)) || !d.Removed.Equal(time.UnixMilli(3000)) {
		t.Errorf("an event would tell %+v", d)
	}
	if again := ToldBy(Removed, &d); again.Terms != terms || again.Pinned != 2000 || again.Removed != 3000 || again.Size != 5 || again.Name != "the name" {
		t.Errorf("which tells %+v", again)
	}
}

// Those who say different things are all there, whoever was first.
func TestConflicts(t *testing.T) {
	s := openStore(t)
	key := Key{"alice", "r"}
	must(t, s.Note(t.Context(), []Told{
		{Key: key, Source: Added, Terms: Terms{Cid: "c", Accepted: 2000}},
		{Key: key, Source: Removed, Terms: Terms{Cid: "c", Accepted: 1000}, Pinned: 7, Removed: 8, Size: 9},
		{Key: key, Source: Removed, Terms: Terms{Cid: "c", Accepted: 1000}, Pinned: 7, Removed: 9, Size: 10},
	}))
	c := claimsOf(t, s, key)[key]
	if got := c.Conflicts(); !slices.Equal(got, []string{"terms", "removed", "sizes"}) {
		t.Errorf("the conflicts are %v", got)
	}
	if d := c.Data(); d.Accepted.UnixMilli() != 1000 || d.Removed.UnixMilli() != 8 || d.Size != 9 {
		t.Errorf("the lowest are %+v", d)
	}
	without := c.Without(Removed)
	if len(without.Terms) != 1 || len(without.Pinned)+len(without.Removed)+len(without.Sizes) != 0 || len(c.Removed) != 2 {
		t.Errorf("without the removal: %+v, left %+v", without, c)
	}
}

// Claims of many owners are read together, each once, and those that are not there are not.
func TestManyClaims(t *testing.T) {
	s := openStore(t)
	var told []Told
	var keys []Key
	for i := range 3 * maxIn {
		key := Key{fmt.Sprint("owner ", i%3), fmt.Sprint(i)}
		told = append(told, Told{Key: key, Source: Added, Terms: Terms{Cid: fmt.Sprint("cid ", i), Accepted: int64(i + 1)}})
		keys = append(keys, key, key, Key{"nobody", key.RequestID})
	}
	must(t, s.Note(t.Context(), told))
	known := claimsOf(t, s, keys...)
	if len(known) != len(told) {
		t.Fatalf("%d claims are known, want %d", len(known), len(told))
	}
	for _, one := range told {
		if got := slices.Collect(maps.Keys(known[one.Key].Terms)); !slices.Equal(got, []Terms{one.Terms}) {
			t.Errorf("%+v has %v", one.Key, got)
		}
	}
	// Many rows of one partition.
	p := keys[0].partition()
	var same []Key
	for i := 0; len(same) < maxIn+1; i++ {
		if k := (Key{p.owner, fmt.Sprint("x", i)}); k.partition() == p {
			same = append(same, k)
		}
	}
	told = told[:0]
	for _, k := range same {
		told = append(told, Told{Key: k, Source: Added, Pinned: 1})
	}
	must(t, s.Note(t.Context(), told))
	if got := claimsOf(t, s, same...); len(got) != len(same) {
		t.Errorf("%d claims of one partition, want %d", len(got), len(same))
	}
}

func TestSourceOf(t *testing.T) {
	for want, typ := range []events.Type{Added: events.ClaimAdded, Pinned: events.ClaimPinned, Sized: events.ClaimSized, Removed: events.ClaimRemoved} {
		if got, ok := SourceOf(typ); typ != "" && (!ok || int(got) != want) {
			t.Errorf("%s is %d, %t", typ, got, ok)
		}
	}
	if _, ok := SourceOf(events.PinSized); ok {
		t.Error("a pin is a claim")
	}
}
