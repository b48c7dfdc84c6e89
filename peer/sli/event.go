package sli

import (
	"container/heap"
	"hash/maphash"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// eventState is what is known of an event that has not ended.
type eventState uint8

const (
	// open is before its deadline.
	open eventState = iota
	// doubtful was over its deadline when this process learnt of it: it may have ended
	// in an earlier one, which the row tells.
	doubtful
	// overdue is late, and was counted.
	overdue
)

// event is one revision of a pin at this holder, until it has ended. It is guarded by the
// lock of its Holder.
type event struct {
	cid   api.Cid
	rev   state.Revision
	trace string
	state eventState
	// told is set if the feed has told of it: else it was found.
	told bool
	// unprovided is set if IPFS has said that nobody provides the content.
	unprovided bool
	// accepted is by the clock of who accepted it, seen and asked, which is zero before
	// IPFS was asked, are by this one.
	accepted, seen, asked time.Time
	at                    int // its place in the queue that has it
}

func (e *event) deadline() time.Time { return e.accepted.Add(Deadline) }

// age is how long ago it was accepted, 0 if it will be only.
func (e *event) age(now time.Time) time.Duration { return max(0, now.Sub(e.accepted)) }

// events are in the order of their acceptance, which is that of their deadlines.
type events []*event

func (q *events) add(e *event)    { heap.Push(q, e) }
func (q *events) remove(e *event) { heap.Remove(q, e.at) }

// first returns nil if there is none.
func (q events) first() *event {
	if len(q) == 0 {
		return nil
	}
	return q[0]
}

// Len, Less, Swap, Push and Pop implement heap.Interface.
func (q events) Len() int           { return len(q) }
func (q events) Less(i, j int) bool { return q[i].accepted.Before(q[j].accepted) }

func (q events) Swap(i, j int) {
	q[i], q[j] = q[j], q[i]
	q[i].at, q[j].at = i, j
}

func (q *events) Push(x any) {
	e := x.(*event) //nolint:forcetypeassert // only add pushes
	e.at = len(*q)
	*q = append(*q, e)
}

func (q *events) Pop() any {
	old := *q
	last := old[len(old)-1]
	old[len(old)-1] = nil
	*q = old[:len(old)-1]
	return last
}

// endedEvents are those that have ended before their deadlines, and are not begun again
// when the feed repeats what it has told. It keeps each until its deadline, after which the
// row is asked, by a hash: of a billion, two may be taken for one.
type endedEvents struct {
	seed        maphash.Seed
	now, before map[uint64]struct{}
	turned      time.Time
}

type eventKey struct {
	cid api.Cid
	rev state.Revision
}

func (s *endedEvents) add(e *event, now time.Time) {
	if now.Sub(s.turned) >= Deadline {
		s.before, s.now, s.turned = s.now, make(map[uint64]struct{}), now
	}
	s.now[s.hash(e.cid, e.rev)] = struct{}{}
}

func (s *endedEvents) has(c api.Cid, rev state.Revision) bool {
	hash := s.hash(c, rev)
	_, lately := s.now[hash]
	_, before := s.before[hash]
	return lately || before
}

func (s *endedEvents) hash(c api.Cid, rev state.Revision) uint64 {
	return maphash.Comparable(s.seed, eventKey{c, rev})
}
