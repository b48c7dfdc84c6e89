package tracker

import (
	"context"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// phase is how far the work on a CID has come.
type phase uint8

const (
	// idle is an op without work: it goes when nobody waits for it.
	idle phase = iota
	// looking reads the pin, to find what is to be done.
	looking
	// pinQueued waits for a worker, or for the one that was cancelled to return.
	pinQueued
	pinning
	// pinNoting writes the row that says what came of it.
	pinNoting
	// pinFailed is noted and tried again later.
	pinFailed
	// unpinDeciding finds whether anything is to be undone, and notes that it will.
	unpinDeciding
	unpinQueued
	unpinning
	// unpinNoting removes the row.
	unpinNoting
	unpinFailed
	// unpinKept is content that too few others have: they are counted again later.
	unpinKept
	phases
)

// wanted is what is to become of a CID, as of a revision of its pin.
type wanted struct {
	// pin is nil if this peer is not to hold it. Then given is the pin that others
	// are to hold instead, nil if nobody is.
	pin   *api.Pin
	given *api.Pin
	rev   state.Revision
	trace string
	// done ends the change that brought it, nil if none did or it has ended. first
	// is set if that, or one that has not ended either, has made the pin: see
	// state.Change.First.
	done  func(error)
	first bool
}

// op is the work on one CID. It is guarded by the lock of its bucket.
type op struct {
	cid   api.Cid
	phase phase
	// since is when the phase began.
	since time.Time
	want  wanted
	// next came while the row was read or written, and counts from then on.
	next *wanted
	// work counts what is to be done anew: a ticket or a worker of an earlier
	// number is of no use.
	work uint64

	// busy is set while a goroutine reads or writes for the CID. There is one at a
	// time: rows are written in the order of the decisions.
	busy bool
	// blocked is set while the database is left alone after an error.
	blocked bool
	tries   int // errors of the database in sequence

	// ticket is set while the op is in a queue, kubo while a worker is at it.
	ticket, kubo bool
	cancel       context.CancelFunc
	// outcome is what came of the work, to be noted.
	outcome *outcome

	row rowKnown
	// unsure is set if a write of the row has failed: it may yet be made, unless a
	// later one is.
	unsure bool
	// forgotten is the revision that the row has of a pin that the pinset has forgotten.
	forgotten state.Revision
	// waiter is the number under which the change waits for the work to end, 0 if
	// it does not; needRow asks for a row before, so that the change can end.
	waiter  uint64
	needRow bool
	// asked is the depth to which IPFS was asked to pin it since a row named one, nil
	// if it was not asked.
	asked *api.PinDepth
	// unpassed is set if an earlier process may have asked it.
	unpassed bool
	// doubt is set if IPFS may yet do what was cancelled, or what it did not answer.
	doubt bool
	// unpins is when it was found that this may be an unpin, also one that an earlier
	// process has asked for; the zero time if it is none. An unpin waits for the end
	// of a garbage collection. IPFS is not asked for a pin before: see settled.
	unpins time.Time

	// owed is set while only this process knows that there is work: a comparison has
	// found it, and the row says that all is done.
	owed bool

	attempts int
	// counted is how often too few others had it.
	counted int
	lane    lane
	err     string
}

// outcome is what came of the work of IPFS.
type outcome struct {
	err error
	// depth is that to which IPFS may have pinned it, nil if it is not known what
	// IPFS has done: then the deepest that it was asked for.
	depth *api.PinDepth
	// unpins is set if it may yet unpin.
	unpins bool
}

// bucket has the ops of the CIDs of one bucket.
type bucket struct {
	mu  sync.Mutex
	ops map[api.Cid]*op
}

// effects are to be done when the lock of a bucket is free.
type effects []func()

func (e *effects) add(f func()) { *e = append(*e, f) }

// with calls f with the op of a CID, a new idle one if there is none, and then does
// what f asks for. An op that is idle after that goes, and its change has ended.
func (t *Tracker) with(c api.Cid, f func(o *op, e *effects)) {
	b := &t.buckets[state.Bucket(c)]
	var e effects
	b.mu.Lock()
	o := b.ops[c]
	if o == nil {
		o = &op{cid: c}
		if b.ops == nil {
			b.ops = make(map[api.Cid]*op)
		}
		b.ops[c] = o
	}
	f(o, &e)
	t.settleOwed(o)
	if o.phase == idle && !o.busy {
		t.end(o, &e)
		if !o.kubo {
			delete(b.ops, c)
		}
	}
	b.mu.Unlock()
	for _, do := range e {
		do()
	}
}

// end ends the change that brought what is wanted.
func (t *Tracker) end(o *op, e *effects) {
	t.stopWaiting(o)
	o.needRow = false
	if done := o.want.done; done != nil {
		o.want.done = nil
		e.add(func() { done(nil) })
	}
}

// enter begins a phase. The caller holds the lock.
func (t *Tracker) enter(o *op, p phase) {
	if o.phase == p {
		return
	}
	t.counts[o.phase].Add(-1)
	t.counts[p].Add(1)
	o.phase, o.since = p, time.Now()
}
