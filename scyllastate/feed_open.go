package scyllastate

import (
	"container/heap"
	"slices"
)

// mostDone is how many changes that are done openChanges may have beside as many as
// are not.
const mostDone = 1 << 10

// openChanges orders changes by their time. Those that are done leave it when
// they come to the front, or when they are too many.
type openChanges struct{ queue changeQueue }

// add takes a change. open is how many are not done, with this one.
func (o *openChanges) add(c *change, open int) {
	heap.Push(&o.queue, c)
	if len(o.queue) > 2*open+mostDone {
		o.queue = slices.DeleteFunc(o.queue, func(c *change) bool { return c.done })
		heap.Init(&o.queue)
	}
}

// oldest returns the oldest change that is not done, nil when all are.
func (o *openChanges) oldest() *change {
	for len(o.queue) > 0 && o.queue[0].done {
		heap.Pop(&o.queue)
	}
	if len(o.queue) == 0 {
		return nil
	}
	return o.queue[0]
}

// changeQueue implements heap.Interface.
type changeQueue []*change

func (q changeQueue) Len() int           { return len(q) }
func (q changeQueue) Less(i, j int) bool { return q[i].at.Before(q[j].at) }
func (q changeQueue) Swap(i, j int)      { q[i], q[j] = q[j], q[i] }
func (q *changeQueue) Push(x any)        { *q = append(*q, x.(*change)) } //nolint:forcetypeassert // only add pushes

func (q *changeQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return last
}
