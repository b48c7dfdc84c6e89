package scyllastate

import (
	"fmt"
	"slices"
	"time"

	"github.com/gocql/gocql"
	lru "github.com/hashicorp/golang-lru/v2"
)

const (
	// maxDoublings bounds what a writer is given, and with it for how long one that
	// has died holds a cursor up. Sixteen windows are longer than the slowest try
	// of a write that goes on: it waits for half of that for earlier rows of a feed
	// (appender.patience), and its own may be made maxAppends times.
	maxDoublings = 4
	// maxLosses bounds the CIDs of which it is known that writers have failed.
	maxLosses = 16 << 10
)

// deadlines knows how long the writers of a CID are given before they are fenced.
//
// It is at least as long as an append may take: rows of one write appear in several
// feeds, and whoever sees the first of them must not take the others for lost. Each
// write that comes to nothing doubles it for the next one, however it was ended and
// by whom: of a thousand peers that hold a pin one or a few fence, as they take turns, and
// all learn. So a writer that lives gets through, however slow the database is, and adds a bounded
// number of requests to its load.
//
// It is safe for concurrent use.
type deadlines struct {
	// first is what the writers of a CID are given of which nothing is known.
	first  time.Duration
	losses *lru.Cache[string, loss]
}

// loss is how many writes of a CID have come to nothing in sequence, and the
// revision that the last of them was to replace.
type loss struct {
	times int
	prev  gocql.UUID
}

func newDeadlines(lim limits) (*deadlines, error) {
	losses, err := lru.New[string, loss](maxLosses)
	if err != nil {
		return nil, fmt.Errorf("making the memory of writes that came to nothing: %w", err)
	}
	return &deadlines{first: lim.window(), losses: losses}, nil
}

// wait is how long the writers of a CID are given.
// Operator Wait of spec/WritePath.tla.
func (d *deadlines) wait(cid string) time.Duration {
	lost, _ := d.losses.Peek(cid)
	return d.first << lost.times
}

// ended reports whether the writers of changes of a CID have had their time: the
// last of them, and if ever more come the first of them the longest time there is.
// Fences give them no more of it, and have time themselves where nothing else is
// pending: who has announced one may stop as well. Each turn that is to pass adds a
// quarter of it.
// Action Fence of spec/WritePath.tla.
func (d *deadlines) ended(cid string, pending []change, turns int) bool {
	if writers := withoutFences(pending); len(writers) > 0 {
		pending = writers
	}
	if len(pending) == 0 {
		return false
	}
	oldest, newest := pending[0].taken, pending[0].taken
	for _, c := range pending[1:] {
		if c.taken.Before(oldest) {
			oldest = c.taken
		}
		if c.taken.After(newest) {
			newest = c.taken
		}
	}
	after := func(wait time.Duration) time.Duration { return wait + wait/turnsPerWait*time.Duration(turns) }
	return time.Since(newest) >= after(d.wait(cid)) || time.Since(oldest) >= after(d.first<<maxDoublings)
}

// withoutFences leaves out the changes of fences.
func withoutFences(changes []change) []change {
	return slices.DeleteFunc(slices.Clone(changes), func(c change) bool { return c.fence })
}

// learn takes from a row what became of the writes of changes: a fence is none. A row
// that was replaced more than once since tells nothing.
// Operator Learnt of spec/WritePath.tla.
func (d *deadlines) learn(cid string, now row, changes []change) {
	if now.absent() {
		return
	}
	changes = withoutFences(changes)
	if slices.ContainsFunc(changes, func(c change) bool { return c.rev == now.rev }) {
		d.losses.Remove(cid)
		return
	}
	for _, c := range changes {
		if c.prev != now.prev || !later(now.rev, c.prev) {
			continue
		}
		lost, known := d.losses.Get(cid)
		if !known || later(c.prev, lost.prev) { // one write may have many rows
			d.losses.Add(cid, loss{min(lost.times+1, maxDoublings), c.prev})
		}
	}
}
