package scyllastate

import (
	"context"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

const (
	// fencesAtOnce is how many workers fence at the same time. The others work on
	// what can be done: a fence waits for appends, which a database may make slowly
	// that has just lost a peer with hundreds of writes under way.
	fencesAtOnce = feedWorkers / 4
	// looksPerWait is how often a pin is looked at while its writer has time, beside
	// the looks of the first moments.
	looksPerWait = 8
	// recheckFor is how long a change that waits for its writer is looked at
	// whenever this process writes.
	recheckFor = 2 * time.Second
)

// await looks at a task again while the writer of a change has time. The caller
// holds the lock.
func (d *dispatcher) await(t *task) {
	t.pending = true
	d.later(t, d.store.deadlines.wait(t.cid)/looksPerWait)
}

// recheck looks at once at the tasks that have waited for a writer for a short while:
// one in this process has written. Writes that take long are not asked after at each.
func (d *dispatcher) recheck() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.tasks {
		if t.pending && t.timer != nil && time.Since(d.changes[t.keys[0]].taken) < recheckFor {
			d.push(t)
		}
	}
}

// overdue reports whether the writers of a task's changes have had their time, those
// included whose changes have arrived since the work on it began, and it is the turn of
// this feed.
func (d *dispatcher) overdue(t *task, c api.Cid, now row) bool {
	return d.store.turnToFence(d.feed, c, now, d.unsettled(t, now))
}

// unsettled are the changes of a task whose writers may still write.
func (d *dispatcher) unsettled(t *task, now row) (pending []change) {
	d.mu.Lock()
	defer d.mu.Unlock()
	open := make([]change, len(t.keys))
	for i, k := range t.keys {
		open[i] = *d.changes[k]
	}
	for i, settled := range settle(now, open) {
		if !settled {
			pending = append(pending, open[i])
		}
	}
	return pending
}

// fence ends a writer, and returns the row afterwards. While too many others are being
// ended it leaves the row alone: the task is looked at again.
func (d *dispatcher) fence(ctx context.Context, c api.Cid, now row) (row, error) {
	select {
	case d.fences <- struct{}{}:
		defer func() { <-d.fences }()
		return d.store.fence(ctx, c, now)
	default:
		return now, nil
	}
}
