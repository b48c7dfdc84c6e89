package scyllastate

import (
	"cmp"
	"context"
	"errors"
	"slices"
	"sync"
	"testing"
	"testing/synctest"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// feedRig is a feed over tables in memory, in the bubble of a test.
type feedRig struct {
	tables
	t     *testing.T
	store *Store
	feed  *Feed
	d     *dispatcher
	tail  *tail

	mu      sync.Mutex
	rows    map[string][]changeRow             // by feed, in order
	revs    map[string]gocql.UUID              // of the pins, by CID
	pins    map[string]row                     // by CID, in place of those without content
	down    map[string]bool                    // pins that cannot be read, by CID
	fails   func(feed string, slot int64) bool // whether a read fails, by its first feed
	takes   time.Duration                      // how long that takes
	reads   map[string]int                     // by the first feed of the statement
	read    int                                // rows
	looks   int                                // at pins
	saves   []time.Time                        // the positions of cursors
	fenced  []time.Time                        // when rows were
	hangs   string                             // the feed to which nothing can be appended
	slow    time.Duration                      // how long an append takes, and a fence
	end     func()                             // ends the feed
	handled []state.Change
}

const ownName = "self"

// rightClock is one that counts as right.
func rightClock() *clock {
	now := time.Now()
	return &clock{bound: time.Minute, wall: func() time.Time { return now }, steady: func() time.Duration { return 0 }, wallAt: now, suspect: make(chan struct{}, 1)}
}

// newFeedRig reads a feed with handle until the test ends. Before it begins it calls
// prepare.
func newFeedRig(t *testing.T, handle func(*feedRig, state.Change) error, prepare ...func(*feedRig)) *feedRig {
	t.Helper()
	start := time.Now()
	r := newTablesRig(t)
	r.feed = &Feed{store: r.store, name: ownName, shared: sharedFeeds(), now: time.Now, position: start, opened: start}
	for _, f := range prepare {
		f(r)
	}
	r.d = newDispatcher(r.feed, func(_ context.Context, ch state.Change) error {
		r.mu.Lock()
		r.handled = append(r.handled, ch)
		r.mu.Unlock()
		return handle(r, ch)
	})
	r.tail = newTail(r.feed, r.d)
	ctx, cancel := context.WithCancel(t.Context())
	var running sync.WaitGroup
	r.d.start(ctx, &running)
	running.Go(func() { r.feed.readOn(ctx, r.tail) })
	r.end = func() {
		cancel()
		running.Wait()
	}
	t.Cleanup(r.end)
	time.Sleep(time.Millisecond) // what is written is newer than the position
	return r
}

// newTablesRig has the tables, and nobody who reads them.
func newTablesRig(t *testing.T) *feedRig {
	t.Helper()
	r := &feedRig{t: t, rows: make(map[string][]changeRow), revs: make(map[string]gocql.UUID), reads: make(map[string]int)}
	r.store = &Store{
		tables: r, lim: production(), now: time.Now, random: func(d time.Duration) time.Duration { return d / 2 },
		goLive: func(context.Context) error { return nil }, at: func(point, *write) {},
		clock: rightClock(),
	}
	deadlines, err := newDeadlines(r.store.lim)
	must(t, err)
	r.store.deadlines = deadlines
	return r
}

// write appends a change of a CID to a feed, which has been made.
func (r *feedRig) write(feed, label string) { r.writeAt(feed, label, time.Now()) }

// writeAt is write for one whose clock is at a moment.
func (r *feedRig) writeAt(feed, label string, moment time.Time) {
	r.mu.Lock()
	defer r.mu.Unlock()
	c := statetest.Cid(label)
	at := newUUID(moment)
	rows := r.rows[feed]
	i, _ := slices.BinarySearchFunc(rows, moment, func(row changeRow, t time.Time) int { return cmp.Or(row.at.Time().Compare(t), -1) })
	r.rows[feed] = slices.Insert(rows, i, changeRow{at: at, cid: c.Bytes(), rev: at, prev: r.revs[string(c.Bytes())], kind: kindPin})
	r.revs[string(c.Bytes())] = at
}

func (r *feedRig) readChanges(ctx context.Context, feeds []string, slot int64, after, upTo time.Time, f func(changeRow) error) error {
	r.mu.Lock()
	r.reads[feeds[0]]++
	if r.fails != nil && r.fails(feeds[0], slot) {
		takes := r.takes
		r.mu.Unlock()
		time.Sleep(takes)
		return errors.New("it cannot be read")
	}
	var found []changeRow
	for _, feed := range feeds {
		rows := r.rows[feed]
		first, _ := slices.BinarySearchFunc(rows, after, func(row changeRow, t time.Time) int { return row.at.Time().Compare(t) })
		for _, row := range rows[first:] {
			if at := row.at.Time(); slotOf(at) == slot && at.After(after) && !at.After(upTo) {
				found = append(found, row)
			}
		}
	}
	r.read += len(found)
	r.mu.Unlock()
	for _, row := range found {
		if err := f(row); err != nil {
			return err
		}
	}
	return ctx.Err()
}

func (r *feedRig) readPin(_ context.Context, c api.Cid, _ gocql.Consistency) (row, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looks++
	if r.down[string(c.Bytes())] {
		takes := r.takes
		r.mu.Unlock()
		time.Sleep(takes)
		r.mu.Lock()
		return row{}, errors.New("it cannot be read")
	}
	if pin, there := r.pins[string(c.Bytes())]; there {
		return pin, nil
	}
	return row{rev: r.revs[string(c.Bytes())]}, nil
}

// readPins fails as a whole where one cannot be read.
func (r *feedRig) readPins(ctx context.Context, cids []api.Cid) (map[string]row, error) {
	found := make(map[string]row)
	for _, c := range cids {
		pin, err := r.readPin(ctx, c, gocql.Quorum)
		if err != nil {
			return nil, err
		}
		if !pin.absent() {
			found[string(c.Bytes())] = pin
		}
	}
	r.mu.Lock()
	defer r.mu.Unlock()
	r.looks -= len(cids) - 1 // it is one statement
	return found, nil
}

func (r *feedRig) moveCursor(_ context.Context, _, _ string, to cursor) (bool, error) {
	r.mu.Lock()
	defer r.mu.Unlock()
	r.saves = append(r.saves, to.position)
	return true, nil
}

func (r *feedRig) readCursor(context.Context, string, string) (cursor, error) {
	return cursor{position: time.Now()}, nil
}

// appendChanges is what a fence does first.
func (r *feedRig) appendChanges(ctx context.Context, rows []intent, at time.Time) error {
	r.wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	if feed := rows[0].Feed; feed == r.hangs {
		r.mu.Unlock()
		<-ctx.Done()
		r.mu.Lock()
		return ctx.Err()
	}
	for _, i := range rows {
		made := changeRow{at: newUUID(at), cid: i.Cid, rev: i.Rev, kind: i.Kind}
		if i.Prev != nil {
			made.prev = *i.Prev
		}
		r.rows[i.Feed] = append(r.rows[i.Feed], made)
	}
	return nil
}

func (r *feedRig) fence(ctx context.Context, w *write) (bool, row, error) { return r.swap(ctx, w) }

// swap is what a fence does then.
func (r *feedRig) swap(_ context.Context, w *write) (bool, row, error) {
	r.wait()
	r.mu.Lock()
	defer r.mu.Unlock()
	key := string(w.cid.Bytes())
	if now := r.pins[key]; now.rev != w.old.rev {
		return false, row{rev: now.rev}, nil
	}
	r.pins[key] = row{rev: w.rev, prev: w.old.rev, pin: w.old.pin}
	r.fenced = append(r.fenced, time.Now())
	return true, row{}, nil
}

// wait lets a request take its time.
func (r *feedRig) wait() {
	r.mu.Lock()
	slow := r.slow
	r.mu.Unlock()
	time.Sleep(slow)
}

// calls are the changes of a CID that were handled.
func (r *feedRig) calls(label string) []state.Change {
	r.mu.Lock()
	defer r.mu.Unlock()
	return slices.DeleteFunc(slices.Clone(r.handled), func(ch state.Change) bool { return ch.Cid != statetest.Cid(label) })
}

// passed tells whether the cursor may be at a moment.
func (r *feedRig) passed(at time.Time) bool {
	time.Sleep(2 * r.store.lim.window())
	synctest.Wait()
	return !r.tail.position().Before(at)
}

// goesOn is a handler whose work does not end by itself.
func goesOn(*feedRig, state.Change) error { return state.ErrLater }
