package tracker

import (
	"sync/atomic"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// heldPins is how many rows of each bucket say that the pin was made, as far as this process
// has looked through them, and by what it has written since. It is for a metric: what is
// written while a bucket is looked through may be counted wrong until that is done again.
type heldPins [state.Buckets]atomic.Int64

func (h *heldPins) total() int64 {
	var n int64
	for i := range h {
		n += h[i].Load()
	}
	return n
}

// wrote takes a row that was written over what was known.
func (h *heldPins) wrote(c api.Cid, before rowKnown, status state.PlacementStatus) {
	was, is := before.there && before.status == state.PlacementPinned, status == state.PlacementPinned
	switch {
	case is && !was:
		h[state.Bucket(c)].Add(1)
	case was && !is:
		h[state.Bucket(c)].Add(-1)
	}
}

// tally counts the rows of one bucket after another, as a scan sees them. A bucket of which
// it has not seen the beginning is left as it was.
type tally struct {
	held   *heldPins
	from   state.Place // where the scan began
	bucket int
	n      int64
	begun  bool
}

func (y *tally) add(own state.Own) {
	bucket := state.Bucket(own.Cid)
	if !y.begun || bucket != y.bucket {
		y.end()
		y.bucket, y.n, y.begun = bucket, 0, true
	}
	if own.Placement != nil && own.Placement.Status == state.PlacementPinned {
		y.n++
	}
}

// end notes the last bucket, all of which was seen.
func (y *tally) end() {
	if y.begun && (y.bucket != y.from.Bucket || !y.from.Cid.Defined()) {
		y.held[y.bucket].Store(y.n)
	}
}
