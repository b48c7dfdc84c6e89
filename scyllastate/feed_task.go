package scyllastate

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// firstRetry is the pause before a CID whose change is not done is looked
	// at again. It grows up to lastLook while others work on it, and up to
	// lastRetry after errors.
	firstRetry = 25 * time.Millisecond
	lastLook   = time.Second
	lastRetry  = 30 * time.Second
)

// task is the work on one CID: all its open changes. It is guarded by the lock of
// the dispatcher.
type task struct {
	cid  string
	keys []changeKey
	// busy is set while the task is in ready or a worker is at it.
	busy bool
	// gen counts the calls of the handler, of which only the last one counts.
	gen uint64
	// held are the changes that the last call ends by Done, nil when it does not;
	// ended is what Done said before the call returned.
	working bool
	held    []changeKey
	ended   *error
	tries   int
	timer   *time.Timer
	// pending is set while the task waits for the writer of a change.
	pending bool
	// refused is set if the handler had no room for it when it was called last.
	refused bool
}

// push lets the next free worker take the task. The caller holds the lock.
func (d *dispatcher) push(t *task) {
	if t.busy {
		return
	}
	t.stopTimer()
	t.busy = true
	d.ready <- t
}

func (t *task) stopTimer() {
	if t.timer != nil {
		t.timer.Stop()
		t.timer = nil
	}
}

// putBack is push for a task that work has left to its caller.
func (d *dispatcher) putBack(t *task) {
	d.mu.Lock()
	defer d.mu.Unlock()
	t.busy = false
	d.push(t)
}

// work brings one CID up to date. It returns what that says about the room that the
// handler has. If it has refused the task, the caller puts it back once the gate is
// closed: another worker would pass the gate with it before that.
func (d *dispatcher) work(ctx context.Context, t *task) response {
	d.mu.Lock()
	keys := t.keys
	open := make([]change, len(keys))
	for i, k := range keys {
		open[i] = *d.changes[k]
	}
	t.gen++
	gen := t.gen
	t.working, t.held, t.ended = true, nil, nil
	d.mu.Unlock()

	settled, asked, err := d.act(ctx, t, gen, open)

	d.mu.Lock()
	defer d.mu.Unlock()
	t.working = false
	if asked && errors.Is(err, state.ErrBusy) {
		t.refused = true
		return refused
	}
	t.busy = false
	d.conclude(ctx, t, keys, settled, err)
	switch {
	case !asked:
		return notAsked
	case t.refused:
		t.refused = false
		return takenNow
	}
	return taken
}

// conclude takes what became of the work on the given changes of a task. The caller
// holds the lock.
func (d *dispatcher) conclude(ctx context.Context, t *task, keys []changeKey, settled []bool, err error) {
	var mine []changeKey // what the call was for
	for i, k := range keys {
		if settled != nil && settled[i] {
			mine = append(mine, k)
		}
	}
	fresh := len(t.keys) > len(keys) // some have arrived
	if errors.Is(err, state.ErrLater) {
		if t.ended == nil {
			d.hold(t, mine, len(keys)-len(mine), fresh)
			return
		}
		err = *t.ended
	}
	waiting := errors.Is(err, state.ErrNotYet)
	if err != nil && !waiting && ctx.Err() == nil {
		d.failed(t, err)
	}
	if err == nil {
		d.finish(t, mine)
	}
	switch {
	case len(t.keys) == 0:
		delete(d.tasks, t.cid)
	case err == nil && len(mine) == len(keys):
		t.tries = 0
		d.push(t)
	case err == nil:
		d.await(t)
	case waiting:
		t.pending = false
		d.later(t, lastLook)
	default:
		t.pending = false
		d.later(t, lastRetry)
	}
}

// hold lets a task wait for Done. The caller holds the lock.
func (d *dispatcher) hold(t *task, mine []changeKey, unsettled int, fresh bool) {
	t.held = mine
	switch {
	case fresh:
		d.push(t)
	case unsettled > 0:
		d.await(t)
	default:
		t.tries = 0
	}
}

