package reconcile

import (
	"math/rand/v2"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
)

const (
	simMaxPins = 6
	simStays   = 3 // so many peers stay in the cluster
)

// simEvent is something that happens to the cluster. It may find nothing to happen to.
type simEvent struct {
	weight int
	happen func(s *sim, d *rand.Rand)
}

// simEvents draws what happens in one schedule: not everything does in each.
func simEvents(d *rand.Rand) []simEvent {
	events := []simEvent{
		{12, (*sim).crash},
		{10, (*sim).machineFails},
		{3, (*sim).powerCut},
		{8, (*sim).startOne},
		{6, (*sim).restart},
		{8, (*sim).removePeer},
		{5, (*sim).callBack},
		{8, (*sim).pinNew},
		{14, (*sim).pinAgain},
		{2, (*sim).unpin},
		{14, (*sim).collect},
		{5, (*sim).fence},
		{5, (*sim).kuboFails},
		{4, (*sim).scrubSome},
	}
	for i := range events {
		events[i].weight *= []int{0, 1, 1, 3}[d.IntN(4)]
	}
	if d.IntN(10) == 0 {
		events = append(events, simEvent{3, (*sim).emptyDisk})
	}
	return append(events, simEvent{1, (*sim).collect})
}

// next lets one event happen.
func (s *sim) next(d *rand.Rand, events []simEvent) {
	s.mu.Lock()
	defer s.mu.Unlock()
	total := 0
	for _, e := range events {
		total += e.weight
	}
	at := d.IntN(total)
	for _, e := range events {
		if at -= e.weight; at < 0 {
			e.happen(s, d)
			return
		}
	}
}

// one picks a node of which is is true, nil if there is none.
func (s *sim) one(d *rand.Rand, is func(*simNode) bool) *simNode {
	some := s.some(is)
	if len(some) == 0 {
		return nil
	}
	return some[d.IntN(len(some))]
}

func running(n *simNode) bool { return n.process != nil }

// works is true for one whose process has the identity.
func works(n *simNode) bool { return running(n) && n.process.reconciler() != nil }

// returns lets a node and its process come back after a while, most often.
func (s *sim) returns(d *rand.Rand, n *simNode, longest time.Duration) {
	after, stays := between(d, time.Second, longest), d.IntN(4) == 0
	if stays {
		return
	}
	s.later(after, func() { s.comeBack(n) })
}

func (s *sim) comeBack(n *simNode) {
	n.kubo.down = false
	if !running(n) && s.member(n) {
		s.start(n, false)
	}
}

// crash kills a process. Its IPFS daemon goes on.
func (s *sim) crash(d *rand.Rand) {
	if n := s.one(d, running); n != nil {
		s.kill(n)
		s.returns(d, n, 15*time.Minute)
	}
}

// machineFails takes a process and its IPFS daemon.
func (s *sim) machineFails(d *rand.Rand) {
	if n := s.one(d, running); n != nil {
		s.kill(n)
		n.kubo.down = true
		s.returns(d, n, 25*time.Minute)
	}
}

// powerCut takes all of them at once, and they come back one after another.
func (s *sim) powerCut(d *rand.Rand) {
	s.note("the power fails")
	s.tally["power cuts"]++
	for _, n := range s.nodes {
		s.kill(n)
		n.kubo.down = true
	}
	after := between(d, time.Second, 30*time.Minute)
	for _, i := range d.Perm(len(s.nodes)) {
		n := s.nodes[i]
		s.later(after, func() { s.comeBack(n) })
		after += between(d, time.Second, 8*time.Minute)
	}
}

func (s *sim) startOne(d *rand.Rand) {
	if n := s.one(d, func(n *simNode) bool { return !running(n) && s.member(n) }); n != nil {
		s.comeBack(n)
	}
}

func (s *sim) restart(d *rand.Rand) {
	if n := s.one(d, running); n != nil {
		s.kill(n)
		s.later(between(d, 10*time.Millisecond, 40*time.Second), func() { s.comeBack(n) })
	}
}

// removePeer is `peers rm`: a live peer is to hand over its pins first.
func (s *sim) removePeer(d *rand.Rand) {
	by := s.one(d, works)
	n := s.one(d, s.member)
	stay := s.some(func(n *simNode) bool { return s.member(n) && !s.table.leaving(n.id) })
	if by == nil || n == nil || n == by || len(stay) <= simStays && !s.table.leaving(n.id) {
		return
	}
	p := by.process
	s.note("%s is asked to remove %s", p.name, string(n.id))
	s.running.Go(func() { _ = p.members().Remove(p.ctx, n.id) })
}

// callBack starts a removed peer that is to be one again.
func (s *sim) callBack(d *rand.Rand) {
	if n := s.one(d, func(n *simNode) bool { return !running(n) && !s.member(n) }); n != nil {
		n.kubo.down = false
		s.start(n, true)
	}
}

// live are the peers that a user's request may choose from, by what one of them knows.
func (s *sim) live(d *rand.Rand) []peer.ID {
	by := s.one(d, works)
	if by == nil {
		return nil
	}
	ids := by.process.members().View().Live()
	d.Shuffle(len(ids), func(i, j int) { ids[i], ids[j] = ids[j], ids[i] })
	return ids
}

