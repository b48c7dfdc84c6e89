package ledger

import (
	"errors"
	"fmt"
	"math/big"
	"slices"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/claim"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
)

const day int64 = 20_000

func factsOf(t *testing.T, s *Store, owner string, day int64) []claim.Fact {
	t.Helper()
	all, err := s.Facts(t.Context(), owner, day)
	must(t, err)
	return all
}

func activeOn(t *testing.T, s *Store, day int64) []string {
	t.Helper()
	var all []string
	for shard := range Shards {
		must(t, s.EachActive(t.Context(), day, shard, func(owner string) error {
			if ShardOf(owner) != shard {
				t.Errorf("%q is in shard %d", owner, shard)
			}
			all = append(all, owner)
			return nil
		}))
	}
	slices.Sort(all)
	return all
}

// Facts are on the day of their time, whatever their size, and are the same however often they
// are written.
func TestFacts(t *testing.T) {
	s := openStore(t)
	eib := new(big.Int).Lsh(big.NewInt(1), 60)
	huge := new(big.Int).Neg(new(big.Int).Mul(eib, eib))
	start := day * usage.DayMS
	today := []claim.Fact{
		fact("alice", "1", 1, start, nil, 1),
		fact("alice", "1", 2, start, eib, 0),
		fact("alice", "2", 3, start+usage.DayMS-1, huge, -1),
	}
	others := []claim.Fact{
		fact("alice", "1", 4, start-1, nil, 1),
		fact("alice", "1", 5, start+usage.DayMS, nil, 1),
		fact("bob", "1", 6, start, nil, 1),
	}
	for range 2 {
		must(t, s.PutFacts(t.Context(), append(slices.Clone(today), others...)))
	}
	got := factsOf(t, s, "alice", day)
	if !slices.EqualFunc(got, today, claim.Fact.Equal) {
		t.Errorf("the facts are %+v", got)
	}
	deltas, err := s.Deltas(t.Context(), "alice", day)
	must(t, err)
	folded, err := usage.Fold(day, usage.Level{}, deltas)
	must(t, err)
	if want := new(big.Int).Add(eib, huge); folded.Deltas != 3 || folded.Closing.Bytes.Cmp(want) != 0 || folded.Closing.Pins != 0 {
		t.Errorf("the day is %+v", folded)
	}
	if got := activeOn(t, s, day); !slices.Equal(got, []string{"alice", "bob"}) {
		t.Errorf("active were %q", got)
	}
	if got := activeOn(t, s, day-1); !slices.Equal(got, []string{"alice"}) {
		t.Errorf("active were %q the day before", got)
	}
}

// A fact that says something else is another row, which Fold finds.
func TestFactsAreNotOverwritten(t *testing.T) {
	s := openStore(t)
	at := day*usage.DayMS + 5
	one, other := fact("alice", "1", 1, at, big.NewInt(5), 1), fact("alice", "1", 1, at, big.NewInt(6), 1)
	must(t, s.PutFacts(t.Context(), []claim.Fact{one}))
	must(t, s.PutFacts(t.Context(), []claim.Fact{other}))
	got := factsOf(t, s, "alice", day)
	if !slices.EqualFunc(got, []claim.Fact{one, other}, claim.Fact.Equal) {
		t.Errorf("the facts are %+v", got)
	}
	deltas, err := s.Deltas(t.Context(), "alice", day)
	must(t, err)
	if _, err := usage.Fold(day, usage.Level{}, deltas); !errors.Is(err, usage.ErrConflict) {
		t.Errorf("folded: %v", err)
	}
	stored, err := s.Stored(t.Context(), []claim.Fact{one, fact("alice", "1", 2, at, nil, 1), fact("alice", "1", 1, at+usage.DayMS, nil, 1)})
	must(t, err)
	if len(stored) != 1 || len(stored[one.ID]) != 2 || !slices.ContainsFunc(stored[one.ID], other.Delta.Equal) {
		t.Errorf("stored are %v", stored)
	}
}

// Many facts of an owner are all there, whatever partitions and batches they are written in.
func TestManyFacts(t *testing.T) {
	s := openStore(t)
	var all []claim.Fact
	for i := range 2000 {
		f := fact("alice", fmt.Sprint("request ", i/2), byte(i), day*usage.DayMS+int64(i/500)*quarterMS, big.NewInt(int64(i)), 1)
		f.ID[1], f.ID[2] = byte(i>>8), 7
		all = append(all, f)
	}
	must(t, s.PutFacts(t.Context(), all))
	slices.SortFunc(all, func(a, b claim.Fact) int { return compareDeltas(a.Delta, b.Delta) })
	if got := factsOf(t, s, "alice", day); !slices.EqualFunc(got, all, claim.Fact.Equal) {
		t.Errorf("%d facts, want %d", len(got), len(all))
	}
	if got := activeOn(t, s, day); !slices.Equal(got, []string{"alice"}) {
		t.Errorf("active were %q", got)
	}
	stored, err := s.Stored(t.Context(), all)
	must(t, err)
	if len(stored) != len(all) {
		t.Errorf("%d are stored", len(stored))
	}
}

// Whatever a crash leaves, who has facts is active; what was not written is written again.
func TestActiveBeforeFacts(t *testing.T) {
	db := openDB(t)
	facts := []claim.Fact{fact("alice", "1", 1, day*usage.DayMS, nil, 1), fact("alice", "2", 2, day*usage.DayMS+quarterMS, nil, 1)}
	for writes := range 4 {
		c := &cut{DB: db, left: writes}
		s := New(t.Context(), c)
		if err := s.PutFacts(t.Context(), facts); (err == nil) != (writes == 3) {
			t.Fatalf("after %d writes: %v", writes, err)
		}
		rows := 0
		must(t, db.Session.Query("SELECT COUNT(*) FROM facts").Scan(&rows))
		if got := len(factsOf(t, New(t.Context(), db), "alice", day)); got != rows || writes < 1 && rows > 0 {
			t.Errorf("after %d writes there are %d facts, of which %d are found", writes, rows, got)
		}
		c.left = 100
		if writes == 0 { // it must not have been noted as done
			must(t, s.PutFacts(t.Context(), facts))
			if got := factsOf(t, s, "alice", day); len(got) != 2 {
				t.Errorf("after another try there are %d", len(got))
			}
			must(t, db.Session.Query("TRUNCATE facts").Exec())
			must(t, db.Session.Query("TRUNCATE active").Exec())
		}
	}
}

func TestLate(t *testing.T) {
	s := openStore(t)
	want := []OwnerDay{{"alice", 3}, {"alice", 4}, {"bob", 3}}
	for range 2 {
		must(t, s.MarkLate(t.Context(), day, want))
	}
	var got []OwnerDay
	for shard := range Shards {
		must(t, s.EachLate(t.Context(), day, shard, func(d OwnerDay) error {
			got = append(got, d)
			return nil
		}))
		must(t, s.EachLate(t.Context(), day+1, shard, func(d OwnerDay) error { return fmt.Errorf("%+v is late on another day", d) }))
	}
	if len(got) != 3 || !slices.Contains(got, want[0]) || !slices.Contains(got, want[1]) || !slices.Contains(got, want[2]) {
		t.Errorf("late are %+v", got)
	}
}
