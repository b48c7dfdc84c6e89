package scyllastate

import (
	"context"
	"errors"
	"fmt"
	"math"
	"slices"
	"sort"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestTokenRanges shows that the pieces cover the ring once.
func TestTokenRanges(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5000).Draw(t, "pieces")
		ranges := tokenRanges(n)
		sort.Slice(ranges, func(i, j int) bool { return ranges[i].after < ranges[j].after })
		if len(ranges) != n || ranges[0].after != math.MinInt64 || ranges[n-1].upTo != math.MaxInt64 {
			t.Fatalf("%d pieces from %d to %d", len(ranges), ranges[0].after, ranges[n-1].upTo)
		}
		for i := 1; i < n; i++ {
			if ranges[i].after != ranges[i-1].upTo || ranges[i].upTo <= ranges[i].after {
				t.Fatalf("piece %d is %v after %v", i, ranges[i], ranges[i-1])
			}
		}
	})
}

// TestRevisionsGrow shows that a revision is later than the one it replaces
// even when the clock says otherwise.
func TestRevisionsGrow(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		now := time.Unix(rapid.Int64Range(0, 1<<32).Draw(t, "seconds"), rapid.Int64Range(0, 999_999_999).Draw(t, "ns"))
		old := newUUID(now)
		back := time.Duration(rapid.Int64Range(-1e10, 1e10).Draw(t, "step"))
		next := nextRev(now.Add(back), old)
		if !later(next, old) || later(old, next) {
			t.Fatalf("%v is not later than %v", next.Time(), old.Time())
		}
		if d := next.Time().Sub(now.Add(back)); back > 0 && d.Abs() > tick {
			t.Fatalf("the revision is %s off the clock", d)
		}
	})
	var none gocql.UUID
	rev := newUUID(time.Now())
	if !later(rev, none) || later(none, rev) || later(rev, rev) || later(none, none) {
		t.Error("the zero revision is earlier than every other")
	}
	if newUUID(time.Now()) == rev {
		t.Error("two revisions are equal")
	}
}

func TestSettle(t *testing.T) {
	base := time.Unix(1_700_000_000, 0)
	rev := func(n int) gocql.UUID { return newUUID(base.Add(time.Duration(n) * time.Second)) }
	one, two := rev(1), rev(2)
	var none gocql.UUID
	for _, tt := range []struct {
		name string
		now  row
		prev gocql.UUID
		want bool
	}{
		{"creation, not written yet", row{}, none, false},
		{"creation, written", row{rev: one}, none, true},
		{"replacement, not written yet", row{rev: one}, one, false},
		{"replacement, written", row{rev: two}, one, true},
		{"an old read", row{rev: one}, two, false},
		{"replacement of a marker that ran out", row{}, one, true},
	} {
		settled := settle(tt.now, []change{{prev: tt.prev}})
		if settled[0] != tt.want {
			t.Errorf("%s: settled %t", tt.name, settled[0])
		}
	}
}

// fakeClock is a clock whose parts the test sets.
type fakeClock struct {
	*clock
	measured scylla.Skew
	wallNow  time.Time
	steadyAt time.Duration
}

func newFakeClock() *fakeClock {
	f := &fakeClock{wallNow: time.Unix(1_700_000_000, 0)}
	f.clock = &clock{
		bound:   500 * time.Millisecond,
		ask:     func(context.Context) (scylla.Skew, error) { return f.measured, nil },
		wall:    func() time.Time { return f.wallNow },
		steady:  func() time.Duration { return f.steadyAt },
		suspect: make(chan struct{}, 1),
	}
	return f
}

func (f *fakeClock) pass(d time.Duration) {
	f.wallNow = f.wallNow.Add(d)
	f.steadyAt += d
}

func (f *fakeClock) want(t *testing.T, what, text string) {
	t.Helper()
	err := f.check()
	if (err == nil) != (text == "") || err != nil && !strings.Contains(err.Error(), text) {
		t.Errorf("%s: %v, want %q", what, err, text)
	}
}

// TestClock shows that a clock beyond the bound is refused, with how far it is
// off, as are nodes that contradict each other, and that right ones count again.
func TestClock(t *testing.T) {
	f := newFakeClock()
	f.want(t, "never measured", "was not measured")
	const ms = time.Millisecond
	for _, tt := range []struct {
		skew, spread time.Duration
		text         string
	}{
		{0, 0, ""},
		{2 * time.Second, 0, "2s ahead of the database's, more than the 500ms that are allowed"},
		{-700 * ms, 0, "700ms behind the database's"},
		{400 * ms, 0, ""},
		// Two data centres: this machine has the time of one of them, and is in the middle.
		{500 * ms, time.Second, ""},
		{time.Second, 2 * time.Second, "the clocks of the data centres a and b differ by 2s, more than the 1s that are allowed"},
		{0, 1001 * ms, "the clocks of the data centres a and b differ by 1.001s"},
		{-600 * ms, 800 * ms, "600ms behind the database's"},
		{0, 0, ""},
	} {
		f.measured = scylla.Skew{Ahead: tt.skew, Spread: tt.spread, Between: "the data centres a and b"}
		must(t, f.measure(t.Context()))
		f.want(t, fmt.Sprint(tt.skew, " ", tt.spread), tt.text)
	}
	f.pass(measureValid + time.Second)
	f.want(t, "not measured for long", "was not measured")
}

