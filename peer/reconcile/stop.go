package reconcile

import (
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
)

// recently is how long a dead peer counts for the stop rule. After that it is
// taken to be dead for good.
const recently = time.Hour

// stopRule keeps a failure of the network from moving the whole pinset: while
// too many peers have died lately, nothing is moved away from dead ones. It is
// safe for concurrent use.
type stopRule struct {
	share float64

	mu      sync.Mutex
	stopped bool
}

// holds tells whether the rule forbids to move pins, and says in the log when
// that begins and ends. A view in which nobody can be judged changes nothing.
func (s *stopRule) holds(view membership.View, now time.Time) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if view.Frozen {
		return s.stopped
	}
	dead, of := lately(view, now)
	stopped := dead > 1 && float64(dead) > s.share*float64(of)
	switch {
	case stopped && !s.stopped:
		logger.Errorf("%d of %d peers died within %s: their pins are not given to others, because the network between the peers and the database may be what fails. "+
			"Check it, and start the peers again; peers that will not come back are taken out with `ipfs-cluster-ctl peers rm`. What stays dead longer than that is moved",
			dead, of, recently)
	case !stopped && s.stopped:
		logger.Warnf("no more than %d of %d peers died within %s: the pins of dead peers are given to others again", dead, of, recently)
	}
	s.stopped = stopped
	return stopped
}

// lately counts the members that were alive within the last hour, as far as the
// view tells, and those of them that are dead now.
func lately(view membership.View, now time.Time) (dead, of int) {
	for _, p := range view.Peers {
		switch {
		case p.Removed || !p.Works() || !p.Live && !p.Seen: // or dead before this process started
		case p.Live:
			of++
		case p.Dead() && now.Sub(p.DeadSince) <= recently:
			dead++
			of++
		}
	}
	return dead, of
}

// mayMove tells whether pins of dead and removed peers may be given to others
// now.
func (r *Reconciler) mayMove(view membership.View) bool {
	if r.opts.Repin != nil && !r.opts.Repin() {
		return false
	}
	return !r.stop.holds(view, time.Now()) && !view.Frozen
}
