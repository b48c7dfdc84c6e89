package scyllastate

import (
	"context"
	"errors"
	"slices"
	"sync"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// feedWorkers is how many CIDs are worked on at the same time.
	feedWorkers = 32
	// maxOpen bounds the changes that are read and not done, and with them
	// the memory. When so many are open, reading waits: a full tracker slows
	// the feed down.
	maxOpen = 1 << 16
	// firstRetry is the pause before a CID whose change is not done is looked
	// at again. It grows up to lastLook while others work on it, and up to
	// lastRetry after errors.
	firstRetry = 25 * time.Millisecond
	lastLook   = time.Second
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
	// open has the changes that are not done, oldest first, and some that
	// are.
	open    openChanges
	unsaved bool
}

// change is one row of the feed.
type change struct {
	at    time.Time
	prev  gocql.UUID
	taken time.Time
	done  bool
	// traceparent is that of the write.
	traceparent string
}

// task is the work on one CID: all its open changes.
type task struct {
	cid   string
	keys  []changeKey
	tries int
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
func (d *dispatcher) put(ctx context.Context, r changeRow) error {
	key := changeKey{at: r.at, cid: string(r.cid)}
	d.mu.Lock()
	_, known := d.changes[key]
	d.mu.Unlock()
	if known {
		return nil
	}
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	c := &change{at: key.at.Time(), prev: r.prev, taken: time.Now(), traceparent: r.traceparent}
	d.changes[key] = c
	d.open.add(c)
	t := d.tasks[key.cid]
	if t == nil {
		t = &task{cid: key.cid}
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
	open := make([]change, len(keys))
	for i, k := range keys {
		open[i] = *d.changes[k]
	}
	d.mu.Unlock()

	settled, err := d.act(ctx, t, open)
	waiting := errors.Is(err, state.ErrNotYet)
	if err != nil && !waiting && ctx.Err() == nil {
		state.Failure(err, logger.Warnf, logger.Debugf)("working on a change (try %d): %s", t.tries+1, err)
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
	t.keys = append(left, t.keys[len(keys):]...) // some may have arrived
	switch {
	case len(t.keys) == 0:
		delete(d.tasks, t.cid)
	case len(left) == 0:
		t.tries = 0
		d.ready <- t
	case err == nil:
		t.pending = true
		d.later(t, fenceAfter/2)
	case waiting:
		t.pending = false
		d.later(t, lastLook)
	default:
		t.pending = false
		d.later(t, lastRetry)
	}
}

// later puts the task back after a pause that grows up to the given one. The
// caller holds the lock.
func (d *dispatcher) later(t *task, longest time.Duration) {
	wait := min(firstRetry<<min(t.tries, 16), longest)
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
func (d *dispatcher) act(ctx context.Context, t *task, open []change) ([]bool, error) {
	c, err := api.CastCid([]byte(t.cid))
	if err != nil {
		logger.Errorf("passing over a change whose key 0x%x is no CID: %s", t.cid, err)
		return slices.Repeat([]bool{true}, len(open)), nil
	}
	now, err := d.store.readRow(ctx, c, gocql.Quorum)
	if err != nil {
		return nil, err
	}
	settled := settle(now, open)
	for i, s := range settled {
		if !s && time.Since(open[i].taken) >= fenceAfter {
			if now, err = d.store.fence(ctx, c, now); err != nil {
				return nil, err
			}
			settled = settle(now, open)
			break
		}
	}
	if !slices.Contains(settled, true) {
		return settled, nil
	}
	pin, err := now.decode(c)
	if err != nil {
		// Whoever replaces the row tells every peer: nothing is lost by going
		// on, and standing here would hold up all other changes.
		logger.Errorf("passing over a change: %s", err)
		return settled, nil
	}
	return settled, d.handle(ctx, state.Change{
		Cid: c, Pin: pin, Rev: state.Revision(now.rev), Traceparent: newestTrace(open),
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

// oldest is the time of the oldest change that is not done.
func (d *dispatcher) oldest() (time.Time, bool) {
	d.mu.Lock()
	defer d.mu.Unlock()
	c := d.open.oldest()
	if c == nil {
		return time.Time{}, false
	}
	return c.at, true
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
		if c.done && !c.at.After(upTo) {
			delete(d.changes, k)
		}
	}
}