// TestClockThatIsSet shows that a clock which is set counts as wrong at once,
// without a measurement, and right when it is set back.
func TestClockThatIsSet(t *testing.T) {
	f := newFakeClock()
	must(t, f.measure(t.Context()))
	f.pass(time.Minute)
	f.want(t, "time passed", "")
	for _, step := range []time.Duration{time.Hour, -time.Hour, 600 * time.Millisecond} {
		f.wallNow = f.wallNow.Add(step)
		f.want(t, "set by "+step.String(), step.Abs().String())
		select {
		case <-f.suspect:
		default:
			t.Error("nobody is told to measure again")
		}
		f.wallNow = f.wallNow.Add(-step)
		f.want(t, "set back", "")
	}
}

// TestWrongClockWritesNothing shows it on the store.
func TestWrongClockWritesNothing(t *testing.T) {
	s := newTestStore(t)
	s.clock.mu.Lock()
	s.clock.skew = time.Minute
	s.clock.mu.Unlock()
	pin := statetest.Samples(t)[0].Pin
	var wrong *ClockError
	if err := s.Add(t.Context(), pin); !errors.As(err, &wrong) {
		t.Fatalf("Add = %v", err)
	}
	for _, table := range []string{"pins", "changes"} {
		var rows int
		if err := s.db.Session.Query("SELECT COUNT(*) FROM " + table).Scan(&rows); err != nil || rows != 0 {
			t.Errorf("%s has %d rows, %v", table, rows, err)
		}
	}
}

// TestClocksWithinTheWindow: two peers that may write, each by its own look at two
// data centres that are apart, are no further from each other than readers of the feed
// allow for; and a peer that is right by its data centre may write while these are no
// more than a second apart.
func TestClocksWithinTheWindow(t *testing.T) {
	const step = 50 * time.Millisecond
	// writes tells whether a clock may write that is so far ahead of data centre a,
	// which is so far behind b. It measures each with an error.
	writes := func(at, apart, wrongA, wrongB time.Duration) bool {
		c := newFakeClock()
		a, b := at+wrongA, at-apart+wrongB
		c.skew, c.spread.by, c.wallAt = (a+b)/2, (a - b).Abs(), c.wallNow
		return c.check() == nil
	}
	wrong := []time.Duration{-scylla.SkewError, 0, scylla.SkewError}
	for apart := time.Duration(0); apart <= 2*time.Second; apart += step {
		var writers []time.Duration
		for at := -time.Second; at <= 3*time.Second; at += step {
			for _, wrongA := range wrong {
				for _, wrongB := range wrong {
					if writes(at, apart, wrongA, wrongB) {
						writers = append(writers, at)
					}
				}
			}
		}
		if len(writers) > 0 {
			if diff := slices.Max(writers) - slices.Min(writers); diff > production().skew() {
				t.Errorf("data centres that are %s apart: two writers are %s apart, readers allow for %s", apart, diff, production().skew())
			}
		}
		if right := writes(0, apart, 0, 0); right != (apart <= 2*maxClockSkew) {
			t.Errorf("data centres that are %s apart: a clock that is right by one of them writes: %t", apart, right)
		}
	}
}

// TestAppendsTravelTogether shows that rows of one feed that wait at the same
// moment leave in one batch: they carry the same time.
func TestAppendsTravelTogether(t *testing.T) {
	s := newTestStore(t)
	const rows = 300
	var wg sync.WaitGroup
	for i := range rows {
		wg.Add(1)
		go func() {
			defer wg.Done()
			if err := s.intents.append(t.Context(), []intent{{Feed: "f", Cid: []byte{byte(i >> 8), byte(i)}, Rev: newUUID(time.Now())}}); err != nil {
				t.Error(err)
			}
		}()
	}
	wg.Wait()
	batches := make(map[int64]int)
	now := slotOf(time.Now())
	iter := s.db.Session.Query("SELECT at FROM changes WHERE feed = ? AND slot IN (?, ?)", "f", now-1, now).Iter()
	var at gocql.UUID
	n := 0
	for iter.Scan(&at) {
		batches[at.Timestamp()]++
		n++
	}
	if err := iter.Close(); err != nil {
		t.Fatal(err)
	}
	if n != rows {
		t.Fatalf("%d rows arrived, want %d", n, rows)
	}
	if len(batches) > rows/3 {
		t.Errorf("%d rows came in %d batches", rows, len(batches))
	}
	waitFor(t, "the appender to rest", func() bool {
		s.intents.mu.Lock()
		defer s.intents.mu.Unlock()
		return len(s.intents.waiting) == 0
	})
}

// TestSlowAppendIsRepeated shows that a row which may have become visible later
// than readers look for it is appended again, and that a write whose rows never
// arrive in time is refused.
func TestSlowAppendIsRepeated(t *testing.T) {
	s := newTestStore(t)
	self := statetest.Peer("p")
	must(t, s.intents.open(t.Context(), self.String())) // it asks for the time, too
	slow := 1
	asked := 0
	s.intents.now = func() time.Time {
		asked++
		if asked%2 == 0 && asked/2 <= slow { // the time after the append
			return time.Now().Add(s.lim.writeDeadline + time.Second)
		}
		return time.Now()
	}
	rows := func() (n int) {
		t.Helper()
		now := slotOf(time.Now())
		must(t, s.db.Session.Query("SELECT COUNT(*) FROM changes WHERE feed = ? AND slot IN (?, ?)", self.String(), now-1, now).Scan(&n))
		return n
	}
	pin := held("a", self)
	must(t, s.Add(t.Context(), pin))
	if n := rows(); n != 2 {
		t.Errorf("%d rows in the feed, want the slow one and its repetition", n)
	}

	asked, slow = 0, math.MaxInt
	late := held("b", self)
	if err := s.Add(t.Context(), late); err == nil || !strings.Contains(err.Error(), "write deadline") {
		t.Errorf("the write ended with %v", err)
	}
	wantPin(t, s, late.Cid, nil)
}
