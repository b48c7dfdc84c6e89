package reconcile

import (
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
)

// noBulk is later than the revisions of pins that were brought in in bulk, of which
// no peer need know yet.
var noBulk = time.Date(2000, 1, 1, 0, 0, 0, 0, time.UTC) //nolint:gochecknoglobals // a constant that Go cannot write as one

// suspicious reports whether a pin of which no peer knows may have been removed, and
// was brought back by a replica that has missed that: all that are to hold it are
// alive, and have had more time than their feeds last. They have unpinned it, then, or
// their rows got lost. Which of them nobody can tell, so that nothing is undone: what
// is in the pinset is pinned, as content that somebody wants matters more than space, and
// its user decides.
func (r *Reconciler) suspicious(pin api.Pin, written time.Time, view membership.View) bool {
	holders := mustHold(pin, view)
	if len(holders) == 0 || written.Before(noBulk) || time.Since(written) < r.opts.FeedTTL {
		return false
	}
	for _, p := range holders {
		if member, _ := view.Get(p); !member.Live {
			return false
		}
	}
	return true
}
