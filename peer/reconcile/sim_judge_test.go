package reconcile

import (
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// The promises of spec/Moves.tla, judged by what is so, not by what the peers know.

// need is how many copies there have to be before one may go.
func (p *simPin) need() int { return max(1, p.lowest) }

// judgeUnpin is asked before an IPFS daemon unpins. Invariants NobodyLetsGoTooEarly and
// NeverWithoutACopy.
func (s *sim) judgeUnpin(p *simProcess, c api.Cid) {
	pin := s.the(c)
	if !pin.wanted || pin.lost {
		return
	}
	other := func(n *simNode) bool { return n != p.node }
	if left := s.copies(c, other); left < pin.need() {
		s.fail("%s unpins %s, of which there are %d other copies, not %d", p.name, s.nameOf(c), left, pin.need())
	}
	if !pin.taken && s.copies(c, func(n *simNode) bool { return other(n) && s.member(n) }) == 0 {
		s.fail("%s unpins %s, of which no other member has a copy", p.name, s.nameOf(c))
	}
}

// judgeRow is asked when a row is written. Invariant RowsAreTrue.
func (s *sim) judgeRow(p *simProcess, row state.Placement) {
	if row.Status == state.PlacementPinned && !p.node.kubo.pinned[row.Cid] && !s.the(row.Cid).lost {
		s.fail("the row of %s says that it has pinned %s", p.name, s.nameOf(row.Cid))
	}
}

// judgeMove is asked when a loop has given a pin to others. Invariants NoMoveBeforePinned
// and NoStorm.
func (s *sim) judgeMove(p *simProcess, before, after api.Pin) {
	pin := s.the(before.Cid)
	had := s.copies(pin.cid, func(n *simNode) bool { return allocatedTo(before, n.id) && s.member(n) && !n.back })
	has := s.copies(pin.cid, func(n *simNode) bool { return allocatedTo(after, n.id) })
	if has < had && has < pin.need() && !pin.lost {
		s.fail("%s takes %s from %d holders with a copy and leaves %d", p.name, s.nameOf(pin.cid), had, has)
	}
	adds := slices.ContainsFunc(after.Allocations, func(id peer.ID) bool { return !allocatedTo(before, id) })
	if adds && !s.table.leaving(p.node.id) {
		if why := s.storm(p); why != "" {
			s.fail("%s moves %s although %s", p.name, s.nameOf(pin.cid), why)
		}
	}
}

// What the peers know is up to so much older than what is so.
const (
	simNoticed = time.Minute
	simInexact = 2*simNote + time.Minute
)

// storm says why nothing may be moved, "" if that is not certain: somebody has not been
// seen since the process started, or half of the peers have died, within the hour. Time
// in which nobody ran does not count.
func (s *sim) storm(p *simProcess) string {
	s.accrue()
	dead, counted := 0, 0
	for _, n := range s.nodes {
		switch {
		case !s.member(n):
			if time.Since(n.removed) < simNoticed {
				counted++ // for those who do not know yet
			}
		case n.process != nil || time.Since(n.beat) < simNoticed:
			counted++
		case n.gone >= simHour-simInexact:
			// It may count or not.
		default:
			counted++
			dead++
			if p.began.Sub(n.beat) > simNoticed {
				return string(n.id) + " has not been seen"
			}
		}
	}
	if dead >= 2 && 2*dead >= counted {
		return "half of the peers are dead"
	}
	return ""
}

// accrue counts the time for which peers are gone, up to now. The caller holds the lock.
func (s *sim) accrue() {
	now := time.Now()
	if slices.ContainsFunc(s.nodes, func(n *simNode) bool { return n.process != nil }) {
		for _, n := range s.nodes {
			if n.process == nil {
				n.gone += now.Sub(s.accrued)
			}
		}
	}
	s.accrued = now
}

// memberChanged is told of each change of who a peer is. An operator who removes the only
// one with a copy has the say, a peer that leaves by itself has not.
func (s *sim) memberChanged(p *simProcess, row, was state.Member) {
	n := s.node(row.ID)
	switch {
	case !was.Removed.IsZero() && row.Removed.IsZero():
		n.back = true
		s.note("%s is called back", string(n.id))
	case was.Leaving.IsZero() && !row.Leaving.IsZero():
		s.note("%s is to leave", string(n.id))
	}
	if !was.Removed.IsZero() || row.Removed.IsZero() {
		return
	}
	n.removed = time.Now()
	s.note("%s removes %s", p.name, string(n.id))
	if p.node == n {
		s.tally["hand-overs"]++
	} else {
		s.tally["removals"]++
	}
	for _, pin := range s.pins {
		if !pin.wanted || pin.lost || !n.kubo.pinned[pin.cid] {
			continue
		}
		left := s.copies(pin.cid, func(o *simNode) bool { return o != n && s.member(o) })
		switch {
		case p.node == n && left == 0 && !pin.taken:
			s.fail("%s leaves the cluster with the only copy of %s", string(n.id), s.nameOf(pin.cid))
		case p.node != n && s.copies(pin.cid, func(o *simNode) bool { return o != n && s.member(o) && s.keeps(o, pin.cid) }) == 0:
			pin.taken = true
		}
	}
}

// keeps reports whether the peer of a node has not decided to drop a CID.
func (s *sim) keeps(n *simNode, c api.Cid) bool {
	s.store.mu.Lock()
	defer s.store.mu.Unlock()
	return !s.store.placements[held{n.id, c}].Status.Leaving()
}

// wrong says what is not as the pinset says, once all is quiet: an under-replicated pin
// gets its copies, and nothing else stays.
func (s *sim) wrong() (wrong []string) {
	for _, pin := range s.pins {
		switch stored := s.store.pin(pin.cid); {
		case stored != nil:
			wrong = append(wrong, s.wrongOf(pin, *stored)...)
		default:
			for _, n := range s.nodes {
				if s.member(n) && n.kubo.pinned[pin.cid] {
					wrong = append(wrong, "unwanted "+s.nameOf(pin.cid)+" is still with "+string(n.id))
				}
			}
		}
	}
	return wrong
}

func (s *sim) wrongOf(pin *simPin, stored api.Pin) (wrong []string) {
	name := s.nameOf(pin.cid)
	if !s.reachable(pin.cid) { // it never came to be, or was taken away: judged where it happens
		return nil
	}
	have := s.copies(pin.cid, func(n *simNode) bool { return s.member(n) && allocatedTo(stored, n.id) })
	if have < pin.need() && !pin.lost { // rows go on to say that what a disk has lost is pinned
		wrong = append(wrong, name+" has too few copies")
	}
	if len(stored.Allocations) > max(1, pin.most) {
		wrong = append(wrong, name+" has too many holders")
	}
	for _, n := range s.nodes {
		if s.member(n) && n.kubo.pinned[pin.cid] && !allocatedTo(stored, n.id) {
			wrong = append(wrong, name+" is still with "+string(n.id))
		}
	}
	return wrong
}
