package scyllastate

import (
	"cmp"
	"errors"
	"fmt"
	"math"
	"slices"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"pgregory.net/rapid"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestRangeAt shows that the pieces cover the ring once, in its order, and are
// those of a listing.
func TestRangeAt(t *testing.T) {
	rapid.Check(t, func(t *rapid.T) {
		n := rapid.IntRange(1, 5000).Draw(t, "pieces")
		want := tokenRanges(n)
		slices.SortFunc(want, func(a, b tokenRange) int { return cmp.Compare(a.after, b.after) })
		for i := range n {
			if got := rangeAt(i, n); got != want[i] {
				t.Fatalf("piece %d of %d is %v, want %v", i, n, got, want[i])
			}
		}
	})
	last := rangeAt(maxPieces-1, maxPieces)
	if before := rangeAt(maxPieces-2, maxPieces); before.upTo != last.after || last.after >= last.upTo || last.upTo != math.MaxInt64 {
		t.Errorf("the last pieces of many are %v and %v", before, last)
	}
}

// TestGetPlacementsOf reads what many peers do with a pin with few requests, and nothing
// of other peers and pins.
func TestGetPlacementsOf(t *testing.T) {
	s := newTestStore(t)
	pin, other := held("a"), held("other")
	var peers []peer.ID
	for i := range 70 {
		p := statetest.Peer(fmt.Sprint(i))
		peers = append(peers, p)
		if i%3 == 0 {
			place(t, s, p, pin, state.PlacementPinned)
		} else {
			place(t, s, p, other, state.PlacementPinned)
		}
	}
	place(t, s, statetest.Peer("nobody's business"), pin, state.PlacementPinned)
	size := statetest.Peer("only a size") // which is no row
	peers = append(peers, size)
	must(t, s.db.Session.Query(putSize, time.Now().UnixMicro(), 42, size.String(), state.Bucket(pin.Cid), pin.Cid.Bytes()).Exec())
	const calls = 50 // beside which what the store does by itself does not show
	var got map[peer.ID]state.Placement
	requests := &requestCount{}
	s.db.Session.SetTrace(requests)
	for range calls {
		var err error
		got, err = s.GetPlacementsOf(t.Context(), peers, pin.Cid)
		must(t, err)
	}
	s.db.Session.SetTrace(nil)
	if n := requests.Load() / calls; n != 2 {
		t.Errorf("%d requests for %d calls of %d peers", requests.Load(), calls, len(peers))
	}
	for _, p := range peers {
		want, there, err := s.GetPlacement(t.Context(), p, pin.Cid)
		must(t, err)
		row, ok := got[p]
		delete(got, p)
		if ok != there || row.Cid != want.Cid || row.Status != want.Status || !row.Updated.Equal(want.Updated) {
			t.Errorf("%s: %+v, want %+v", p, row, want)
		}
	}
	if len(got) > 0 {
		t.Errorf("nobody asked for %v", got)
	}
	if none, err := s.GetPlacementsOf(t.Context(), nil, pin.Cid); err != nil || len(none) > 0 {
		t.Errorf("of nobody: %v, %v", none, err)
	}
	s.db.Close()
	if _, err := s.GetPlacementsOf(t.Context(), peers, pin.Cid); !errors.Is(err, gocql.ErrSessionClosed) {
		t.Errorf("without a database: %v", err)
	}
}

// TestScanPiece reads the pinset piece by piece: all pins come once, with their
// revisions, and what cannot be decoded is told.
func TestScanPiece(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	want := make(map[api.Cid]state.Revision)
	samples := statetest.Samples(t)
	for _, sample := range samples {
		must(t, s.Add(ctx, sample.Pin))
		_, rev, err := s.GetVersion(ctx, sample.Pin.Cid)
		must(t, err)
		want[sample.Pin.Cid] = rev
	}
	removed, unreadable := samples[0].Pin.Cid, samples[1].Pin.Cid
	must(t, s.Rm(ctx, removed))
	delete(want, removed)
	corrupt(t, s, unreadable)
	delete(want, unreadable)
	must(t, s.db.Session.Query("UPDATE pins SET rev = now(), pin = 0x01 WHERE cid = 0x00").Exec())

	for _, pieces := range []int{1, 7, 64} {
		got := make(map[api.Cid]state.Revision)
		var bad []string
		for piece := range pieces {
			must(t, s.ScanPiece(ctx, piece, pieces, func(pin api.Pin, rev state.Revision) error {
				if _, twice := got[pin.Cid]; twice {
					t.Errorf("%d pieces: %s came twice", pieces, pin.Cid)
				}
				got[pin.Cid] = rev
				wantPin(t, s, pin.Cid, &pin)
				return nil
			}, func(_ api.Cid, err error) { bad = append(bad, err.Error()) }))
		}
		if len(got) != len(want) {
			t.Errorf("%d pieces have %d pins, want %d", pieces, len(got), len(want))
		}
		for c, rev := range want {
			if got[c] != rev {
				t.Errorf("%d pieces: %s came with revision %x, want %x", pieces, c, got[c], rev)
			}
		}
		slices.Sort(bad)
		if len(bad) != 2 || !strings.Contains(bad[0], "0x00 of pins is not a CID") || !strings.Contains(bad[1], unreadable.String()) {
			t.Errorf("%d pieces: what cannot be read: %q", pieces, bad)
		}
	}

	// An error ends it, also one that would make a scan go on in smaller pieces.
	for _, enough := range []error{errors.New("enough"), &gocql.RequestErrReadFailure{}} {
		calls := 0
		err := s.ScanPiece(ctx, 0, 1, func(api.Pin, state.Revision) error {
			calls++
			return enough
		}, func(api.Cid, error) {})
		if err != enough || calls != 1 { //nolint:errorlint // it is to be that very error
			t.Errorf("after %d calls: %v, want %v", calls, err, enough)
		}
	}
	// From each pin on it gives that one and what comes after it.
	for _, pieces := range []int{1, 7} {
		for piece := range pieces {
			var all []api.Cid
			list := func(to *[]api.Cid) func(api.Pin, state.Revision) error {
				return func(pin api.Pin, _ state.Revision) error {
					*to = append(*to, pin.Cid)
					return nil
				}
			}
			ignore := func(api.Cid, error) {}
			must(t, s.ScanPiece(ctx, piece, pieces, list(&all), ignore))
			for i, c := range all {
				var rest []api.Cid
				must(t, s.ScanFrom(ctx, piece, pieces, c, list(&rest), ignore))
				if !slices.Equal(rest, all[i:]) {
					t.Fatalf("from %s on piece %d of %d has %v, want %v", c, piece, pieces, rest, all[i:])
				}
				if pieces == 1 {
					continue
				}
				if err := s.ScanFrom(ctx, (piece+1)%pieces, pieces, c, nil, nil); err == nil || !strings.Contains(err.Error(), "is not in piece") {
					t.Errorf("%s is in another piece, too: %v", c, err)
				}
			}
		}
	}
	for _, of := range [][2]int{{0, 0}, {-1, 4}, {4, 4}, {0, maxPieces + 1}} {
		if err := s.ScanPiece(ctx, of[0], of[1], nil, nil); err == nil {
			t.Errorf("there is a piece %d of %d", of[0], of[1])
		}
	}
}

// TestTell shows that a peer looks at pins again, whatever has become of them, and
// that nothing else happens to them: nobody is fenced.
func TestTell(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	a, b := statetest.Peer("a"), statetest.Peer("b")
	pinned, removed, never := held("pinned", b), held("removed", b), statetest.Cid("never")
	must(t, s.Add(ctx, pinned))
	must(t, s.Add(ctx, removed))
	must(t, s.Rm(ctx, removed.Cid))
	before := make(map[api.Cid]row)
	cids := []api.Cid{pinned.Cid, removed.Cid, never}
	for _, c := range cids {
		r, err := s.readRow(ctx, c, gocql.Serial)
		must(t, err)
		before[c] = r
	}
	atA := consume(t, s, a)
	start := time.Now()
	must(t, s.Tell(ctx, a, cids...))
	atA.wait(t, pinned.Cid, &pinned)
	atA.wait(t, removed.Cid, nil)
	atA.wait(t, never, nil)
	for _, c := range cids {
		if r, err := s.readRow(ctx, c, gocql.Serial); err != nil || r.rev != before[c].rev {
			t.Errorf("%s was pending, and has another revision now: %v", c, err)
		}
	}
	if told := toldSince(t, s, b, start); len(told) > 0 {
		t.Errorf("another peer was told of %d pins", len(told))
	}
	if err := s.Tell(ctx, a, api.CidUndef); err == nil {
		t.Error("a peer was told of an undefined CID")
	}
	must(t, s.Tell(ctx, a))

	n := 2*maxTold + 3
	var many []api.Cid
	for i := range n {
		many = append(many, statetest.Cid("many "+string(rune(i+1))))
	}
	must(t, s.Tell(ctx, statetest.Peer("many"), many...))
	if told := toldSince(t, s, statetest.Peer("many"), start); len(told) != n {
		t.Errorf("%d of %d changes are there", len(told), n)
	}
}

// toldSince returns the CIDs of the changes in the feed of a peer since a moment.
func toldSince(t *testing.T, s *Store, id peer.ID, start time.Time) map[string]bool {
	t.Helper()
	told := make(map[string]bool)
	for slot := slotOf(start); slot <= slotOf(time.Now()); slot++ {
		must(t, s.tables.readChanges(t.Context(), []string{id.String()}, slot, start, time.Now().Add(time.Minute), func(r changeRow) error {
			told[string(r.cid)] = true
			return nil
		}))
	}
	return told
}

// TestIndex shows what a scrub writes again beside a pin.
func TestIndex(t *testing.T) {
	s := newTestStore(t)
	ctx := t.Context()
	rev := state.Revision(newUUID(time.Now()))
	due := time.Now().Add(time.Hour).Truncate(time.Second)
	for _, tt := range []struct {
		name                string
		everywhere, expires bool
	}{{"plain", false, false}, {"everywhere", true, false}, {"expiring", false, true}, {"both", true, true}} {
		pin := held(tt.name, statetest.Peer("a"))
		if tt.everywhere {
			pin = everywherePin(pin.Cid)
		}
		pin.ExpireAt = time.Unix(0, 0) // never, as upstream writes it
		if tt.expires {
			pin.ExpireAt = due
		}
		must(t, s.Index(ctx, pin, rev))
		if got := indexed(t, s, pin.Cid); got != tt.everywhere {
			t.Errorf("%s: listed among the pins of every peer: %t", tt.name, got)
		}
		at, ok := dueCids(t, s, shardOf(pin.Cid), due, due)[pin.Cid]
		if ok != tt.expires || ok && !at.Equal(due) {
			t.Errorf("%s: due %t at %s", tt.name, ok, at)
		}
	}
	if n := countRows(t, s, "everywhere") + countRows(t, s, "expiries"); n != 4 {
		t.Errorf("%d rows were written, want 4", n)
	}
}
