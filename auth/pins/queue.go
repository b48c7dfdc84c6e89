package pins

import (
	"context"
	"sync"
	"time"
)

// queueSize is how much work an instance remembers. What finds no room the todo rows have.
const queueSize = 10_000

// work is a CID whose claims have changed.
type work struct {
	cid, tenant string
	key         key
	made        bool
	since       time.Time // by the monotonic clock
}

// queue is work that waits, by tenant: one of each tenant in turn, so that one who asks for
// much does not hold up the others. It is safe for concurrent use.
type queue struct {
	room  chan struct{} // one token for each that waits
	mu    sync.Mutex
	turns []string // tenants with work, whose turn it is first
	of    map[string][]work
}

func newQueue(size int) *queue {
	return &queue{room: make(chan struct{}, size), of: make(map[string][]work)}
}

// push adds work, if there is room. No tenant gets more than half of what is left.
func (q *queue) push(w work) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	waiting := q.of[w.tenant]
	if len(waiting) > (cap(q.room)-len(q.room))/2+1 {
		return false
	}
	select {
	case q.room <- struct{}{}:
	default:
		return false
	}
	if len(waiting) == 0 {
		q.turns = append(q.turns, w.tenant)
	}
	q.of[w.tenant] = append(waiting, w)
	return true
}

// len is how much waits.
func (q *queue) len() int { return len(q.room) }

// pop returns the next work, and waits for it. It ends with ctx.
func (q *queue) pop(ctx context.Context) (work, error) {
	select {
	case <-ctx.Done():
		return work{}, context.Cause(ctx)
	case <-q.room:
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	tenant := q.turns[0]
	w := q.of[tenant][0]
	q.turns = q.turns[1:]
	if rest := q.of[tenant][1:]; len(rest) > 0 {
		q.of[tenant] = rest
		q.turns = append(q.turns, tenant)
	} else {
		delete(q.of, tenant)
	}
	return w, nil
}
