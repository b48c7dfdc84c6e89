package ledger

import (
	"errors"
	"math/big"
	"reflect"
	"slices"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/billing/usage"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
)

// used is a day of an owner who has pins.
func used(owner string, day, version, pins int64) StoredDay {
	d := StoredDay{
		Owner: owner, Day: day, Version: version, Usage: usage.Idle(usage.Level{Bytes: new(big.Int).Lsh(big.NewInt(pins), 70), Pins: pins}),
		Closed: time.UnixMilli(1_700_000_000_000).UTC(),
	}
	if version > 0 {
		d.Period = MonthOf(day + 31)
	}
	return d
}

func equalDays(a, b StoredDay) bool {
	return a.Owner == b.Owner && a.Day == b.Day && a.Version == b.Version && a.Period == b.Period && a.Closed.Equal(b.Closed) &&
		a.Usage.Opening.Equal(b.Usage.Opening) && a.Usage.Closing.Equal(b.Usage.Closing) && a.Usage.Digest == b.Usage.Digest &&
		a.Usage.ByteMS.Cmp(b.Usage.ByteMS) == 0 && a.Usage.PinMS.Cmp(b.Usage.PinMS) == 0 && a.Usage.PeakBytes.Cmp(b.Usage.PeakBytes) == 0 &&
		a.Usage.Deltas == b.Usage.Deltas && a.Usage.Negative == b.Usage.Negative
}

// The first one counts, whatever the others have worked out, also when answers are lost.
func TestPutDay(t *testing.T) {
	db := &lossy{DB: openDB(t)}
	s := New(t.Context(), db)
	db.lose = 2
	first := used("alice", day, 0, -5)
	first.Usage.Deltas = 3
	got, err := s.PutDay(t.Context(), first)
	if err != nil || !equalDays(got, first) || !first.Usage.Negative {
		t.Fatalf("%+v, %v, want %+v", got, err, first)
	}
	if got, err = s.PutDay(t.Context(), used("alice", day, 0, 6)); err != nil || !equalDays(got, first) {
		t.Errorf("another one has made it %+v, %v", got, err)
	}
	db.lose = scylla.DecideTries
	if _, err := s.PutDay(t.Context(), used("alice", day+1, 0, 6)); !errors.Is(err, errLost) {
		t.Errorf("an outcome that is not known: %v", err)
	}

	var kept sync.Map
	var all sync.WaitGroup
	for i := range 4 {
		all.Go(func() {
			got, err := s.PutDay(t.Context(), used("bob", day, 1, int64(i)))
			if err != nil {
				t.Error(err)
			}
			kept.Store(got.Usage.Digest, true)
		})
	}
	all.Wait()
	n := 0
	kept.Range(func(any, any) bool { n++; return true })
	if n != 1 {
		t.Errorf("%d days count", n)
	}
}

// The last day before another one is found over months and years without any, in its last
// version.
func TestLastDay(t *testing.T) {
	s := openStore(t)
	const old = day - 800
	for _, d := range []StoredDay{used("alice", old, 0, 1), used("alice", old, 1, 2), used("alice", day, 0, 3), used("alice", day+1, 0, 4), used("alice", day+1, 1, 5)} {
		_, err := s.PutDay(t.Context(), d)
		must(t, err)
	}
	for _, month := range []int{MonthOf(old - 100), MonthOf(day - 100), MonthOf(day + 100)} { // a crash
		must(t, s.db.WriteAll(t.Context(), []scylla.Statement{scylla.Bind(insertMonth, "alice", month)}))
	}
	for before, want := range map[int64]int64{old: 0, old + 1: 2, day: 2, day + 1: 3, day + 2: 5, day + 500: 5} {
		got, found, err := s.LastDay(t.Context(), "alice", before)
		if err != nil || found != (want > 0) || got.Usage.Closing.Pins != want {
			t.Errorf("before %d: %+v, %t, %v, want %d pins", before, got, found, err, want)
		}
	}
	for on, want := range map[int64]int64{old: 2, old + 1: 0, day: 3, day + 1: 5, day + 2: 0} {
		got, found, err := s.Day(t.Context(), "alice", on)
		if err != nil || found != (want > 0) || got.Usage.Closing.Pins != want {
			t.Errorf("on %d: %+v, %t, %v, want %d pins", on, got, found, err, want)
		}
	}
	month, err := s.Days(t.Context(), "alice", MonthOf(day))
	must(t, err)
	if len(month) != 3 || !equalDays(month[0], used("alice", day+1, 1, 5)) || !equalDays(month[2], used("alice", day, 0, 3)) {
		t.Errorf("the month has %+v", month)
	}
	if _, found, err := s.LastDay(t.Context(), "bob", day); err != nil || found {
		t.Errorf("somebody else: %t, %v", found, err)
	}
}

