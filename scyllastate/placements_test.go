package scyllastate

import (
	"bytes"
	"crypto/sha256"
	"encoding/binary"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"testing"
	"time"
	"unicode/utf8"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestPlacements takes a placement through its life.
func TestPlacements(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	p, other, c := statetest.Peer("p"), statetest.Peer("other"), statetest.Cid("x")
	want := func(what string, row *state.Placement) {
		t.Helper()
		got, there, err := s.GetPlacement(ctx, p, c)
		if err != nil || there != (row != nil) {
			t.Fatalf("%s: there %t, %v", what, there, err)
		}
		var listed []state.Placement
		must(t, s.ListPlacements(ctx, p, state.Bucket(c), func(r state.Placement) error {
			listed = append(listed, r)
			return nil
		}))
		if row == nil {
			if len(listed) != 0 {
				t.Fatalf("%s: lists %+v", what, listed)
			}
			return
		}
		if age := time.Since(got.Updated); age < -time.Second || age > time.Minute {
			t.Errorf("%s: updated %s ago", what, age)
		}
		if len(listed) != 1 || listed[0] != got {
			t.Errorf("%s: lists %+v, want %+v", what, listed, got)
		}
		row.Cid, row.Updated = c, got.Updated
		if got != *row {
			t.Errorf("%s: is %+v, want %+v", what, got, *row)
		}
	}

	must(t, s.SetSize(ctx, p, c, 5))
	want("nothing, and a size for it", nil)
	if n := countRows(t, s, "placements"); n != 0 {
		t.Errorf("the size of what is not there left %d rows", n)
	}
	must(t, s.DropPlacement(ctx, p, c))
	want("nothing, dropped", nil)

	rev := state.Revision(newUUID(time.Now()))
	must(t, s.PutPlacement(ctx, p, state.Placement{
		Cid: c, Status: state.PlacementPinError, Rev: rev, Attempts: 3, Size: 1 << 40, Error: "no route", Updated: time.Unix(1, 0),
	}))
	want("all columns", &state.Placement{Status: state.PlacementPinError, Rev: rev, Attempts: 3, Size: 1 << 40, Error: "no route"})
	must(t, s.PutPlacement(ctx, p, state.Placement{Cid: c, Status: state.PlacementPinned}))
	want("without revision and size", &state.Placement{Status: state.PlacementPinned, Rev: rev, Size: 1 << 40})
	must(t, s.SetSize(ctx, p, c, 77))
	want("a size", &state.Placement{Status: state.PlacementPinned, Rev: rev, Size: 77})
	must(t, s.SetSize(ctx, p, c, 0))
	want("no size", &state.Placement{Status: state.PlacementPinned, Rev: rev, Size: 77})
	if _, there, err := s.GetPlacement(ctx, other, c); there || err != nil {
		t.Errorf("another peer has it: %t, %v", there, err)
	}

	must(t, s.DropPlacement(ctx, p, c))
	want("dropped", nil)
	must(t, s.db.Session.Query(putSize, s.stamp(), int64(9), p.String(), state.Bucket(c), c.Bytes()).Exec())
	want("a size that came late", nil)
	must(t, s.DropPlacement(ctx, p, c))
	must(t, s.PutPlacement(ctx, p, state.Placement{Cid: c, Status: state.PlacementQueued}))
	want("a new one", &state.Placement{Status: state.PlacementQueued})

	for _, bad := range []state.Placement{{Status: state.PlacementQueued}, {Cid: c}, {Cid: c, Status: 6}} {
		if err := s.PutPlacement(ctx, p, bad); err == nil {
			t.Errorf("%+v was stored", bad)
		}
	}
	for _, bucket := range []int{-1, state.Buckets} {
		if err := s.ListPlacements(ctx, p, bucket, nil); err == nil {
			t.Errorf("there is a bucket %d", bucket)
		}
	}
}

// TestListPlacements lists a bucket of several pages: in the order of the keys,
// each once, nothing of other buckets and peers, up to an error.
func TestListPlacements(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	p, other := statetest.Peer("p"), statetest.Peer("other")
	const bucket, n = 7, 2*placementsPage + 10
	var want [][]byte
	var g errgroup.Group
	g.SetLimit(32)
	put := func(peerID string, bucket int, key []byte, status any) {
		g.Go(func() error {
			return s.db.Session.Query(putPlacement, s.stamp(), gocql.UnsetValue, status, time.Now(), 0, 1, "", -1, peerID, bucket, key).Exec()
		})
	}
	for i := range n {
		key := statetest.Cid(fmt.Sprint(i)).Bytes()
		if i%5 == 0 { // CIDs of several lengths
			key = append([]byte{1, 0x55, 0, byte(i % 120)}, bytes.Repeat([]byte{byte(i / 120)}, i%120)...)
		}
		want = append(want, key)
		put(p.String(), bucket, key, int8(1))
		if i < 10 {
			put(p.String(), bucket+1, key, int8(1))
			put(other.String(), bucket, key, int8(1))
		}
	}
	put(p.String(), bucket, []byte{0}, int8(1))                               // is not a CID
	put(p.String(), bucket, statetest.Cid("ghost").Bytes(), gocql.UnsetValue) // has no status
	must(t, g.Wait())
	slices.SortFunc(want, bytes.Compare)
	want = slices.CompactFunc(want, bytes.Equal)

	var got [][]byte
	must(t, s.ListPlacements(ctx, p, bucket, func(r state.Placement) error {
		got = append(got, r.Cid.Bytes())
		return nil
	}))
	if !slices.EqualFunc(got, want, bytes.Equal) {
		t.Errorf("%d placements were listed, want %d, in order", len(got), len(want))
	}
	enough, calls := errors.New("enough"), 0
	err := s.ListPlacements(ctx, p, bucket, func(state.Placement) error {
		calls++
		return enough
	})
	if err != enough || calls != 1 { //nolint:errorlint // it is to be that very error
		t.Errorf("after %d calls: %v", calls, err)
	}
}

// TestPlacementsOfTwoClocks shows that a later call counts, also where this
// machine's clock was wrong before and the process has started again.
func TestPlacementsOfTwoClocks(t *testing.T) {
	s := newTestStore(t)
	s.stop() // nobody measures from here on
	s.done.Wait()
	p, c := statetest.Peer("p"), statetest.Cid("x")
	attempts := 0
	put := func(what string) {
		t.Helper()
		attempts++
		must(t, s.PutPlacement(t.Context(), p, state.Placement{Cid: c, Status: state.PlacementPinError, Attempts: attempts}))
		got, _, err := s.GetPlacement(t.Context(), p, c)
		if err != nil || got.Attempts != attempts {
			t.Errorf("%s: write %d is not to be seen, but %d, %v", what, attempts, got.Attempts, err)
		}
	}
	set := func(wall, skew time.Duration) {
		s.clock.mu.Lock()
		defer s.clock.mu.Unlock()
		s.clock.wallAt, s.clock.skew = s.clock.wallAt.Add(wall), s.clock.skew+skew
	}
	put("first")
	set(time.Hour, time.Hour)
	put("a clock that is ahead")
	set(-time.Hour, -time.Hour)
	s.stamps.last.Store(0)
	put("another process, on a clock that is right")
	set(0, time.Hour)
	put("a measurement that is wrong")
	must(t, s.DropPlacement(t.Context(), p, c))
	if _, there, err := s.GetPlacement(t.Context(), p, c); there || err != nil {
		t.Errorf("it is there after it was dropped: %v", err)
	}
}

func TestStamps(t *testing.T) {
	var s stamps
	now := time.Unix(1_700_000_000, 123_456_789)
	for _, tt := range []struct{ at, want int64 }{
		{0, 1_700_000_000_123_456}, {0, 1_700_000_000_123_457}, {-1_000_000, 1_700_000_000_123_458}, {1_000_000, 1_700_000_001_123_456},
	} {
		if got := s.next(now.Add(time.Duration(tt.at) * time.Microsecond)); got != tt.want {
			t.Errorf("%d µs later: %d, want %d", tt.at, got, tt.want)
		}
	}
	var mu sync.Mutex
	seen := make(map[int64]bool)
	var g errgroup.Group
	for range 8 {
		g.Go(func() error {
			for range 500 {
				n := s.next(now)
				mu.Lock()
				if seen[n] {
					t.Errorf("%d was given twice", n)
				}
				seen[n] = true
				mu.Unlock()
			}
			return nil
		})
	}
	must(t, g.Wait())
}

// TestDatabaseTime shows that the time for timestamps follows the database's
// clock, whatever is done to this machine's.
func TestDatabaseTime(t *testing.T) {
	f := newFakeClock()
	start := f.wallNow
	f.measured.Ahead = 400 * time.Millisecond
	must(t, f.measure(t.Context()))
	f.pass(time.Second)
	f.wallNow = f.wallNow.Add(-time.Hour) // somebody sets it
	if got := f.database().Sub(start); got != 600*time.Millisecond {
		t.Errorf("%s later, want 600ms", got)
	}
}

func TestErrorText(t *testing.T) {
	for _, tt := range []struct{ text, want string }{
		{"", ""},
		{"as it is", "as it is"},
		{"a\xffb", "a\ufffdb"},
		{strings.Repeat("x", maxErrorText), strings.Repeat("x", maxErrorText)},
		{strings.Repeat("x", maxErrorText+1), strings.Repeat("x", maxErrorText)},
		{strings.Repeat("x", maxErrorText-1) + "é", strings.Repeat("x", maxErrorText-1)},
	} {
		got := errorText(tt.text)
		if got != tt.want || !utf8.ValidString(got) {
			t.Errorf("%d bytes became %d", len(tt.text), len(got))
		}
	}
	s := newTestStore(t)
	row := state.Placement{Cid: statetest.Cid("x"), Status: state.PlacementPinError, Error: "a\xffb" + strings.Repeat("é", maxErrorText)}
	must(t, s.PutPlacement(t.Context(), statetest.Peer("p"), row))
}

// countRows counts what is in a table, cells that were deleted aside.
func countRows(t *testing.T, s *Store, table string) int {
	t.Helper()
	var n int
	if err := s.db.Session.Query("SELECT COUNT(*) FROM " + table).Scan(&n); err != nil {
		t.Fatal(err)
	}
	return n
}

// cidsIn makes CIDs that are in one bucket. One of 4,096 is, so it looks at bytes,
// as bucketOf does.
func cidsIn(t *testing.T, bucket, n int) []api.Cid {
	t.Helper()
	key := statetest.Cid("in a bucket").Bytes()
	counter := key[len(key)-8:]
	var out []api.Cid
	for i := uint64(0); len(out) < n; i++ {
		binary.BigEndian.PutUint64(counter, i)
		sum := sha256.Sum256(key)
		if int(sum[0])<<4|int(sum[1]>>4) != bucket {
			continue
		}
		c, err := api.CastCid(key)
		must(t, err)
		if got := state.Bucket(c); got != bucket {
			t.Fatalf("a CID meant for the bucket %d is in %d", bucket, got)
		}
		out = append(out, c)
	}
	return out
}
