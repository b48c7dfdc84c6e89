package sli

import (
	"context"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	logging "github.com/ipfs/go-log/v2"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var logger = logging.Logger("sli")

const (
	// search is how long IPFS must have looked for content, of which it then has nothing,
	// before that counts as provided by nobody: Kubo finds the first block of what is
	// provided within seconds.
	search = 20 * time.Second
	// answerIn is by when after a deadline IPFS must have answered what it has. It is
	// counted without the answer then.
	answerIn = 3 * time.Second
	// doubtFor is for how long the tracker may read the row of an event in doubt, as it
	// does in most cases, before the Holder does.
	doubtFor = 2 * time.Second
	// readIn bounds a read of the database, readAgain and lastReadAgain the pause after
	// one that failed.
	readIn        = 10 * time.Second
	readAgain     = time.Second
	lastReadAgain = 30 * time.Second
)

// Run counts what is late when it is, until ctx ends.
func (h *Holder) Run(ctx context.Context) {
	if h == nil {
		return
	}
	var beside sync.WaitGroup
	defer beside.Wait()
	beside.Go(func() { h.readDoubts(ctx) })
	for {
		e, wait := h.pass()
		if e == nil {
			if !sleep(ctx, wait, h.sooner) {
				return
			}
			continue
		}
		h.metrics.count(late, h.find(ctx, e), e.trace)
	}
}

// pass takes an event whose deadline is over as late, and returns a copy of it. Without one
// it returns how long there is nothing to do.
func (h *Holder) pass() (*event, time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.due.first()
	if e == nil {
		return nil, time.Hour
	}
	if wait := time.Until(e.deadline()); wait > 0 {
		return nil, wait
	}
	copied := *e
	h.due.remove(e)
	h.keepLate(e)
	return &copied, 0
}

// keepLate remembers an event that was counted as late, or is about to be, until it ends.
// The caller holds the lock.
func (h *Holder) keepLate(e *event) {
	e.state = overdue
	if len(h.late) >= maxLate {
		delete(h.pins, e.cid)
		h.metrics.forgottenLate.Inc()
		return
	}
	h.late.add(e)
}

// find finds of which kind the content of a late event is. Nobody provides it if IPFS has
// said so, or if it has looked for long, answers, and has nothing. What waits for IPFS to be
// asked, or for an IPFS that does not answer, is taken to be available.
func (h *Holder) find(ctx context.Context, e *event) content {
	deadline := e.deadline()
	if e.unprovided || h.opts.Lacks == nil || e.asked.IsZero() || deadline.Sub(e.asked) < search {
		return e.content()
	}
	limit := deadline.Add(answerIn)
	if !time.Now().Before(limit) {
		return available
	}
	ctx, cancel := context.WithDeadline(ctx, limit)
	defer cancel()
	if h.opts.Lacks(ctx, e.cid) && ctx.Err() == nil {
		return noProviders
	}
	return available
}

// Doubtful reports whether it is doubtful whether an earlier process has pinned a CID: then
// its row is to be read, and told to Read, before it is written.
func (h *Holder) Doubtful(c api.Cid) bool {
	if h == nil {
		return false
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	e := h.pins[c]
	return e != nil && e.state == doubtful
}

// Read tells what the row of this peer says of a CID, as it was before this process has
// written it.
func (h *Holder) Read(c api.Cid, row state.Placement, there bool) {
	if h == nil {
		return
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if e := h.pins[c]; e != nil {
		h.settle(e, row, there)
	}
}

// settle ends the doubt about an event. The caller holds the lock.
func (h *Holder) settle(e *event, row state.Placement, there bool) {
	of := there && row.Rev == e.rev
	switch {
	case e.state != doubtful:
	case of && row.Status == state.PlacementPinned, !there && !e.told && h.opts.Missed:
		h.forget(e)
	case of && row.Updated.After(e.deadline()): // who wrote that has counted it
		h.keepLate(e)
	default:
		if of {
			e.unprovided = e.unprovided || unprovided(row.Error)
		}
		if e.told {
			h.metrics.phases[noticed].Observe(seconds(e.accepted, e.seen))
		}
		h.metrics.count(late, e.content(), e.trace)
		h.keepLate(e)
	}
}

// readDoubts reads the rows of events that stay in doubt, one after another, until ctx ends.
func (h *Holder) readDoubts(ctx context.Context) {
	pause := readAgain
	for {
		e, wait := h.nextDoubt()
		if e == nil {
			if !sleep(ctx, wait, h.doubted) {
				return
			}
			continue
		}
		err := h.readRow(ctx, e)
		if err == nil {
			pause = readAgain
			continue
		}
		state.Failure(err, logger.Warnf, logger.Debugf)("finding whether %s was pinned in time, next try in %s: %s", e.cid, pause, err)
		if !sleep(ctx, pause, nil) {
			return
		}
		pause = min(2*pause, lastReadAgain)
	}
}

// nextDoubt returns the first event that has been in doubt for long, or how long there is
// none.
func (h *Holder) nextDoubt() (*event, time.Duration) {
	h.mu.Lock()
	defer h.mu.Unlock()
	for len(h.doubts) > 0 {
		e := h.doubts[0]
		if e.state == doubtful && h.pins[e.cid] == e {
			wait := time.Until(e.seen.Add(doubtFor))
			if wait > 0 {
				return nil, wait
			}
			return e, 0
		}
		h.doubts[0] = nil
		h.doubts = h.doubts[1:]
	}
	h.doubts = nil
	return nil, time.Hour
}

func (h *Holder) readRow(ctx context.Context, e *event) error {
	ctx, cancel := context.WithTimeout(ctx, readIn)
	defer cancel()
	row, there, err := h.opts.Row(ctx, e.cid)
	if err != nil {
		return err
	}
	h.mu.Lock()
	defer h.mu.Unlock()
	if h.pins[e.cid] == e {
		h.settle(e, row, there)
	}
	return nil
}

// sleep waits, or until there is a value, and returns false if ctx ends before.
func sleep(ctx context.Context, d time.Duration, sooner <-chan struct{}) bool {
	timer := time.NewTimer(d)
	defer timer.Stop()
	select {
	case <-ctx.Done():
		return false
	case <-timer.C:
	case <-sooner:
	}
	return true
}
