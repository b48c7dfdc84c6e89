package multipeer

import (
	"fmt"
	"testing"
	"time"
)

// TestRemovedPeerIsHandedOverOnce: once all pins of a removed peer are with
// others, a peer that comes in does not look at what that one held, though it now
// does half of the work. The notes that tell it so go when the peer is called back.
func TestRemovedPeerIsHandedOverOnce(t *testing.T) {
	w := newPeers(t, 2)
	gone := w.nodes[1]
	for i := range 40 {
		w.allocate(w.nodes[0], fmt.Sprint("pin ", i), 1, 1, gone)
	}
	w.converge()
	must(t, w.nodes[0].cluster.PeerRemove(t.Context(), gone.id)) // at once: repinning is off
	w.stopsItself(gone)
	w.repin.Store(true)
	w.holdersLeft(gone)

	var removed time.Time
	must(t, w.sql.Query("SELECT removed FROM "+w.conf.Keyspace+".peers WHERE cluster = 'ipfs-cluster' AND peer = ?", gone.id.String()).Scan(&removed))
	notes := fmt.Sprintf("handed over/%s/%d", gone.id, removed.UnixMilli())
	used := w.bucketsOf(gone.id.String())
	if used == 0 {
		t.Fatal("the peer that was removed held nothing")
	}
	eventually(t, "all to be noted", func() string {
		if n := w.bucketsOf(notes); n != used {
			return fmt.Sprintf("%d buckets of %d are", n, used)
		}
		return ""
	})

	late := w.newNodes(1)[0]
	w.start(late)
	w.lookForWork()
	eventually(t, "the lists of buckets to be read: two for its own work, two for the removed peer", func() string {
		if n := late.database.tally.sent(readBuckets...); n < 4 {
			return fmt.Sprintf("%d were", n)
		}
		return ""
	})
	if n := late.database.tally.sent(readPlacements...); n > 0 {
		t.Errorf("a new peer looked at placements %d times, and holds nothing", n)
	}

	must(t, gone.start(true))
	w.meet()
	if n := w.bucketsOf(notes); n != 0 {
		t.Errorf("%d notes on a removal stay after the peer was called back", n)
	}
	w.converge()
}

// bucketsOf is how many rows the table buckets has of a holder.
func (w *world) bucketsOf(holder string) (n int) {
	w.t.Helper()
	must(w.t, w.sql.Query("SELECT count(*) FROM "+w.conf.Keyspace+".buckets WHERE holder = ?", holder).Scan(&n))
	return n
}
