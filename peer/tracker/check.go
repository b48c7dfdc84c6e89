package tracker

import (
	"context"
	"errors"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// checkAgain is how many other buckets come before one that could not be checked.
const checkAgain = 64

// checkAll compares one bucket after another with pinset and IPFS until ctx ends.
func (t *Tracker) checkAll(ctx context.Context) {
	every := t.opts.CheckEvery
	if every <= 0 {
		logger.Infof("pins are not compared with IPFS: check_every is 0s")
		return
	}
	logger.Infof("all pins are compared with IPFS every %s", every)
	r := newRounds(time.Now(), every)
	ticker := time.NewTicker(r.step / 2)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			if now.Before(r.due) {
				continue
			}
			err := t.check(ctx, r.todo[0])
			if ctx.Err() != nil {
				return
			}
			r.checked(time.Now(), err)
		}
	}
}

// check compares one bucket with pinset and IPFS.
func (t *Tracker) check(ctx context.Context, bucket int) error {
	s := &scanner{t: t, unheld: true, all: true, check: true}
	rows := tally{held: &t.held, bucket: bucket, begun: true}
	err := t.opts.Store.ListBucket(ctx, t.opts.Self, bucket, func(own state.Own) error {
		rows.add(own)
		return s.take(ctx, own)
	})
	if err == nil {
		rows.end()
		err = s.flush(ctx)
	}
	return err
}

// rounds say which bucket is to be checked next, and when. Each is due once in a while
// that is given. When they are behind, because checks fail or take long, they go on
// twice as fast, or as fast as checks are made.
type rounds struct {
	every, step time.Duration
	// todo are all buckets, in the order in which they are checked. One that cannot be
	// comes again behind some others, so that it holds up none of them.
	todo []int
	due  time.Time // of the first
	// began is when this round did, of which done buckets are checked. It was told that
	// it takes too long if late is set.
	began time.Time
	done  int
	late  bool
	// failing is set after a check that failed.
	failing bool
}

// newRounds begins with the bucket that the time tells, so that a peer that starts again
// and again comes to all of them.
func newRounds(now time.Time, every time.Duration) *rounds {
	r := &rounds{every: every, step: every / state.Buckets, todo: make([]int, state.Buckets), due: now, began: now}
	first := int(now.UnixNano() / int64(r.step) % state.Buckets)
	for i := range r.todo {
		r.todo[i] = (first + i) % state.Buckets
	}
	return r
}

// checked takes what came of the check of the first bucket.
func (r *rounds) checked(now time.Time, err error) {
	if !r.late && now.Sub(r.began) > r.every+r.step {
		r.late = true
		logger.Warnf("comparing all pins with IPFS takes longer than %s: %d of %d buckets are done", r.every, r.done, state.Buckets)
	}
	bucket, others := r.todo[0], len(r.todo)-1
	if err != nil {
		others = checkAgain
		r.failed(bucket, err)
	} else {
		r.due = r.due.Add(r.step)
		r.done++
	}
	r.failing = err != nil
	r.todo = slices.Insert(r.todo[1:], others, bucket)
	if oldest := now.Add(-r.every); r.due.Before(oldest) {
		r.due = oldest // all of them are due
	}
	if r.done == state.Buckets {
		r.began, r.done, r.late = now, 0, false
	}
}

// failed tells of the first of some checks that fail in sequence. A full queue is
// nothing that went wrong.
func (r *rounds) failed(bucket int, err error) {
	log := state.Failure(err, logger.Warnf, logger.Debugf)
	if r.failing || errors.Is(err, ErrFullQueue) {
		log = logger.Debugf
	}
	log("checking bucket %d, next time after %d others: %s", bucket, checkAgain, err)
}
