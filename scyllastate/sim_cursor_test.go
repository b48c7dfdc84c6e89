package scyllastate

import (
	"strings"
	"time"
)

// saw notes that the process has read a change.
func (p *process) saw(r simChange) {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	if p.seen[r.at].IsZero() {
		p.seen[r.at] = time.Now()
	}
}

// simTook is where a process has begun to read a feed, and when.
type simTook struct{ position, at time.Time }

// passes checks that the process has read what the cursor of a feed passes: what it does not
// find there again the next one never does. What came later than an append may take counts
// for nothing: its writer appends again. That of a peer is for the feeds of all as well. The
// caller holds the lock.
func (p *process) passes(feed string, position time.Time) {
	w := p.world
	for slot, rows := range w.changes {
		if slot.feed != feed && (isEventFeed(feed) || !strings.HasPrefix(slot.feed, everywherePrefix)) {
			continue
		}
		for _, r := range rows {
			if p.missesIn(feed, r, position) {
				w.fail("the cursor of %s passes a change of %s for %s that it has not read", p.name, w.label(r.cid), w.feedName(slot.feed))
			}
		}
	}
}

// missesIn reports whether a cursor passes a row that the process has not read.
func (p *process) missesIn(feed string, r simChange, position time.Time) bool {
	at := r.at.Time()
	return at.After(p.took[feed].position) && !at.After(position) && r.arrived.Sub(at) <= p.world.lim.writeDeadline && p.seen[r.at].IsZero()
}
