package ledger

import (
	"errors"
	"fmt"
	"slices"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

// All claims of an owner are told once each, and none of another.
func TestEachClaim(t *testing.T) {
	s := openStore(t)
	var told []Told
	for i := range 300 {
		told = append(told, Told{Key: Key{"alice", fmt.Sprint("r", i)}, Source: Added, Terms: Terms{"cid", 1 + int64(i), 2}})
	}
	told = append(told, Told{Key: Key{"bob", "r0"}, Source: Added, Terms: Terms{"cid", 1, 2}})
	must(t, s.Note(t.Context(), told))
	seen := make(map[string]int)
	must(t, s.EachClaim(t.Context(), "alice", func(c Claim) error {
		if c.Owner != "alice" || c.Data().Cid != "cid" || fmt.Sprint("r", c.Data().Accepted.UnixMilli()-1) != c.RequestID {
			t.Errorf("%+v", c)
		}
		seen[c.RequestID]++
		return nil
	}))
	if len(seen) != 300 {
		t.Errorf("%d claims", len(seen))
	}
	for id, n := range seen {
		if n != 1 {
			t.Errorf("%s is there %d times", id, n)
		}
	}
	ended := errors.New("enough")
	if err := s.EachClaim(t.Context(), "alice", func(Claim) error { return ended }); !errors.Is(err, ended) {
		t.Error(err)
	}
}

// Each owner who has a day is told once, however many months there are.
func TestEachOwner(t *testing.T) {
	s := openStore(t)
	want := []string{"alice", "bob", "carol"}
	for i, owner := range want {
		for month := range int64(1 + i) {
			_, err := s.PutDay(t.Context(), StoredDay{Owner: owner, Day: 20_000 + 40*month, Usage: usage.Idle(usage.Level{}), Closed: time.Now()})
			must(t, err)
		}
	}
	var got []string
	must(t, s.EachOwner(t.Context(), func(owner string) error {
		got = append(got, owner)
		return nil
	}))
	slices.Sort(got)
	if !slices.Equal(got, want) {
		t.Errorf("%q", got)
	}
}
