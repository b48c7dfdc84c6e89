package scyllastate

import (
	"encoding/binary"
	"errors"
	"maps"
	"math"
	"strings"
	"testing"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// TestOverRemovedPins reads a pinset of which nearly everything was removed and has
// run out. Cassandra gives up on a page that passes over too many dead cells; a
// listing and a scrub must come through and miss nothing.
func TestOverRemovedPins(t *testing.T) {
	s := newTestStore(t)
	removePins(t, s, 25_000)
	pins := make(map[api.Cid]bool)
	for _, sample := range statetest.Samples(t)[:20] {
		must(t, s.Add(t.Context(), sample.Pin))
		pins[sample.Pin.Cid] = true
	}
	t.Run("list", func(t *testing.T) {
		left := maps.Clone(pins)
		// The whole ring in one piece, as a piece of a large pinset is.
		must(t, s.scanRange(t.Context(), gocql.Quorum, tokenRange{math.MinInt64, math.MaxInt64}, func(row scanned) error {
			c, err := castKey(row.key)
			must(t, err)
			cross(t, left, c)
			return nil
		}))
		wantCrossed(t, left)
	})
	t.Run("scrub", func(t *testing.T) {
		left := maps.Clone(pins)
		must(t, s.ScanPiece(t.Context(), 0, 1, func(pin api.Pin, _ state.Revision) error {
			cross(t, left, pin.Cid)
			return nil
		}, func(_ api.Cid, err error) { t.Error(err) }))
		wantCrossed(t, left)
	})
}

// removePins leaves what n pins leave that were removed long ago.
func removePins(t *testing.T, s *Store, n int) {
	t.Helper()
	key := func(i int) []byte {
		return binary.BigEndian.AppendUint64(statetest.Cid("x").Bytes()[:28:28], uint64(i))
	}
	var g errgroup.Group
	g.SetLimit(128)
	for i := range n {
		g.Go(func() error {
			// What an unpin writes, without its ballot: this is about reading.
			return s.db.Session.Query("UPDATE pins USING TTL 1 SET rev = ?, prev = ?, pin = null, rf_min = null, rf_max = null, created = null, peers = null WHERE cid = ?",
				newUUID(time.Now()), newUUID(time.Now()), key(i)).Consistency(gocql.Quorum).Exec()
		})
	}
	must(t, g.Wait())
	waitFor(t, "the markers to run out", func() bool {
		var rev gocql.UUID
		return errors.Is(s.db.Session.Query("SELECT rev FROM pins WHERE cid = ?", key(n-1)).Scan(&rev), gocql.ErrNotFound)
	})
}

// cross takes a CID from those that are to come once.
func cross(t *testing.T, left map[api.Cid]bool, c api.Cid) {
	t.Helper()
	if !left[c] {
		t.Errorf("%s came twice, or should not", c)
	}
	delete(left, c)
}

func wantCrossed(t *testing.T, left map[api.Cid]bool) {
	t.Helper()
	if len(left) > 0 {
		t.Errorf("%d pins are missing", len(left))
	}
}

// TestRowWithoutCid shows that a row whose key is not a CID ends a listing, which
// would else not be whole, but not what repairs a keyspace.
func TestRowWithoutCid(t *testing.T) {
	s := newTestStore(t)
	var pins []api.Pin
	for _, sample := range statetest.Samples(t)[:5] {
		must(t, s.Add(t.Context(), sample.Pin))
		pins = append(pins, sample.Pin)
	}
	corrupt(t, s, pins[0].Cid)
	must(t, s.db.Session.Query("UPDATE pins SET rev = now(), pin = 0x01 WHERE cid = 0x00").Exec())

	if err := s.List(t.Context(), make(chan api.Pin, 10)); err == nil {
		t.Error("List is no error")
	}
	last := 0
	n, err := s.Count(t.Context(), func(n int) { last = n })
	if err != nil || n != len(pins)+1 || last != n {
		t.Errorf("counted %d (%d by progress), %v; want %d", n, last, err, len(pins)+1)
	}
	keys := make(chan api.Cid, 10)
	err = s.Keys(t.Context(), keys)
	if err == nil || !strings.Contains(err.Error(), "1 rows were passed over, one of them because the key 0x00 of pins is not a CID") {
		t.Errorf("Keys: %v", err)
	}
	got := make(map[api.Cid]bool)
	for c := range keys {
		got[c] = true
	}
	for _, pin := range pins {
		if !got[pin.Cid] {
			t.Errorf("Keys does not name %s", pin.Cid)
		}
	}
	if len(got) != len(pins) {
		t.Errorf("Keys names %d CIDs, want %d", len(got), len(pins))
	}
}
