package sli

import (
	"context"
	"hash/maphash"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// maxLate bounds the late pins that are remembered until they end. Those before their
// deadline are as many as the tracker works on.
const maxLate = 1 << 16

// HolderOptions are what a Holder works with.
type HolderOptions struct {
	// Metrics are needed.
	Metrics *Metrics
	// Row reads the placement of this peer. It is needed.
	Row func(ctx context.Context, c api.Cid) (state.Placement, bool, error)
	// Lacks reports whether the IPFS daemon, if it answers, has nothing of the content,
	// not even the root, as Unprovided says of its error. It may be nil: then nothing is
	// known of content that IPFS is still looking for.
	Lacks func(ctx context.Context, c api.Cid) bool
	// Missed says that changes may have been lost, as they have for a peer that is new:
	// what is found without a row may be older than its being a holder, and is no event.
	Missed bool
}

// Holder counts for the peer that it is in, which tells it what becomes of pins. Its methods
// but Run do not wait: they hold one lock for a step in a map and a heap. It is safe for
// concurrent use, and calls for one CID MUST come in the order of what they tell. A nil
// *Holder does nothing.
type Holder struct {
	opts    HolderOptions
	metrics *Metrics

	mu    sync.Mutex
	pins  map[api.Cid]*event // those that have not ended, one of a CID
	due   events             // of these, those that are open
	late  events             // and those that are overdue
	ended endedEvents
	// doubts are those that are doubtful, or were, in the order in which they came.
	doubts []*event
	// sooner has a value when another one is due first, doubted when there is a doubt.
	sooner, doubted chan struct{}
}

// NewHolder returns nil, which does nothing, if there are no metrics.
func NewHolder(opts HolderOptions) *Holder {
	if opts.Metrics == nil {
		return nil
	}
	h := &Holder{
		opts: opts, metrics: opts.Metrics,
		pins:   make(map[api.Cid]*event),
		ended:  endedEvents{seed: maphash.MakeSeed(), now: make(map[uint64]struct{})},
		sooner: make(chan struct{}, 1), doubted: make(chan struct{}, 1),
	}
	opts.Metrics.holder.Store(h)
	return h
}

// Seen tells that the feed has told of a pin that this peer is to hold. It may be told
// again.
func (h *Holder) Seen(c api.Cid, rev state.Revision, traceparent string) {
	h.begin(c, rev, traceparent, true)
}

// Found tells that a pin that this peer is to hold was found, other than by the feed.
func (h *Holder) Found(c api.Cid, rev state.Revision) { h.begin(c, rev, "", false) }

func (h *Holder) begin(c api.Cid, rev state.Revision, traceparent string, told bool) {
	if h == nil {
		return
	}
	accepted, ok := acceptedAt(rev)
	h.mu.Lock()
	defer h.mu.Unlock()
	now := time.Now()
	if e := h.pins[c]; e != nil {
		if e.rev == rev {
			e.told = e.told || told
			return
		}
		if rev.Before(e.rev) {
			return // it was replaced before it came
		}
		h.leave(e, now)
	}
	if !ok || h.ended.has(c, rev) {
		return
	}
	e := &event{cid: c, rev: rev, trace: traceparent, told: told, accepted: accepted, seen: now}
	h.pins[c] = e
	if now.Before(accepted) {
		h.metrics.negative.Inc()
	}
	if e.age(now) >= Deadline {
		e.state = doubtful
		h.doubts = append(h.doubts, e)
		signal(h.doubted)
		return
	}
	h.due.add(e)
	if h.due.first() == e {
		signal(h.sooner)
	}
	if told {
		h.metrics.phases[noticed].Observe(e.age(now).Seconds())
	}
}

// Asked tells that the IPFS daemon is asked for a pin. The first time counts.
func (h *Holder) Asked(c api.Cid, rev state.Revision) {
	h.with(c, rev, func(e *event) {
		if !e.asked.IsZero() {
			return
		}
		e.asked = time.Now()
		if e.state != doubtful { // an earlier process may have asked long ago
			h.metrics.phases[queued].Observe(seconds(later(e.seen, e.accepted), e.asked))
		}
	})
}

// Failed tells of an error of the IPFS daemon, which is asked again.
func (h *Holder) Failed(c api.Cid, rev state.Revision, err error) {
	h.with(c, rev, func(e *event) { e.unprovided = Unprovided(err) })
}

// Pinned tells that it is noted durably that IPFS has the pin.
func (h *Holder) Pinned(c api.Cid, rev state.Revision) {
	h.with(c, rev, func(e *event) {
		now := time.Now()
		switch in := e.age(now); {
		case e.state == open && in <= Deadline:
			h.metrics.count(good, available, e.trace)
			h.ended.add(e, now)
		case e.state != overdue: // the deadline has passed a moment ago
			h.metrics.count(late, available, e.trace)
		}
		h.metrics.took(e.age(now), e.trace)
		if !e.asked.IsZero() {
			h.metrics.phases[fetching].Observe(seconds(later(e.asked, e.accepted), now))
		}
		h.forget(e)
	})
}

// Gone tells that this peer is not to hold the pin of a CID any more, as of a revision,
// which is zero when the pinset has forgotten the CID.
func (h *Holder) Gone(c api.Cid, rev state.Revision) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.pins[c]
	if e == nil || rev != (state.Revision{}) && rev.Before(e.rev) {
		return
	}
	h.leave(e, time.Now())
}

// with calls f with the event of a revision, if it has not ended, with the lock.
func (h *Holder) with(c api.Cid, rev state.Revision, f func(e *event)) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.pins[c]; e != nil && e.rev == rev {
		f(e)
	}
}

// leave ends an event without a pin. Of one that is doubtful an Acceptor has counted, as this
// peer was not alive at the deadline. The caller holds the lock.
func (h *Holder) leave(e *event, now time.Time) {
	if e.state == open {
		if e.age(now) < Deadline {
			h.metrics.count(cancelled, available, e.trace)
			h.ended.add(e, now)
		} else { // the deadline has passed a moment ago
			h.metrics.count(late, e.content(), e.trace)
		}
	}
	h.forget(e)
}

// forget takes an event out of all that has it, but the doubts. The caller holds the lock.
func (h *Holder) forget(e *event) {
	switch e.state {
	case open:
		h.due.remove(e)
	case overdue:
		h.late.remove(e)
	case doubtful:
	}
	delete(h.pins, e.cid)
}

// pending is how many events have not ended, and how long ago the oldest was accepted.
func (h *Holder) pending(now time.Time) (n int, oldest time.Duration) {
	if h == nil {
		return 0, 0
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	for _, e := range []*event{h.due.first(), h.late.first()} {
		if e != nil {
			oldest = max(oldest, e.age(now))
		}
	}
	return len(h.due) + len(h.late), oldest
}

// content is of which kind the content is, by what IPFS has said.
func (e *event) content() content {
	if e.unprovided {
		return noProviders
	}
	return available
}

// seconds are those from one time to another, 0 if that is before it.
func seconds(from, to time.Time) float64 { return max(0, to.Sub(from)).Seconds() }

func later(a, b time.Time) time.Time {
	if a.After(b) {
		return a
	}
	return b
}

func signal(c chan struct{}) {
	select {
	case c <- struct{}{}:
	default:
	}
}
