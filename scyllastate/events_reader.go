package scyllastate

import (
	"context"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// eventBatch is how many rows of events are worked on at once.
	eventBatch = 512
	// eventsOpen is maxOpen for each feed of events, and eventsKnown maxKnown: one process
	// may read them all, and who receives events may be away for days.
	eventsOpen  = maxOpen / state.EventShards
	eventsKnown = 4 * eventsOpen
	// eventProgress is how often it is told how far a feed was read when nothing else
	// is.
	eventProgress = time.Second
)

// handleEvents is what EventFeed.Consume is given.
type handleEvents func(ctx context.Context, events []state.Event, through time.Time) error

// eventReader hands on what is found in a feed of events, in batches: it reads the pins of
// many CIDs by one statement. What is not settled waits, and holds up nothing else.
type eventReader struct {
	store  *Store
	name   string
	handle handleEvents
	slots  chan struct{} // one token for each open row
	// fences and probes have a token for each CID whose writer is fenced, or whose pin
	// is read by itself.
	fences, probes chan struct{}
	known          int
	// more has a value when there is work, or how far the feed was read has changed.
	more chan struct{}
	told toldPins
	wg   *sync.WaitGroup
	// lapsed ends the reader: rows have run out that it may not have seen.
	lapsed func()

	mu    sync.Mutex
	rows  map[changeKey]*eventRow
	tasks map[string]*eventTask
	queue []*eventTask // those that are due, in the order in which they came
	waits dueTasks     // those that will be
	// open has the rows that were not handed on. Those that are being handed on are
	// done, and open again if that fails.
	open openChanges
	// read is up to where all rows were put, handed up to where they were handed on, and
	// handedAt when that was said last.
	read, handed, handedAt time.Time
	unsaved                bool
}

// eventTask is the open rows of one CID.
type eventTask struct {
	cid  string
	rows []*eventRow
	// queued is set while it is in the queue, busy while somebody fences or reads for it.
	queued, busy bool
	// pending is set while a writer has time, alone while its pin cannot be read.
	pending, alone bool
	// due is when it is put into the queue by itself, zero for never; tries is how often
	// that was.
	due   time.Time
	tries int
}

func newEventReader(f *Feed, handle handleEvents) (*eventReader, error) {
	told, err := newToldPins()
	if err != nil {
		return nil, err
	}
	return &eventReader{
		store: f.store, name: f.name, handle: handle,
		slots:  make(chan struct{}, eventsOpen),
		fences: make(chan struct{}, fencesAtOnce),
		probes: make(chan struct{}, feedWorkers),
		known:  eventsKnown,
		more:   make(chan struct{}, 1),
		told:   told,
		lapsed: func() {},
		rows:   make(map[changeKey]*eventRow),
		tasks:  make(map[string]*eventTask),
		read:   f.position, handed: f.position,
	}, nil
}

// start implements sink.
func (e *eventReader) start(ctx context.Context, wg *sync.WaitGroup) {
	e.wg = wg
	wg.Go(func() { e.work(ctx) })
}

// work hands on what is there until ctx ends.
func (e *eventReader) work(ctx context.Context) {
	ticker := time.NewTicker(eventProgress)
	defer ticker.Stop()
	for failed := 0; ; {
		more, err := e.step(ctx)
		switch {
		case ctx.Err() != nil:
			return
		case err != nil:
			wait := min(firstRetry<<min(failed, 16), lastRetry)
			failed++
			state.Failure(err, logger.Warnf, logger.Debugf)("handing on events of the feed %s, next try in %s: %s", e.name, wait, err)
			select {
			case <-ctx.Done():
				return
			case <-time.After(wait):
			}
			continue
		}
		failed = 0
		if more {
			continue
		}
		next := time.NewTimer(e.untilDue())
		select {
		case <-ctx.Done():
		case <-e.more:
		case <-ticker.C:
		case <-next.C:
		}
		next.Stop()
	}
}

// untilDue is how long no task is due by itself.
func (e *eventReader) untilDue() time.Duration {
	e.mu.Lock()
	defer e.mu.Unlock()
	if t := e.waits.first(); t != nil {
		return time.Until(t.due)
	}
	return time.Hour
}

// put implements sink.
func (e *eventReader) put(ctx context.Context, r changeRow) (taken bool, err error) {
	key := changeKey{at: r.at, cid: string(r.cid)}
	e.mu.Lock()
	_, known := e.rows[key]
	e.mu.Unlock()
	if known {
		return false, nil
	}
	select {
	case e.slots <- struct{}{}:
	case <-ctx.Done():
		return false, ctx.Err()
	}
	e.mu.Lock()
	defer e.mu.Unlock()
	if len(e.rows) >= e.known {
		e.forgetDone(e.store.now())
	}
	row := newEventRow(r)
	e.rows[key] = row
	e.open.add(&row.change, len(e.slots))
	t := e.tasks[key.cid]
	if t == nil {
		t = &eventTask{cid: key.cid}
		e.tasks[key.cid] = t
	}
	t.rows = append(t.rows, row)
	if t.pending {
		t.tries = 0 // another write need not take as long
	}
	e.push(t)
	return true, nil
}

// push makes a task due. The caller holds the lock.
func (e *eventReader) push(t *eventTask) {
	if t.queued || t.busy {
		return
	}
	t.due, t.queued = time.Time{}, true
	e.queue = append(e.queue, t)
	e.signal()
}

func (e *eventReader) signal() {
	select {
	case e.more <- struct{}{}:
	default:
	}
}

// later makes a task due after a pause that grows up to the given one. The caller holds
// the lock.
func (e *eventReader) later(t *eventTask, longest time.Duration) {
	t.due = time.Now().Add(min(firstRetry<<min(t.tries, 16), longest))
	t.tries++
	e.waits.add(t)
}

// forget implements sink. What was read just now may have lacked rows that had run out by
// then: who receives events must learn of that gap, which only a new reader tells.
func (e *eventReader) forget(upTo time.Time) {
	e.mu.Lock()
	defer e.mu.Unlock()
	if e.store.now().Sub(e.read) > feedTTL {
		e.lapsed()
		return
	}
	e.read = upTo
	e.forgetDone(upTo)
}

// forgetDone is dispatcher.forgetDone.
func (e *eventReader) forgetDone(upTo time.Time) {
	for k, r := range e.rows {
		if r.done && !r.at.After(upTo) {
			delete(e.rows, k)
		}
	}
}

// oldest implements sink: the cursor stands where the events were handed on that are
// before it, and goes no further by itself.
func (e *eventReader) oldest() (time.Time, bool) {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.handed.Add(tick), true
}

// worked implements sink.
func (e *eventReader) worked() bool {
	e.mu.Lock()
	defer e.mu.Unlock()
	return e.unsaved
}

// saved implements sink.
func (e *eventReader) saved() {
	e.mu.Lock()
	defer e.mu.Unlock()
	e.unsaved = false
}

// recheck implements sink, as the dispatcher does.
func (e *eventReader) recheck() {
	e.mu.Lock()
	defer e.mu.Unlock()
	for _, t := range e.tasks {
		if t.pending && !t.due.IsZero() && slices.ContainsFunc(t.rows, func(r *eventRow) bool { return time.Since(r.taken) < recheckFor }) {
			e.push(t)
		}
	}
}
