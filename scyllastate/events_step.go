package scyllastate

import (
	"context"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// step hands on some of what is due. It returns true if there is more, and the error of
// the handler. Then what it was given is due again.
func (e *eventReader) step(ctx context.Context) (more bool, err error) {
	works, more := e.take(ctx)
	e.store.lookAt(ctx, works)
	var events []state.Event
	for _, w := range works {
		events = append(events, e.tell(w)...)
	}
	if ctx.Err() != nil {
		return false, ctx.Err()
	}
	return more, e.handOn(ctx, works, events)
}

// take takes the tasks that are due, with up to a batch of rows.
func (e *eventReader) take(ctx context.Context) (works []*eventWork, more bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	for t := e.waits.first(); t != nil && time.Until(t.due) <= 0; t = e.waits.first() {
		e.push(t)
	}
	rows := 0
	for len(e.queue) > 0 && (rows == 0 || rows+len(e.queue[0].rows) <= eventBatch) {
		t := e.queue[0]
		e.queue[0], e.queue = nil, e.queue[1:]
		t.queued = false
		if t.alone {
			e.probe(ctx, t)
			continue
		}
		rows += len(t.rows)
		works = append(works, newEventWork(t, t.cid, t.rows))
		t.rows, t.busy, t.pending = nil, true, false
	}
	return works, len(e.queue) > 0
}

// lookAt reads the pins of the works with rows of the pinset.
func (s *Store) lookAt(ctx context.Context, works []*eventWork) {
	var wanted []*eventWork
	var cids []api.Cid
	for _, w := range works {
		if len(w.rows) == 0 {
			continue
		}
		c, err := api.CastCid([]byte(w.cid))
		if err != nil {
			continue // tell says so
		}
		wanted, cids = append(wanted, w), append(cids, c)
	}
	var g errgroup.Group
	g.SetLimit(versionReaders)
	for len(wanted) > 0 {
		n := min(len(wanted), versionsAtOnce)
		some, of := wanted[:n], cids[:n]
		wanted, cids = wanted[n:], cids[n:]
		g.Go(func() error {
			found, err := s.tables.readPins(ctx, of)
			for _, w := range some {
				w.now, w.unread = found[w.cid], err
			}
			return nil
		})
	}
	_ = g.Wait() // each work has its error
}

// tell is eventWork.tell, and learns from it about the writers.
func (e *eventReader) tell(w *eventWork) []state.Event {
	if w.unread == nil && len(w.rows) > 0 {
		e.store.deadlines.learn(w.cid, w.now, changesOf(w.rows))
	}
	return w.tell(e.told)
}

// handOn calls the handler, if there are events or there is progress to tell of.
func (e *eventReader) handOn(ctx context.Context, works []*eventWork, events []state.Event) error {
	e.mu.Lock()
	for _, w := range works {
		for _, r := range w.done() {
			r.done = true
		}
	}
	through := e.through()
	silent := len(events) == 0 && (!through.After(e.handed) || time.Since(e.handedAt) < eventProgress)
	e.mu.Unlock()
	var err error
	if !silent {
		err = e.handle(ctx, events, through)
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if !silent && err == nil {
		e.handed, e.handedAt = through, time.Now()
		e.told.note(events)
	}
	for _, w := range works {
		e.conclude(ctx, w, err)
	}
	return err
}

// through is the time up to which every row was handed on, or is being.
func (e *eventReader) through() time.Time {
	through := e.read
	if c := e.open.oldest(); c != nil && !c.at.After(through) {
		through = c.at.Add(-tick)
	}
	if through.Before(e.handed) {
		return e.handed
	}
	return through
}

// conclude goes on with a task after the work on it. The caller holds the lock.
func (e *eventReader) conclude(ctx context.Context, w *eventWork, err error) {
	t := w.task
	arrived := len(t.rows) > 0
	left := w.pending
	for _, r := range w.done() {
		if err == nil {
			r.other = nil
			e.unsaved = true
			<-e.slots
			continue
		}
		r.done = false
		e.open.add(&r.change, len(e.slots))
		left = append(left, r)
	}
	t.rows = append(left, t.rows...)
	t.busy = false
	switch {
	case len(t.rows) == 0:
		delete(e.tasks, t.cid)
	case err != nil:
		e.push(t)
	case w.unread != nil:
		e.probe(ctx, t)
	case arrived:
		e.push(t)
	default:
		e.await(ctx, t, w.now)
	}
}
