package scyllastate

import "container/heap"

// openChanges orders changes by their time. Those that are done leave it when
// they come to the front.
type openChanges struct{ queue changeQueue }

func (o *openChanges) add(c *change) { heap.Push(&o.queue, c) }

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
