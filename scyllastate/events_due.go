package scyllastate

import (
	"container/heap"
	"time"
)

// dueTasks gives back tasks in the order in which they are due. One that was put into the
// queue meanwhile, or is due at another time, is left out.
type dueTasks struct {
	queue dueQueue
	added uint64
}

// dueTask is a task and when it was to be due. Of two at once the one comes first that
// was added first.
type dueTask struct {
	task *eventTask
	at   time.Time
	n    uint64
}

func (d *dueTasks) add(t *eventTask) {
	d.added++
	heap.Push(&d.queue, dueTask{t, t.due, d.added})
}

// first is the task that is due next, nil if there is none.
func (d *dueTasks) first() *eventTask {
	for len(d.queue) > 0 {
		if next := d.queue[0]; next.task.due.Equal(next.at) {
			return next.task
		}
		heap.Pop(&d.queue)
	}
	return nil
}

// dueQueue implements heap.Interface.
type dueQueue []dueTask

func (q dueQueue) Len() int { return len(q) }
func (q dueQueue) Less(i, j int) bool {
	return q[i].at.Before(q[j].at) || q[i].at.Equal(q[j].at) && q[i].n < q[j].n
}
func (q dueQueue) Swap(i, j int) { q[i], q[j] = q[j], q[i] }
func (q *dueQueue) Push(x any)   { *q = append(*q, x.(dueTask)) } //nolint:forcetypeassert // only add pushes

func (q *dueQueue) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = dueTask{}
	*q = old[:len(old)-1]
	return last
}
