package reconcile

import (
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
)

// stopRule keeps a failure of the network, or a power cut, from moving the whole
// pinset: while too many peers have died lately nothing is moved away from dead
// ones. What is lately is judged from what is stored, so that a restart does not
// forget it. It is safe for concurrent use.
type stopRule struct {
	share float64
	// lately is for how long a death counts. After that the peer is taken to be
	// dead for good.
	lately time.Duration

	mu      sync.Mutex
	stopped bool
}

// holds tells whether the rule forbids to move pins, and says in the log when
// that begins and ends. A view in which nobody can be judged changes nothing.
// Operator Stopped of spec/Moves.tla.
func (s *stopRule) holds(view membership.View) bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	if view.Frozen {
		return s.stopped
	}
	d := deathsIn(view, s.lately)
	why := d.stop(s.share)
	switch {
	case why != "" && !s.stopped:
		logger.Errorf("%s: their pins are not given to others, because the network between the peers and the database may be what fails, or the peers are still starting. "+
			"Check it, and start the peers again; peers that will not come back are taken out with `ipfs-cluster-ctl peers rm`, which gives up the content that only they have. What stays dead for %s is moved",
			why, s.lately)
	case why == "" && s.stopped:
		logger.Warnf("no more than %d of %d peers died within %s, and this peer has seen all of them live: the pins of dead peers are given to others again", d.dead, d.counted, s.lately)
	}
	s.stopped = why != ""
	return s.stopped
}

// isStopped tells what holds has found last.
func (s *stopRule) isStopped() bool {
	s.mu.Lock()
	defer s.mu.Unlock()
	return s.stopped
}

// deaths are the peers that count for the rule: those that are live, or died lately.
type deaths struct {
	dead, counted int
	// unseen is how many of the dead this process has not seen live.
	unseen int
	// zone is one of at least two peers that are all dead, empty if there is none.
	zone      string
	zonePeers int
}

func deathsIn(view membership.View, lately time.Duration) deaths {
	var d deaths
	type zone struct{ dead, counted int }
	zones := make(map[string]*zone)
	for _, p := range view.Peers {
		dead := p.Dead() && view.DeadFor(p) < lately
		if p.Removed || !p.Holds() || !p.Live && !dead {
			continue
		}
		z := zones[p.Zone]
		if z == nil {
			z = new(zone)
			zones[p.Zone] = z
		}
		d.counted++
		z.counted++
		if !dead {
			continue
		}
		d.dead++
		z.dead++
		if !p.Seen {
			d.unseen++
		}
	}
	for name, z := range zones {
		if name != "" && z.counted > 1 && z.dead == z.counted && (d.zone == "" || name < d.zone) {
			d.zone, d.zonePeers = name, z.dead
		}
	}
	return d
}

// stop says why nothing is to be moved, empty if nothing speaks against it. A death
// that this process has not seen may be one of many at a power cut: then the others
// are on their way back. A single one that it has seen is what moves are for.
func (d deaths) stop(share float64) string {
	switch {
	case d.unseen > 0:
		return fmt.Sprintf("%d of %d peers have not been seen since this peer started, and were alive not long before or never noted when they ran", d.unseen, d.counted)
	case d.dead < 2:
		return ""
	case float64(d.dead)/float64(d.counted) >= share:
		return fmt.Sprintf("%d of %d peers died within a short time", d.dead, d.counted)
	case d.zone != "":
		return fmt.Sprintf("all %d peers of the zone %q died within a short time", d.zonePeers, d.zone)
	}
	return ""
}

// mayMove tells whether pins of dead and removed peers may be given to others
// now.
func (r *Reconciler) mayMove(view membership.View) bool {
	if r.opts.Repin != nil && !r.opts.Repin() {
		return false
	}
	return !r.stop.holds(view) && !view.Frozen && !slices.ContainsFunc(view.Peers, undecided)
}

// undecided tells that it is not known yet whether a peer that counts for the rule is
// alive: the viewer has just started, or the peer has.
func undecided(p membership.Peer) bool { return !p.Removed && p.Holds() && !p.Live && !p.Dead() }
