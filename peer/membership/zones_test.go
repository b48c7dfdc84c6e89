package membership

import (
	"testing"
	"time"

	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/logtest"
)

// TestZonesAreGivenOneByOne: peers get their zones, and start again for it. Who is the last
// finds nothing amiss, and the others say once what is, and that it is over.
func TestZonesAreGivenOneByOne(t *testing.T) {
	inBubble(t, func(t *testing.T, db *table) {
		logged := logtest.Lines(t, "membership", logging.LevelInfo)
		const amiss, over = "contradict each other: ", "the zones of the peers do not contradict each other any more"
		a, b := mover(db, "A"), options(db, "B")
		a.Zone = "rack-1"
		startPeer(t, a)
		last := startPeer(t, b)
		after(time.Hour)
		if n := logged(amiss); n != 2 {
			t.Errorf("two peers said %d times in an hour that one has no zone", n)
		}
		stop(t, last)
		b.Zone = "rack-2"
		startPeer(t, b)
		after(time.Hour)
		if n := logged(amiss); n != 2 {
			t.Errorf("it was said %d times, also by the last one that got its zone", n)
		}
		if n := logged(over); n != 1 {
			t.Errorf("the first said %d times that it is over", n)
		}
	})
}
