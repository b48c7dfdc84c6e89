package scyllastate

import (
	"context"
	"sync"
	"time"

	"github.com/gocql/gocql"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// feedWorkers is how many CIDs are worked on at the same time.
	feedWorkers = 32
	// maxOpen bounds the changes that are read and not done, and with them
	// the memory. When so many are open, reading waits: a full tracker slows
	// the feed down.
	maxOpen = 1 << 16
	// maxKnown bounds them with those that are done and may be read again.
	maxKnown = 2 * maxOpen
)

// dispatcher works on the changes, one CID at a time. It knows every change
// that it was given until that change is done and cannot be read again.
type dispatcher struct {
	store  *Store
	feed   string
	handle state.Handler
	// opened is when the feed was: see state.Change.Unpassed.
	opened time.Time
	slots  chan struct{} // one token for each open change
	fences chan struct{} // one for each worker that fences
	// known bounds len(changes): maxKnown, less in tests.
	known int
	ready chan *task
	gate  gate

	mu      sync.Mutex
	changes map[changeKey]*change
	tasks   map[string]*task
	// open has the changes that are not done, oldest first, and no more than
	// as many again that are.
	open    openChanges
	unsaved bool
}

// change is one row of the feed.
type change struct {
	at time.Time
	// rev is the revision that its writer was about to write, prev that which it
	// was to replace.
	rev, prev gocql.UUID
	taken     time.Time
	done      bool
	// makes is set if the change is that of a write which has made a pin that this
	// peer is to hold, recursively.
	makes bool
	// unpassed is set if an earlier process may have seen that, too.
	unpassed bool
	// fence is set if the change is that of a fence.
	fence bool
	// traceparent is that of the write.
	traceparent string
}

func newDispatcher(f *Feed, handle state.Handler) *dispatcher {
	return &dispatcher{
		store: f.store, feed: f.name, handle: handle, opened: f.opened,
		slots:   make(chan struct{}, maxOpen),
		fences:  make(chan struct{}, fencesAtOnce),
		known:   maxKnown,
		ready:   make(chan *task, maxOpen), // never blocks: a task has an open change, and is in it once
		changes: make(map[changeKey]*change),
		tasks:   make(map[string]*task),
	}
}

// start runs the workers until ctx ends.
func (d *dispatcher) start(ctx context.Context, wg *sync.WaitGroup) {
	for range feedWorkers {
		wg.Go(func() {
			for {
				select {
				case <-ctx.Done():
					return
				case t := <-d.ready:
					probe, err := d.gate.pass(ctx)
					if err != nil {
						return
					}
					found := d.work(ctx, t)
					d.gate.answered(probe, found)
					if found == refused {
						d.putBack(t)
					}
				}
			}
		})
	}
}

// put takes a change, unless it is known, and reports whether it did. It waits while too many are open.
func (d *dispatcher) put(ctx context.Context, r changeRow) (taken bool, err error) {
	key := changeKey{at: r.at, cid: string(r.cid)}
	d.mu.Lock()
	_, known := d.changes[key]
	d.mu.Unlock()
	if known {
		return false, nil
	}
	select {
	case d.slots <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if len(d.changes) >= d.known {
		d.forgetDone(d.store.now())
	}
	at := key.at.Time()
	c := &change{
		at: at, rev: r.rev, prev: r.prev, taken: time.Now(), traceparent: r.traceparent,
		makes: r.kind == kindPin && r.prev == gocql.UUID{}, fence: r.kind == kindFence,
	}
	c.unpassed = c.makes && at.Before(d.opened)
	d.changes[key] = c
	d.open.add(c, len(d.slots))
	t := d.tasks[key.cid]
	if t == nil {
		t = &task{cid: key.cid}
		d.tasks[key.cid] = t
		d.push(t)
	}
	t.keys = append(t.keys, key)
	if t.pending {
		t.tries = 0 // another write need not take as long
	}
	if t.held != nil || t.pending {
		d.push(t) // what goes on for an older change may be wrong now
	}
	return true, nil
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
	d.forgetDone(upTo)
}

// forgetDone is forget for one who holds the lock. What is forgotten and read
// again is delivered again.
func (d *dispatcher) forgetDone(upTo time.Time) {
	for k, c := range d.changes {
		if c.done && !c.at.After(upTo) {
			delete(d.changes, k)
		}
	}
}
