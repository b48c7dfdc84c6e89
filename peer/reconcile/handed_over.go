package reconcile

import (
	"context"
	"fmt"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
)

// What a removed peer held is looked through once. A bucket of it that needs no
// more work is noted in the store, and whoever starts, or gets the bucket from a
// peer that died, leaves it out. Dead peers get no notes: they may come back to
// their pins. What is allocated to a removed peer later is found by its feed, and by
// the scrub.

// list finds out in which buckets of the peers there is work: once, and again
// where that fails, where others had work that may be this peer's now, and for a
// removed peer once it has certainly stopped.
func (l *repin) list(ctx context.Context) {
	for id, p := range l.peers {
		if p.listed || p.unlisted != nil || ctx.Err() != nil {
			continue
		}
		early := p.early(l.r.opts.Settle)
		if err := l.r.listBuckets(ctx, id, p); err != nil {
			p.unlisted = fmt.Errorf("listing what %s holds: %w", id, err)
			continue
		}
		p.listed, p.lookedEarly = true, p.lookedEarly || early
	}
}

func (r *Reconciler) listBuckets(ctx context.Context, id peer.ID, p *repinPeer) error {
	used, err := r.opts.Store.PlacementBuckets(ctx, id)
	if err != nil {
		return err
	}
	var done []int
	if p.removed && len(used) > 0 {
		if done, err = r.opts.Store.HandedOver(ctx, id, p.since); err != nil {
			return err
		}
	}
	for _, i := range used {
		if s := p.buckets[i]; s == bucketDone || s == bucketForeign {
			p.buckets[i] = bucketTodo
		}
	}
	for _, i := range done {
		p.buckets[i] = bucketDone
	}
	return nil
}

// mark notes the buckets of a removed peer that are done. What cannot be noted
// waits for the next pass.
func (l *repin) mark(ctx context.Context, id peer.ID, p *repinPeer) {
	var done []int
	for i, s := range p.buckets {
		if s == bucketUnmarked {
			done = append(done, i)
		}
	}
	if len(done) == 0 || p.unmarked != nil {
		return
	}
	if now, _ := l.r.opts.View().Get(id); !now.RemovedAt.Equal(p.since) {
		return // it is back, and pins were left to it
	}
	if err := l.r.opts.Store.MarkHandedOver(ctx, id, p.since, done...); err != nil {
		p.unmarked = fmt.Errorf("noting what was taken over from %s: %w", id, err)
		return
	}
	for _, i := range done {
		p.buckets[i] = bucketDone
	}
}

// early tells whether a removed peer may still be at work: it learns of its removal
// by a look at the table of peers, as any other. What it does until then may
// come after the look at a bucket, so that this look is not the last.
func (p *repinPeer) early(settle time.Duration) bool {
	return p.removed && time.Since(p.since) < settle
}

// settle has what was done too early done again, once it may be final.
func (p *repinPeer) settle(after time.Duration) {
	if p.lookedEarly && !p.early(after) {
		p.lookedEarly, p.listed = false, false
		p.reset(bucketEarly)
	}
}
