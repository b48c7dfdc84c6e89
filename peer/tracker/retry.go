package tracker

import (
	"container/heap"
	"context"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

const (
	// firstRetry is the pause before something that failed is tried again. It
	// grows up to lastRetry for IPFS, up to lastNoteRetry for the database.
	firstRetry    = time.Second
	lastRetry     = 10 * time.Minute
	lastNoteRetry = 30 * time.Second
	// maxTries is how often an unpin is tried before it is left to a scan.
	maxTries = 12
	// maxFailed bounds what has failed and is remembered. The rest is found by
	// scans, which end when all that is left fits.
	maxFailed = 1 << 16
	// patience is how long a change waits for the work to end before there is a
	// row for it, and maxWaiting how many may.
	patience   = 5 * time.Second
	maxWaiting = 4096
)

// fail keeps an op for another try, or leaves it to a scan.
func (t *Tracker) fail(o *op, p phase, wait time.Duration) {
	if t.counts[pinFailed].Load()+t.counts[unpinFailed].Load()+t.counts[unpinKept].Load() >= maxFailed || p == unpinFailed && o.attempts%maxTries == 0 {
		t.left.Add(1)
		if p == unpinKept {
			t.leftKept.Add(1)
		}
		t.enter(o, idle)
		return
	}
	t.enter(o, p)
	t.again(o, wait)
}

// again looks at an op after a pause, if it has no other work by then.
func (t *Tracker) again(o *op, wait time.Duration) {
	t.retries.add(retry{at: time.Now().Add(wait), ticket: ticket{o.cid, o.work}})
}

// retryAll looks at what is due until the tracker ends.
func (t *Tracker) retryAll() {
	for {
		due, ok := t.retries.next(t.ctx)
		if !ok {
			return
		}
		t.with(due.cid, func(o *op, e *effects) {
			if o.work != due.work {
				return
			}
			o.blocked = false
			t.retry(o)
			t.advance(o, e)
		})
	}
}

// retry lets what has failed be tried again.
func (t *Tracker) retry(o *op) {
	switch o.phase {
	case pinFailed:
		t.renew(o, pinQueued)
	case unpinFailed, unpinKept: // who else has it may have changed
		t.renew(o, looking)
	}
}

// retry is when an op is looked at again.
type retry struct {
	at time.Time
	ticket
	// look is the pause before IPFS is asked what it has, for looks.
	look time.Duration
}

// retries gives them back in the order of their times. It is safe for concurrent
// use.
type retries struct {
	mu    sync.Mutex
	queue retryQueue
	// sooner has a value when another one has become the first.
	sooner chan struct{}
}

func (r *retries) add(x retry) {
	r.mu.Lock()
	defer r.mu.Unlock()
	heap.Push(&r.queue, x)
	if r.queue[0] == x {
		select {
		case r.sooner <- struct{}{}:
		default:
		}
	}
}

func (r *retries) len() int {
	r.mu.Lock()
	defer r.mu.Unlock()
	return len(r.queue)
}

// next waits until one is due. It returns false when ctx ends.
func (r *retries) next(ctx context.Context) (retry, bool) {
	for {
		wait := time.Hour
		r.mu.Lock()
		if len(r.queue) > 0 {
			wait = time.Until(r.queue[0].at)
		}
		if wait <= 0 {
			x, _ := heap.Pop(&r.queue).(retry)
			r.mu.Unlock()
			return x, true
		}
		r.mu.Unlock()
		timer := time.NewTimer(wait)
		select {
		case <-ctx.Done():
			timer.Stop()
			return retry{}, false
		case <-r.sooner:
			timer.Stop()
		case <-timer.C:
		}
	}
}

// retryQueue implements heap.Interface.
type retryQueue []retry

func (q retryQueue) Len() int           { return len(q) }
func (q retryQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q retryQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *retryQueue) Push(x any)        { *q = append(*q, x.(retry)) } //nolint:forcetypeassert // only add pushes

func (q *retryQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	*q = old[:len(old)-1]
	return last
}

// waiter is a change that waits for the work on its CID to end.
type waiter struct {
	until  time.Time
	cid    api.Cid
	number uint64
}

// waiters are in the order of their times: all wait equally long. It is safe for
// concurrent use.
type waiters struct {
	mu     sync.Mutex
	queue  []waiter
	number uint64
	waits  int // those that have not ended
	more   chan struct{}
}

// wait lets the change of an op wait. It returns false when too many do.
func (t *Tracker) wait(o *op) bool {
	t.stopWaiting(o)
	w := &t.waiters
	w.mu.Lock()
	defer w.mu.Unlock()
	if w.waits >= maxWaiting {
		return false
	}
	w.waits++
	w.number++
	o.waiter = w.number
	w.queue = append(w.queue, waiter{time.Now().Add(patience), o.cid, o.waiter})
	if len(w.queue) == 1 {
		select {
		case w.more <- struct{}{}:
		default:
		}
	}
	return true
}

func (t *Tracker) stopWaiting(o *op) {
	if o.waiter == 0 {
		return
	}
	o.waiter = 0
	t.waiters.mu.Lock()
	defer t.waiters.mu.Unlock()
	t.waiters.waits--
}

// endWaiting asks for rows for the changes that have waited long enough, until the
// tracker ends.
func (t *Tracker) endWaiting() {
	w := &t.waiters
	for {
		w.mu.Lock()
		var first waiter
		if len(w.queue) > 0 {
			first = w.queue[0]
		}
		w.mu.Unlock()
		wait := time.Hour
		if first.number != 0 {
			wait = time.Until(first.until)
		}
		if wait > 0 {
			timer := time.NewTimer(wait)
			select {
			case <-t.ctx.Done():
				timer.Stop()
				return
			case <-w.more:
				timer.Stop()
			case <-timer.C:
			}
			continue
		}
		w.mu.Lock()
		w.queue = w.queue[1:]
		w.mu.Unlock()
		t.with(first.cid, func(o *op, e *effects) {
			if o.waiter == first.number {
				t.stopWaiting(o)
				o.needRow = true
				t.advance(o, e)
			}
		})
	}
}
