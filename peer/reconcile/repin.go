package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// starvedFactor times RecheckInterval is how long pins that nobody can
	// take wait, unless peers come or go.
	starvedFactor = 10
	// repinChunk is how many buckets are done before the peers are looked at
	// again.
	repinChunk = 64
	// maxBucketErrors ends the work on a bucket: it is rather the database.
	maxBucketErrors = 16
)

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
	// bucketStarved has pins that nobody can take.
	bucketStarved
)

// repin is the loop that goes through the placements of the peers that are gone.
type repin struct {
	r     *Reconciler
	peers map[peer.ID]*repinPeer
	// live are the peers that shared the work at the last look.
	live string
}

// repinPeer is the work on one peer that is gone. It begins anew when that peer
// comes back and goes again, or is removed.
type repinPeer struct {
	since time.Time
	// listed says that it is known in which buckets it has placements, unlisted
	// why that failed in this pass.
	listed     bool
	unlisted   error
	buckets    [state.Buckets]bucketState
	starvedAt  time.Time
	moved      int
	starved    int
	firstCid   api.Cid
	firstError error
}

func newRepin(r *Reconciler) *repin {
	return &repin{r: r, peers: make(map[peer.ID]*repinPeer)}
}

// pass does all that can be done now.
func (l *repin) pass(ctx context.Context) error {
	for _, p := range l.peers {
		p.reset(bucketRetry)
		if time.Since(p.starvedAt) >= starvedFactor*l.r.opts.RecheckInterval {
			p.reset(bucketStarved)
		}
	}
	for ctx.Err() == nil {
		view := l.r.opts.View()
		l.observe(view)
		if !l.r.mayMove(view) {
			break
		}
		l.list(ctx)
		id, buckets := l.next(view)
		if buckets == nil {
			break
		}
		l.work(ctx, id, buckets)
	}
	return l.report()
}

// observe notes who is gone, and whose work changes because peers came or went.
func (l *repin) observe(view membership.View) {
	live := signature(view)
	changed := live != l.live
	l.live = live
	for id := range l.peers {
		if p, ok := view.Get(id); !ok || !view.Gone(p) {
			delete(l.peers, id)
		}
	}
	for _, p := range view.Peers {
		if !view.Gone(p) || p.ID == l.r.opts.Self {
			continue
		}
		known := l.peers[p.ID]
		switch {
		case known == nil || !known.since.Equal(goneSince(p)):
			l.peers[p.ID] = &repinPeer{since: goneSince(p)}
		case changed:
			known.reset(bucketForeign)
			known.reset(bucketStarved)
		}
	}
}

// signature is equal for views in which the same peers share the work and may
// be given pins.
func signature(view membership.View) string {
	var s strings.Builder
	for _, id := range view.Live() {
		p, _ := view.Get(id)
		s.WriteString(string(id))
		s.WriteString(p.Role)
	}
	return s.String()
}

// next returns a peer and some of its buckets that are to be done here, the peer
// that went last first. It returns nil when there are none.
func (l *repin) next(view membership.View) (peer.ID, []int) {
	ids := make([]peer.ID, 0, len(l.peers))
	for id := range l.peers {
		ids = append(ids, id)
	}
	slices.SortFunc(ids, func(a, b peer.ID) int { return l.peers[b].since.Compare(l.peers[a].since) })
	for _, id := range ids {
		p := l.peers[id]
		var buckets []int
		for i, s := range p.buckets {
			if s != bucketTodo {
				continue
			}
			if !view.Mine(bucketShare(id, i)) {
				p.buckets[i] = bucketForeign
				continue
			}
			if buckets = append(buckets, i); len(buckets) == repinChunk {
				break
			}
		}
		if buckets != nil {
			return id, buckets
		}
	}
	return "", nil
}

// list finds out in which buckets the peers have placements, once for each and
// again in the next pass where that fails.
func (l *repin) list(ctx context.Context) {
	for id, p := range l.peers {
		if p.listed || p.unlisted != nil || ctx.Err() != nil {
			continue
		}
		used, err := l.r.opts.Store.PlacementBuckets(ctx, id)
		if err != nil {
			p.unlisted = fmt.Errorf("listing what %s holds: %w", id, err)
			continue
		}
		p.listed = true
		for _, i := range used {
			p.buckets[i] = bucketTodo
		}
	}
}

// work goes through some buckets of a peer. A peer that went long ago was most
// likely dealt with by a process before this one: it is looked at slowly.
func (l *repin) work(ctx context.Context, id peer.ID, buckets []int) {
	p := l.peers[id]
	limit := l.r.opts.Rates.Moves
	if time.Since(p.since) > l.r.opts.FeedTTL {
		limit = 1
	}
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(limit)
	for _, i := range buckets {
		g.Go(func() error {
			b := l.r.repinBucket(ctx, id, i)
			mu.Lock()
			defer mu.Unlock()
			p.add(i, b)
			return nil
		})
	}
	_ = g.Wait() // the errors are in p
}

// bucketResult is what became of the pins of one bucket.
type bucketResult struct {
	moved, starved, failed int
	paused                 bool
	firstCid               api.Cid // of those that nobody can take
	err                    error   // the first
}

func (r *Reconciler) repinBucket(ctx context.Context, id peer.ID, bucket int) bucketResult {
	var b bucketResult
	err := r.opts.Store.ListPlacements(ctx, id, bucket, func(row state.Placement) error {
		if row.Status.Leaving() {
			return nil
		}
		moved, err := r.moveAway(ctx, id, row.Cid)
		switch {
		case moved:
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

func (p *repinPeer) add(bucket int, b bucketResult) {
	p.moved += b.moved
	p.starved += b.starved
	if b.starved > 0 && !p.firstCid.Defined() {
		p.firstCid = b.firstCid
	}
	if p.firstError == nil {
		p.firstError = b.err
	}
	switch {
	case b.paused || b.failed > 0 || b.err != nil:
		p.buckets[bucket] = bucketRetry
	case b.starved > 0:
		p.buckets[bucket] = bucketStarved
		p.starvedAt = time.Now()
	default:
		p.buckets[bucket] = bucketDone
	}
}

func (p *repinPeer) reset(s bucketState) {
	for i := range p.buckets {
		if p.buckets[i] == s {
			p.buckets[i] = bucketTodo
		}
	}
}

// report says what the pass did, and returns what went wrong.
func (l *repin) report() error {
	var errs []error
	for id, p := range l.peers {
		if p.moved > 0 {
			logger.Infof("gave %d pins of %s to other peers", p.moved, id)
		}
		if p.starved > 0 {
			logger.Warnf("%d pins of %s need another peer and there are not enough that could take them, %s is the first: add peers or space", p.starved, id, p.firstCid)
		}
		errs = append(errs, p.unlisted, p.firstError)
		p.unlisted, p.moved, p.starved, p.firstCid, p.firstError = nil, 0, 0, api.CidUndef, nil
	}
	return errors.Join(errs...)
}
