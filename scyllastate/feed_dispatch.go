package scyllastate

import (
	"context"
	"sync"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// feedWorkers is how many CIDs are worked on at the same time.
	feedWorkers = 32
	// maxOpen bounds the changes that are read and not done. When so many
	// are open, reading waits: a full tracker slows the feed down.
	maxOpen = 4096
	// firstRetry and lastRetry bound the growing pause before a CID whose
	// change is pending or failed is looked at again.
	firstRetry = 25 * time.Millisecond
	lastRetry  = 30 * time.Second
)

// dispatcher works on the changes, one CID at a time. It knows every change
// that it was given until that change is done and cannot be read again.
type dispatcher struct {
	store  *Store
	handle state.Handler
	slots  chan struct{} // one token for each open change
	ready  chan *task

	mu      sync.Mutex
	changes map[changeKey]*change
	tasks   map[string]*task
	unsaved bool
}

type change struct {
	prev gocql.UUID
	done bool
}

// task is the work on one CID: all its open changes.
type task struct {
	cid   string
	keys  []changeKey
	tries int
	since time.Time
	timer *time.Timer
	// pending is set while the task waits for the writer of a change.
	pending bool
}

func newDispatcher(s *Store, handle state.Handler) *dispatcher {
	return &dispatcher{
		store: s, handle: handle,
		slots:   make(chan struct{}, maxOpen),
		ready:   make(chan *task, maxOpen), // never blocks: a task has an open change
		changes: make(map[changeKey]*change),
		tasks:   make(map[string]*task),
	}
}

// start runs the workers until ctx ends.
func (d *dispatcher) start(ctx context.Context, wg *sync.WaitGroup) {
	for range feedWorkers {
		wg.Add(1)
		go func() {
			defer wg.Done()
			for {
				select {
				case <-ctx.Done():
					return
				case t := <-d.ready:
					d.work(ctx, t)
				}
			}
		}()
	}
}

// put takes a change, unless it is known. It waits while too many are open.
func (d *dispatcher) put(ctx context.Context, key changeKey, prev gocql.UUID) error {
	d.mu.Lock()
	_, known := d.changes[key]
	d.mu.Unlock()
	if known {
		return nil
	}
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return context.Cause(ctx)
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	d.changes[key] = &change{prev: prev}
	t := d.tasks[key.cid]
	if t == nil {
		t = &task{cid: key.cid, since: time.Now()}
		d.tasks[key.cid] = t
		d.ready <- t
	}
	t.keys = append(t.keys, key)
	return nil
}

// work brings one CID up to date.
func (d *dispatcher) work(ctx context.Context, t *task) {
	d.mu.Lock()
	keys := t.keys
	open := make([]gocql.UUID, len(keys))
	for i, k := range keys {
		open[i] = d.changes[k].prev
	}
	d.mu.Unlock()

	settled, err := d.act(ctx, t, open)
	if err != nil && ctx.Err() == nil {
		logger.Warnf("working on a change (try %d): %s", t.tries+1, err)
	}

	d.mu.Lock()
	defer d.mu.Unlock()
	var left []changeKey
	for i, k := range keys {
		if err == nil && settled[i] {
			d.changes[k].done = true
			d.unsaved = true
			<-d.slots
		} else {
			left = append(left, k)
		}
	}
	arrived := t.keys[len(keys):]
	t.keys = append(left, arrived...)
	switch {
	case len(t.keys) == 0:
		delete(d.tasks, t.cid)
	case len(left) == 0:
		t.tries, t.since = 0, time.Now()
		d.ready <- t
	default:
		t.pending = err == nil
		d.later(t)
	}
}

// later puts the task back after a pause. The caller holds the lock.
func (d *dispatcher) later(t *task) {
	wait := min(firstRetry<<min(t.tries, 16), lastRetry)
	if t.pending {
		wait = min(wait, fenceAfter/2)
	}
	t.tries++
	t.timer = time.AfterFunc(wait, func() {
		d.mu.Lock()
		defer d.mu.Unlock()
		if t.timer != nil {
			t.timer = nil
			d.ready <- t
		}
	})
}

// recheck looks at once at the tasks that wait for a writer.
func (d *dispatcher) recheck() {
	d.mu.Lock()
	defer d.mu.Unlock()
	for _, t := range d.tasks {
		if t.pending && t.timer != nil && t.timer.Stop() {
			t.timer = nil
			d.ready <- t
		}
	}
}

// act reads the pin, finds which of the changes are settled, and hands on the
// pin as it is if there is one. It fences the writer of a change that has been
// pending for long.
func (d *dispatcher) act(ctx context.Context, t *task, prevs []gocql.UUID) ([]bool, error) {
	c, err := api.CastCid([]byte(t.cid))
	if err != nil {
		logger.Errorf("dropping a change whose key 0x%x is no CID: %s", t.cid, err)
		done := make([]bool, len(prevs))
		for i := range done {
			done[i] = true
		}
		return done, nil
	}
	now, err := d.store.readRow(ctx, c, gocql.Quorum)
	if err != nil {
		return nil, err
	}
	settled, all := settle(now, prevs)
	if !all && time.Since(t.since) >= fenceAfter {
		if now, err = d.store.fence(ctx, c, now); err != nil {
			return nil, err
		}
		settled, _ = settle(now, prevs)
	}
	any := false
	for _, s := range settled {
		any = any || s
	}
	if !any {
		return settled, nil
	}
	pin, err := now.decode(c)
	if err != nil {
		return nil, err
	}
	return settled, d.handle(ctx, state.Change{Cid: c, Pin: pin})
}

// settle tells for each change, given the revision that its writer wanted to
// replace, whether that writer has written or cannot write any more. all is
// true when every one is.
func settle(now row, prevs []gocql.UUID) (settled []bool, all bool) {
	settled, all = make([]bool, len(prevs)), true
	for i, prev := range prevs {
		if now.absent() {
			// A row that was there and is gone was removed, and its
			// marker has run out.
			settled[i] = prev != gocql.UUID{}
		} else {
			settled[i] = later(now.rev, prev)
		}
		all = all && settled[i]
	}
	return settled, all
}

// oldest is the time of the oldest change that is not done.
func (d *dispatcher) oldest() (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	var oldest time.Time
	found := false
	for k, c := range d.changes {
		if at := k.at.Time(); !c.done && (!found || at.Before(oldest)) {
			oldest, found = at, true
		}
	}
	return oldest, found
}

// worked reports whether changes were done since the last call of saved.
func (d *dispatcher) worked() bool {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.unsaved
}

func (d *dispatcher) saved() {
	d.mu.Lock()
	defer d.mu.Unlock()
	d.unsaved = false
}

// forget drops the changes up to the given time that are done: they are not
// read again.
func (d *dispatcher) forget(upTo time.Time) {
	d.mu.Lock()
	defer d.mu.Unlock()
	for k, c := range d.changes {
		if c.done && !k.at.Time().After(upTo) {
			delete(d.changes, k)
		}
	}
}
