package tracker

import (
	"context"
	"errors"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// ErrFullQueue is returned when a queue has no room for the work that somebody asks for.
// The text is upstream's.
var ErrFullQueue = errors.New("pin/unpin operation queue is full. Try increasing max_pin_queue_size")

// ticket is the place of an op in a queue. It is void once the op has other work.
type ticket struct {
	cid  api.Cid
	work uint64
}

// lane is one queue.
type lane int

const (
	unpins   lane = iota
	priority      // pins that are new and were not tried often
	normal
	lanes
)

// queue hands tickets to the workers: those of the first of their lanes first.
// It is safe for concurrent use.
type queue struct {
	mu     sync.Mutex
	more   *sync.Cond
	lanes  [lanes][]ticket
	closed bool
}

func newQueue() *queue {
	q := new(queue)
	q.more = sync.NewCond(&q.mu)
	return q
}

func (q *queue) push(l lane, t ticket) {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.lanes[l] = append(q.lanes[l], t)
	q.more.Broadcast()
}

// pop waits for a ticket in one of the lanes. It returns false when the queue is
// closed.
func (q *queue) pop(from ...lane) (ticket, bool) {
	q.mu.Lock()
	defer q.mu.Unlock()
	for !q.closed {
		for _, l := range from {
			if waiting := q.lanes[l]; len(waiting) > 0 {
				t := waiting[0]
				q.lanes[l] = waiting[1:]
				return t, true
			}
		}
		q.more.Wait()
	}
	return ticket{}, false
}

func (q *queue) close() {
	q.mu.Lock()
	defer q.mu.Unlock()
	q.closed = true
	q.more.Broadcast()
}

// laneOf is the lane of a pin, nil for an unpin: upstream's rule, by the age of the
// pin and how often it was tried.
func (t *Tracker) laneOf(pin *api.Pin, attempts int) lane {
	conf := t.opts.Config
	switch {
	case pin == nil:
		return unpins
	case time.Now().Before(pin.Timestamp.Add(conf.PriorityPinMaxAge)) && attempts <= conf.PriorityPinMaxRetries:
		return priority
	default:
		return normal
	}
}

// full reports whether the lane of a new pin, or of an unpin, has no room.
func (t *Tracker) full(pin *api.Pin) bool {
	if !t.holds(pin) {
		pin = nil
	}
	return t.fullLane(t.laneOf(pin, 0))
}

func (t *Tracker) fullLane(l lane) bool {
	return t.queued[l].Load()+t.unqueued() >= int64(t.opts.Config.MaxPinQueueSize)
}

// unqueued is how many ops will be in a lane, of which nobody knows so far in which, or
// whose row is to be read or written first.
func (t *Tracker) unqueued() int64 {
	n := t.counts[looking].Load() + t.counts[pinQueued].Load() + t.counts[unpinDeciding].Load() + t.counts[unpinQueued].Load()
	for l := range t.queued {
		n -= t.queued[l].Load()
	}
	return max(n, 0) // they change meanwhile
}

// room waits until the lane of a new pin, or of an unpin, has room, and few ops wait for
// the database.
func (t *Tracker) room(ctx context.Context, pin *api.Pin) error {
	for {
		pause := roomEvery
		switch {
		case t.noting.Load() >= maxNoting:
			pause = notersEvery
		case !t.full(pin):
			return ctx.Err()
		}
		select {
		case <-time.After(pause):
		case <-ctx.Done():
			return ctx.Err()
		}
	}
}

const (
	// roomEvery is how often a scan looks whether there is room in a queue.
	roomEvery = time.Second
	// notersEvery is how often it looks whether the database has come behind it.
	notersEvery = 10 * time.Millisecond
)

// enqueue puts an op into its queue, unless it is there, or a worker that was
// cancelled has not returned. It may be more than the queue is to hold: those who
// bring work ask before.
func (t *Tracker) enqueue(o *op) {
	if o.ticket || o.kubo {
		return
	}
	o.ticket = true
	// Stock counts the try that is about to be made.
	o.lane = t.laneOf(o.want.pin, o.attempts)
	t.queued[o.lane].Add(1)
	t.queue.push(o.lane, ticket{o.cid, o.work})
}

// dropTicket takes an op out of its queue.
func (t *Tracker) dropTicket(o *op) {
	if o.ticket {
		o.ticket = false
		t.queued[o.lane].Add(-1)
	}
}
