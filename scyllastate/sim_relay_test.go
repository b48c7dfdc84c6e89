package scyllastate

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// simRelay is a machine that publishes the events of all CIDs, and what those know who
// receive them. The lock of the world guards the maps.
type simRelay struct {
	*machine
	// told is what was told of each CID, statuses those that were, by their rows.
	told     map[api.Cid]simTold
	statuses map[gocql.UUID]bool
}

// simTold is the newest version of a pin that was told.
type simTold struct {
	rev  gocql.UUID
	name string
}

func newSimRelay(w *world) *simRelay {
	r := &simRelay{told: make(map[api.Cid]simTold), statuses: make(map[gocql.UUID]bool)}
	r.machine = newMachine(w, "relay", func(p *process) {
		for _, shard := range r.shards() {
			go r.consume(p, shard)
		}
	})
	return r
}

// shards are those of the CIDs.
func (r *simRelay) shards() []int {
	var out []int
	for _, c := range simCidList {
		out = append(out, state.EventShard(c))
	}
	slices.Sort(out)
	return slices.Compact(out)
}

func (r *simRelay) feeds() []string {
	var out []string
	for _, shard := range r.shards() {
		out = append(out, state.EventFeedName(shard))
	}
	return out
}

// consume publishes the events of a shard until the process ends.
func (r *simRelay) consume(p *process, shard int) {
	feed, err := p.store.OpenEvents(p.ctx, shard)
	if err == nil {
		told := &simPublisher{relay: r, p: p, feed: state.EventFeedName(shard), revs: make(map[api.Cid]gocql.UUID)}
		err = feed.Consume(p.ctx, told.publish)
	}
	r.w.mu.Lock()
	defer r.w.mu.Unlock()
	if !p.crashed() {
		r.w.fail("the feed of events %d of %s ended: %v", shard, p.name, err)
	}
}

// simPublisher publishes the events of one feed, for one process.
type simPublisher struct {
	relay   *simRelay
	p       *process
	feed    string
	busy    bool
	through time.Time
	revs    map[api.Cid]gocql.UUID // of the last event
}

// publish takes a while, and may fail with all published, some of it, or nothing.
func (s *simPublisher) publish(ctx context.Context, events []state.Event, through time.Time) error {
	w := s.relay.w
	d, _, err := s.p.send(ctx, "publish", s.feed)
	if err != nil {
		return err
	}
	w.mu.Lock()
	if s.busy || through.Before(s.through) {
		w.fail("%s publishes %s twice at once (%t), or goes back from %s to %s", s.p.name, s.feed, s.busy, s.through, through)
	}
	s.busy = true
	w.mu.Unlock()
	err = s.p.wait(ctx, d.mostly(time.Millisecond, 2*time.Second))
	s.p.gate(d)
	w.mu.Lock()
	defer w.mu.Unlock()
	s.busy = false
	if err == nil && s.p.crashed() {
		err = errCrashed
	}
	if err != nil {
		return err
	}
	fails := w.faulty() && d.chance(w.odds.ipfs)
	if fails {
		events = events[:d.below(len(events)+1)]
	}
	for _, e := range events {
		s.tell(e)
	}
	if fails {
		return errSimulated
	}
	s.through = through
	s.passes(through)
	return nil
}

// tell publishes an event. Whoever receives it keeps the newer one of two.
func (s *simPublisher) tell(e state.Event) {
	w := s.relay.w
	if e.Status != nil {
		w.note("%s tells: kind %d of %s by %s", s.p.name, e.Kind, label(e.Cid), w.feedName(e.Status.Peer.String()))
		s.relay.statuses[gocql.UUID(e.At)] = true
		return
	}
	rev, name := gocql.UUID(e.Rev), ""
	if e.Pin != nil {
		name = e.Pin.Name
	}
	w.moved = time.Now()
	w.note("%s tells of %s: kind %d, %q, rev %s", s.p.name, label(e.Cid), e.Kind, name, stamp(rev))
	is, known := w.record.revs[rev]
	if is != name || !known && e.Pin != nil {
		w.fail("%s tells that rev %s of %s is %q, it is %q", s.p.name, stamp(rev), label(e.Cid), name, is)
	}
	if known && later(s.revs[e.Cid], rev) {
		w.fail("%s tells of rev %s of %s after rev %s", s.p.name, stamp(rev), label(e.Cid), stamp(s.revs[e.Cid]))
	}
	if known {
		s.revs[e.Cid] = rev
	}
	if later(rev, s.relay.told[e.Cid].rev) {
		s.relay.told[e.Cid] = simTold{rev, name}
	}
}

// passes checks that everything was told that was written up to a time. What came later
// than an append may take counts for nothing.
func (s *simPublisher) passes(through time.Time) {
	w := s.relay.w
	for slot, rows := range w.changes {
		if slot.feed != s.feed {
			continue
		}
		for _, r := range rows {
			at := r.at.Time()
			if at.After(through) || r.arrived.Sub(at) > w.lim.writeDeadline {
				continue
			}
			c, err := api.CastCid(r.cid)
			if err != nil {
				w.fail("%s", err)
				continue
			}
			if _, made := w.record.revs[r.rev]; r.kind <= lastPinKind && made && later(r.rev, s.relay.told[c].rev) {
				w.fail("%s says that all is told up to %s, and rev %s of %s is not", s.p.name, through.Sub(w.start), stamp(r.rev), label(c))
			}
			if r.kind > lastPinKind && !s.relay.statuses[r.at] {
				w.fail("%s says that all is told up to %s, and a status of %s is not", s.p.name, through.Sub(w.start), label(c))
			}
		}
	}
}

// wrong tells of which CIDs those who receive the events have something else than the
// pinset. The caller holds the lock.
func (r *simRelay) wrong() (out []string) {
	for _, c := range simCidList {
		now := r.w.pins.read(string(c.Bytes()), time.Now(), "rev", "prev", "pin")
		told := r.told[c]
		if name := nameOf(c, now); told.name != name || now.pin != nil && told.rev != now.rev {
			out = append(out, fmt.Sprintf("what was told of %s is %q of rev %s, it is %q of rev %s", label(c), told.name, stamp(told.rev), name, stamp(now.rev)))
		}
	}
	return out
}