// complete is what Change.Done does for the call with the given number.
func (d *dispatcher) complete(t *task, gen uint64, err error) {
	d.mu.Lock()
	defer d.mu.Unlock()
	switch {
	case t.gen != gen || d.tasks[t.cid] != t:
		return // the later call is for these changes, too
	case t.working:
		if t.ended == nil {
			t.ended = &err
		}
		return
	case t.held == nil:
		return // it has been ended
	}
	mine := t.held
	t.held = nil
	if err != nil {
		d.failed(t, err)
		if !t.busy {
			t.stopTimer()
			t.pending = false
			d.later(t, lastRetry)
		}
		return
	}
	d.finish(t, mine)
	if len(t.keys) == 0 && !t.busy {
		t.stopTimer()
		delete(d.tasks, t.cid)
	}
}

// finish marks changes of a task as done. The caller holds the lock.
// Action Finish of spec/WritePath.tla.
func (d *dispatcher) finish(t *task, done []changeKey) {
	for _, k := range done {
		d.changes[k].done = true
		d.unsaved = true
		<-d.slots
	}
	t.keys = slices.DeleteFunc(slices.Clone(t.keys), func(k changeKey) bool { return d.changes[k].done })
}

func (d *dispatcher) failed(t *task, err error) {
	state.Failure(err, logger.Warnf, logger.Debugf)("working on a change (try %d): %s", t.tries+1, err)
}

// later puts the task back after a pause that grows up to the given one. The
// caller holds the lock.
func (d *dispatcher) later(t *task, longest time.Duration) {
	wait := min(firstRetry<<min(t.tries, 16), longest)
	t.tries++
	var timer *time.Timer
	timer = time.AfterFunc(wait, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if t.timer == timer {
			d.push(t)
		}
	})
	t.timer = timer
}

// act reads the pin, finds which of the changes are settled, and asks the handler to
// act on the pin as it is if there is one. It fences the writers of changes that have
// had their time.
// Actions Look and Fence of spec/WritePath.tla.
func (d *dispatcher) act(ctx context.Context, t *task, gen uint64, open []change) (settled []bool, asked bool, err error) {
	traceparent := newestTrace(open)
	ctx, end := traced(ctx, "feed/act", traceparent)
	defer end()

	c, err := api.CastCid([]byte(t.cid))
	if err != nil {
		logger.Errorf("passing over a change whose key 0x%x is not a CID: %s", t.cid, err)
		return slices.Repeat([]bool{true}, len(open)), false, nil
	}
	now, err := d.store.readRow(ctx, c, gocql.Quorum)
	if err != nil {
		return nil, false, err
	}
	settled = settle(now, open)
	if slices.Contains(settled, false) && d.overdue(t, c, now) {
		if now, err = d.fence(ctx, c, now); err != nil {
			return nil, false, err
		}
		settled = settle(now, open)
	}
	d.store.deadlines.learn(t.cid, now, open)
	if !slices.Contains(settled, true) {
		return settled, false, nil
	}
	pin, err := now.decode(c)
	if err != nil {
		// Whoever replaces the row tells every peer: nothing is lost by going
		// on, and standing here would hold up all other changes.
		logger.Errorf("passing over a change: %s", err)
		return settled, false, nil
	}
	return settled, true, d.handle(ctx, state.Change{
		Cid: c, Pin: pin, Rev: state.Revision(now.rev), Traceparent: traceparent,
		First:    pin != nil && now.prev == gocql.UUID{} && slices.ContainsFunc(open, func(c change) bool { return c.makes }),
		Unpassed: slices.ContainsFunc(open, func(c change) bool { return c.unpassed }),
		Done:     func(err error) { d.complete(t, gen, err) },
	})
}

// newestTrace is the trace context of the last of the writes that has one.
func newestTrace(open []change) string {
	var at time.Time
	trace := ""
	for _, c := range open {
		if c.traceparent != "" && c.at.After(at) {
			at, trace = c.at, c.traceparent
		}
	}
	return trace
}

// settle tells for each change whether its writer has written or cannot write
// any more.
// Operator Settled of spec/WritePath.tla.
func settle(now row, open []change) []bool {
	settled := make([]bool, len(open))
	for i, c := range open {
		if now.absent() {
			// A row that was there and is gone was removed, and its
			// marker has run out.
			settled[i] = c.prev != gocql.UUID{}
		} else {
			settled[i] = later(now.rev, c.prev)
		}
	}
	return settled
}
