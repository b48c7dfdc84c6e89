package scyllastate

import (
	"strings"
	"time"

	"github.com/gocql/gocql"
)

// mostFences is how often in sequence a write may be fenced in a world that is only
// slow. What a writer is given doubles with each, and is enough after the second;
// the others are for what some readers have not seen.
const mostFences = 5

// simSlow makes every append to the feed of one peer slow, also after calm.
type simSlow struct {
	feed string
	// lost is how often each batch is sent before it is there in time, and takes how
	// long that takes then, of the write deadline in permille.
	lost, takes int
}

func newSimSlow(d *draw) *simSlow {
	return &simSlow{feed: simPeerList[d.below(simPeers)].String(), lost: d.below(3), takes: 200 + d.below(750)}
}

func (s *simSlow) is(feed string) bool { return s != nil && s.feed == feed }

// fate is what becomes of a batch that is sent for the n-th time.
func (s *simSlow) fate(w *world, n int) fate {
	if n <= s.lost {
		return fate{apply: w.lim.writeDeadline + time.Second, again: never, answer: never}
	}
	takes := w.lim.writeDeadline * time.Duration(s.takes) / 1000
	return fate{apply: takes, again: never, answer: takes + time.Millisecond}
}

// sends counts how often the process has sent a batch.
func (p *process) sends(first gocql.UUID) int {
	p.world.mu.Lock()
	defer p.world.mu.Unlock()
	p.appends[first]++
	return p.appends[first]
}

// fences checks that the process fences no writer before it had its time: as long as
// an append may take, from when the process saw its change until it began the fence. What
// it sees while it announces that is too late, and the changes of fences are no writer's.
func (p *process) fences(wr *write) {
	w := p.world
	w.mu.Lock()
	defer w.mu.Unlock()
	began, window, oldest, newest := p.began[wr.rev], w.lim.window(), time.Duration(0), never
	for _, rows := range w.changes {
		for _, r := range rows {
			at := p.seen[r.at]
			if at.IsZero() || !at.Before(began) || r.kind == kindFence || r.kind == kindEventFence || string(r.cid) != string(wr.cid.Bytes()) || r.prev != wr.old.rev {
				continue
			}
			oldest, newest = max(oldest, began.Sub(at)), min(newest, began.Sub(at))
		}
	}
	if newest < window && oldest < window<<maxDoublings {
		w.fail("%s fences a writer of %s %s after it saw the change", p.name, label(wr.cid), newest)
	}
}

// starves checks that a call is not fenced again and again, where nothing but the slow
// feed holds it up. The caller holds the lock.
func (w *world) starves(o *op, applied bool, now row) {
	if o == nil || w.slow == nil {
		return
	}
	if applied || !w.record.fenced[now.rev] {
		o.fences = 0
		return
	}
	o.fences++
	if o.fences > mostFences {
		w.fail("%s of %s is fenced for the %d. time in sequence", o.title(), label(o.cid), o.fences)
	}
}

// unfinished tells whose cursor stands before calm: a change is held for ever by a writer
// that does not come back. The caller holds the lock.
func (w *world) unfinished() string {
	var names []string
	for _, p := range w.peers {
		if id := p.id.String(); w.cursors[id+id].position.Before(w.calm) {
			names = append(names, p.name)
		}
	}
	if w.relay != nil {
		for _, feed := range w.relay.feeds() {
			if w.cursors[feed+eventConsumer].position.Before(w.calm) {
				names = append(names, feed)
			}
		}
	}
	if len(names) == 0 {
		return ""
	}
	return "the cursor of " + strings.Join(names, ", ") + " has not passed what happened before calm"
}
