package reconcile

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// maxBucketErrors ends the work on a bucket: it is rather the database.
const maxBucketErrors = 16

// bucketState is how far the work on one bucket of a peer's placements is.
type bucketState uint8

const (
	// bucketDone needs no work, or has no placements as far as is known.
	bucketDone bucketState = iota
	bucketTodo
	// bucketForeign is the work of another peer.
	bucketForeign
	// bucketRetry failed or met another writer.
	bucketRetry
	// bucketStarved has pins that nobody can take, or decode.
	bucketStarved
	// bucketEarly was done while the removed peer may still have been at work.
	bucketEarly
	// bucketOpen has pins that the dead peer keeps until others have them, or that
	// nobody else has.
	bucketOpen
	// bucketUnmarked is done, which is to be noted.
	bucketUnmarked
)

// repinPeer is the work on one peer that is gone. It begins anew when that peer
// comes back and goes again, or is removed.
type repinPeer struct {
	since   time.Time
	removed bool
	// listed says that it is known in which buckets it has placements, unlisted
	// why that failed in this pass.
	listed   bool
	unlisted error
	// lookedEarly says that they were listed while the removed peer may still
	// have been at work.
	lookedEarly bool
	// unmarked is why it could not be noted in this pass what is done.
	unmarked error
	buckets  [state.Buckets]bucketState
	// starving says when buckets are looked at again that have pins that nobody can take,
	// or decode, unless peers come or go before.
	starving starving
	// openSince is when the last look at what is open began, or the first one.
	openSince time.Time
	openPause time.Duration
	// lonely is how many pins no live peer had, by bucket, when it was looked at last:
	// of those that had some.
	lonely map[int]int
	passResult
}

// passResult is what one pass did with the pins of a peer.
type passResult struct {
	moved, starved, corrupt  int
	lookedAlone              bool    // at some that no live peer has
	firstCid                 api.Cid // of those that nobody can take
	firstCorrupt, firstError error
}

// bucketResult is what became of the pins of one bucket.
type bucketResult struct {
	moved, starved, corrupt, failed int
	alone                           int // how many no live peer has
	open                            bool
	paused                          bool
	firstCid                        api.Cid // of those that nobody can take
	firstCorrupt                    error
	err                             error // the first of the others
}

func (r *Reconciler) repinBucket(ctx context.Context, id peer.ID, bucket int) bucketResult {
	var b bucketResult
	metrics := r.metrics(ctx)
	err := r.opts.Store.ListPlacements(ctx, id, bucket, func(row state.Placement) error {
		// Also one that is to be unpinned: its pin may have been made again since.
		moved, err := r.moveAway(ctx, metrics, id, row.Cid)
		if moved.alone {
			b.alone++
		}
		b.open = b.open || moved.open || moved.alone
		switch {
		case moved.changed:
			b.moved++
		case err == nil:
		case errors.Is(err, errPaused):
			b.paused = true
			return err
		case errors.Is(err, errNoCandidates):
			if b.starved++; b.starved == 1 {
				b.firstCid = row.Cid
			}
		case errors.Is(err, state.ErrChanged):
			b.failed++ // no error: looked at again in the next pass
		case errors.Is(err, state.ErrCorrupt):
			// Nothing is wrong with the database, and the rest of the bucket.
			if b.corrupt++; b.corrupt == 1 {
				b.firstCorrupt = err
			}
		default:
			b.failed++
			if b.err == nil {
				b.err = err
			}
			if ctx.Err() != nil || b.failed >= maxBucketErrors {
				return err
			}
		}
		return nil
	})
	if err != nil && !b.paused && b.err == nil {
		b.err = fmt.Errorf("listing what %s holds: %w", id, err)
	}
	return b
}

// add takes over what became of a bucket. early says that the peer may have been
// at work meanwhile.
func (p *repinPeer) add(bucket int, b bucketResult, early bool) {
	p.moved += b.moved
	p.noteAlone(bucket, b.alone)
	p.starved += b.starved
	if b.starved > 0 && !p.firstCid.Defined() {
		p.firstCid = b.firstCid
	}
	p.corrupt += b.corrupt
	if p.firstCorrupt == nil {
		p.firstCorrupt = b.firstCorrupt
	}
	if p.firstError == nil {
		p.firstError = b.err
	}
	switch {
	case b.paused || b.failed > 0 || b.err != nil:
		p.buckets[bucket] = bucketRetry
	case b.starved+b.corrupt > 0:
		p.buckets[bucket] = bucketStarved
		p.starving.looked = time.Now()
	case early:
		p.buckets[bucket] = bucketEarly
	case p.removed:
		p.buckets[bucket] = bucketUnmarked
	case b.open:
		p.buckets[bucket] = bucketOpen
	default:
		p.buckets[bucket] = bucketDone
	}
}

// noteAlone takes note of how many pins of a bucket no live peer has.
func (p *repinPeer) noteAlone(bucket, n int) {
	if n == 0 {
		delete(p.lonely, bucket)
		return
	}
	if p.lonely == nil {
		p.lonely = make(map[int]int)
	}
	p.lonely[bucket] = n
	p.lookedAlone = true
}

// alone is how many pins no live peer had.
func (p *repinPeer) alone() int {
	n := 0
	for _, some := range p.lonely {
		n += some
	}
	return n
}

// reset lets the buckets of one state be done again, and reports whether there are any.
func (p *repinPeer) reset(s bucketState) (some bool) {
	for i := range p.buckets {
		if p.buckets[i] == s {
			p.buckets[i], some = bucketTodo, true
		}
	}
	return some
}
