package limits

import (
	"context"
	"fmt"
	"sync"
)

// Queue is work that waits, first in first out within a tenant and in turn between
// tenants. An item that waits already is not put in again; one that was popped is.
//
// The same item may wait for several tenants: none of them is to wait for the turn of
// another.
type Queue[T comparable] struct {
	perTenant int
	// waiting has one token for each item.
	waiting chan struct{}

	mu sync.Mutex
	// lines are those of the tenants with items, none of them empty.
	lines map[string]*line[T]
	// turns are the same, the next first.
	turns []*line[T]
}

// line is what waits for one tenant.
type line[T comparable] struct {
	tenant string
	items  []T
	known  map[T]struct{}
}

// NewQueue returns an empty queue. At most perTenant items wait for one tenant, and at
// most total for all: so many tenants can fill it together as perTenant fits into total.
func NewQueue[T comparable](perTenant, total int) (*Queue[T], error) {
	if perTenant < 1 || total < perTenant {
		return nil, fmt.Errorf("%d items for one tenant and %d for all are no bounds of a queue", perTenant, total)
	}
	return &Queue[T]{perTenant: perTenant, waiting: make(chan struct{}, total), lines: make(map[string]*line[T])}, nil
}

// Push puts an item in. It returns false, and does nothing, if too many wait. It never
// blocks.
func (q *Queue[T]) Push(tenant string, item T) bool {
	q.mu.Lock()
	defer q.mu.Unlock()
	l, has := q.lines[tenant]
	if has {
		if _, waits := l.known[item]; waits {
			return true
		}
		if len(l.items) == q.perTenant {
			return false
		}
	}
	select {
	case q.waiting <- struct{}{}:
	default:
		return false
	}
	if !has {
		l = &line[T]{tenant: tenant, known: make(map[T]struct{})}
		q.lines[tenant] = l
		q.turns = append(q.turns, l)
	}
	l.items = append(l.items, item)
	l.known[item] = struct{}{}
	return true
}

// Pop takes the next item out, and waits for one until ctx ends, with whose error it
// returns.
func (q *Queue[T]) Pop(ctx context.Context) (tenant string, item T, err error) {
	if err := ctx.Err(); err != nil {
		return "", item, err
	}
	select {
	case <-q.waiting:
	case <-ctx.Done():
		return "", item, ctx.Err()
	}
	q.mu.Lock()
	defer q.mu.Unlock()
	var none T
	l := q.turns[0] // there is one, as there was a token
	q.turns[0], q.turns = nil, q.turns[1:]
	item = l.items[0]
	l.items[0], l.items = none, l.items[1:]
	delete(l.known, item)
	if len(l.items) == 0 {
		delete(q.lines, l.tenant)
	} else {
		q.turns = append(q.turns, l)
	}
	return l.tenant, item, nil
}

// Len is how many items wait.
func (q *Queue[T]) Len() int {
	q.mu.Lock()
	defer q.mu.Unlock()
	return len(q.waiting)
}
