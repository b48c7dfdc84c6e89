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

// passes checks that the process has read what its cursor passes: what it does not find
// there again the next one never does. What came later than an append may take counts for
// nothing: its writer appends again. The caller holds the lock.
func (p *process) passes(position time.Time) {
	w := p.world
	own := feedOf(p)
	for slot, rows := range w.changes {
		if slot.feed != own && !strings.HasPrefix(slot.feed, everywherePrefix) {
			continue
		}
		for _, r := range rows {
			at := r.at.Time()
			if at.After(p.took.position) && !at.After(position) && r.arrived.Sub(at) <= w.lim.writeDeadline && p.seen[r.at].IsZero() {
				w.fail("the cursor of %s passes a change of %s for %s that it has not read", p.name, w.label(r.cid), w.feedName(slot.feed))
			}
		}
	}
}

// feedOf is the feed of the peer that a process is one of.
func feedOf(p *process) string {
	for _, id := range simPeerList {
		if simLabels[id.String()] == p.machine.name {
			return id.String()
		}
	}
	return ""
}