func TestMonthOf(t *testing.T) {
	for day, want := range map[int64]int{0: 197001, 30: 197001, 31: 197002, 20_000: 202410, 20_453: 202512, 20_454: 202601} {
		if got := MonthOf(day); got != want {
			t.Errorf("the day %d is in %d, want %d", day, got, want)
		}
	}
}

func TestAdjustments(t *testing.T) {
	s := openStore(t)
	a, differs := usage.Diff(day, 1, used("alice", day, 0, 1).Usage, used("alice", day, 1, 3).Usage)
	want := StoredAdjustment{a, "late"}
	for range 2 {
		must(t, s.PutAdjustment(t.Context(), "alice", 202612, want))
	}
	got, err := s.Adjustments(t.Context(), "alice", 202612)
	if err != nil || !differs || len(got) != 1 || !got[0].Equal(a) || got[0].Reason != "late" {
		t.Errorf("%+v, %v", got, err)
	}
	if got, err := s.Adjustments(t.Context(), "alice", 202611); err != nil || len(got) != 0 {
		t.Errorf("another month has %+v, %v", got, err)
	}
}

// Of two who close a shard of a day the one with the later epoch does, and what is closed stays.
func TestClose(t *testing.T) {
	db := &lossy{DB: openDB(t)}
	s := New(t.Context(), db)
	if p, err := s.Progress(t.Context(), day, 3); err != nil || p.Begun || p.Closed {
		t.Fatalf("before: %+v, %v", p, err)
	}
	if err := s.EndClose(t.Context(), day, 3, 1, 0, nil); !errors.Is(err, ErrFenced) {
		t.Errorf("closed before it was begun: %v", err)
	}
	for _, epoch := range []int64{4, 4, 7} {
		db.lose = 1
		p, err := s.BeginClose(t.Context(), day, 3, epoch)
		if err != nil || !p.Begun || p.Closed || p.Epoch != epoch {
			t.Fatalf("begun: %+v, %v", p, err)
		}
	}
	if _, err := s.BeginClose(t.Context(), day, 3, 6); !errors.Is(err, ErrFenced) {
		t.Errorf("an older one begins: %v", err)
	}
	if err := s.EndClose(t.Context(), day, 3, 4, 1, nil); !errors.Is(err, ErrFenced) {
		t.Errorf("an older one ends it: %v", err)
	}
	db.lose = 1
	must(t, s.EndClose(t.Context(), day, 3, 7, 12, []byte("digest")))
	want, err := s.Progress(t.Context(), day, 3)
	if err != nil || !want.Closed || want.Owners != 12 || string(want.Digest) != "digest" {
		t.Errorf("closed: %+v, %v", want, err)
	}
	must(t, s.EndClose(t.Context(), day, 3, 7, 13, []byte("another")))
	for _, epoch := range []int64{6, 9} {
		if p, err := s.BeginClose(t.Context(), day, 3, epoch); err != nil || !reflect.DeepEqual(p, want) {
			t.Errorf("begun again: %+v, %v", p, err)
		}
	}
	if p, err := s.Progress(t.Context(), day, 4); err != nil || p.Begun {
		t.Errorf("another shard: %+v, %v", p, err)
	}
}

// Of some days those are begun whose close is, also when that was found before.
func TestBegun(t *testing.T) {
	s := openStore(t)
	alice, bob := OwnerDay{"alice", day}, OwnerDay{"bob", day}
	all := []OwnerDay{alice, bob, {"alice", day + 1}, {"alice", day - 1}}
	if got, err := s.Begun(t.Context(), all); err != nil || len(got) != 0 {
		t.Errorf("before: %v, %v", got, err)
	}
	for _, d := range []int64{day, day - 1} {
		_, err := s.BeginClose(t.Context(), d, ShardOf("alice"), 1)
		must(t, err)
		want := []OwnerDay{alice}
		if d < day {
			want = append(want, all[3])
		}
		for range 2 {
			if got, err := s.Begun(t.Context(), all); err != nil || !slices.Equal(got, want) {
				t.Errorf("begun are %v, %v, want %v", got, err, want)
			}
		}
	}
	must(t, s.EndClose(t.Context(), day, ShardOf("alice"), 1, 0, nil))
	if got, err := New(t.Context(), s.db).Begun(t.Context(), all); err != nil || len(got) != 2 || ShardOf("alice") == ShardOf("bob") {
		t.Errorf("closed are %v, %v", got, err)
	}
}