// pinNew pins what one IPFS daemon has, which is with a holder most often.
func (s *sim) pinNew(d *rand.Rand) {
	factors := [][2]int{{1, 1}, {1, 1}, {1, 2}, {2, 2}, {2, 3}}[d.IntN(5)]
	live, i := s.live(d), slices.IndexFunc(s.pins, func(p *simPin) bool { return !p.wanted && !p.forgot })
	if i < 0 || len(live) < factors[0] {
		return
	}
	pin := s.pins[i]
	holders := live[:min(len(live), factors[1])]
	source := s.node(holders[0])
	if d.IntN(4) == 0 {
		source = s.nodes[d.IntN(len(s.nodes))]
	}
	if source.kubo.down {
		return
	}
	source.kubo.has[pin.cid] = true
	pin.lowest, pin.most, pin.wanted = factors[0], factors[1], true
	s.write(pin, holders, "pinned, its content is with "+string(source.id))
}

// write stores a pin as a user does.
func (s *sim) write(pin *simPin, holders []peer.ID, why string) {
	stored := api.PinWithOpts(pin.cid, api.PinOptions{ReplicationFactorMin: pin.lowest, ReplicationFactorMax: pin.most})
	stored.Allocations, stored.Timestamp = holders, time.Now()
	s.note("%s is %s: %d-%d, with %q", s.nameOf(pin.cid), why, pin.lowest, pin.most, holders)
	s.store.write(pin.cid, &stored)
}

// wanted picks a pin.
func (s *sim) wanted(d *rand.Rand) *simPin {
	all := slices.DeleteFunc(slices.Clone(s.pins), func(p *simPin) bool { return !p.wanted })
	if len(all) == 0 {
		return nil
	}
	return all[d.IntN(len(all))]
}

// pinAgain is `pin add` of what is pinned: with allocations that the user wants, or those
// of upstream's allocator, which drops dead holders if there are too few live ones.
func (s *sim) pinAgain(d *rand.Rand) {
	pin, live := s.wanted(d), s.live(d)
	if pin == nil || len(live) < pin.lowest {
		return
	}
	holders, stored := live[:min(len(live), pin.most)], s.store.pin(pin.cid).Allocations
	if d.IntN(2) == 0 {
		holders = slices.DeleteFunc(slices.Clone(stored), func(id peer.ID) bool { return !slices.Contains(live, id) })
		for _, id := range live {
			if len(holders) < pin.lowest && !slices.Contains(holders, id) {
				holders = append(holders, id)
			}
		}
		holders = holders[:min(len(holders), pin.most)]
	}
	s.write(pin, holders, "pinned again")
	if gone := slices.ContainsFunc(stored, func(id peer.ID) bool { return !slices.Contains(live, id) }); gone || d.IntN(2) == 0 {
		return
	}
	s.later(between(d, 10*time.Millisecond, 5*time.Second), func() { // at once, and back
		if pin.wanted {
			s.write(pin, stored, "pinned again, as it was")
		}
	})
}

func (s *sim) unpin(d *rand.Rand) {
	if pin := s.wanted(d); pin != nil {
		pin.wanted, pin.forgot = false, true
		s.note("%s is unpinned", s.nameOf(pin.cid))
		s.store.write(pin.cid, nil)
	}
}

// collect is `ipfs repo gc`, on one node or on all.
func (s *sim) collect(d *rand.Rand) {
	one, all := s.nodes[d.IntN(len(s.nodes))], d.IntN(2) == 0
	for _, n := range s.nodes {
		if (all || n == one) && !n.kubo.down {
			n.kubo.gc()
			s.tally["garbage collections"]++
			s.note("%s collects garbage", string(n.id))
		}
	}
}

// fence writes a revision with the content of the one before.
func (s *sim) fence(d *rand.Rand) {
	if pin := s.wanted(d); pin != nil {
		s.note("a writer of %s is fenced", s.nameOf(pin.cid))
		s.store.write(pin.cid, s.store.pin(pin.cid))
	}
}

// kuboFails stops an IPFS daemon for a while. Its peer goes on.
func (s *sim) kuboFails(d *rand.Rand) {
	if n := s.one(d, running); n != nil {
		n.kubo.down = true
		s.note("IPFS of %s is down", string(n.id))
		s.later(between(d, time.Second, 10*time.Minute), func() { n.kubo.down = n.kubo.down && !running(n) })
	}
}

// scrubSome lets a peer scrub all there is.
func (s *sim) scrubSome(d *rand.Rand) {
	if n := s.one(d, works); n != nil {
		p := n.process
		s.running.Go(func() { p.scrub(s.cids()) })
	}
}

func (s *sim) cids() (cids []api.Cid) {
	for _, pin := range s.pins {
		cids = append(cids, pin.cid)
	}
	return cids
}

// emptyDisk is an operator's doing: a peer that is down loses what its disk had.
func (s *sim) emptyDisk(d *rand.Rand) {
	n := s.one(d, func(n *simNode) bool { return !running(n) })
	if n == nil {
		return
	}
	s.note("the disk of %s is emptied", string(n.id))
	for _, pin := range s.pins {
		pin.lost = pin.lost || n.kubo.pinned[pin.cid]
	}
	clear(n.kubo.has)
	clear(n.kubo.pinned)
}
