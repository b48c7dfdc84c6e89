package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"strings"
	"sync"
	"time"

	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
)

const (
	// repinChunk is how many buckets are done before the peers are looked at
	// again.
	repinChunk = 64
	// openFactor times RecheckInterval is how long pins wait that a dead peer keeps until
	// others have them, and of which this peer may not hear: an hour. It is doubled
	// with each look, up to maxPause.
	openFactor = 120
	maxPause   = 24 * time.Hour
)

// repin is the loop that goes through the placements of the peers that are gone.
type repin struct {
	r     *Reconciler
	peers map[peer.ID]*repinPeer
	// live are the peers that shared the work at the last look.
	live string
}

func newRepin(r *Reconciler) *repin {
	return &repin{r: r, peers: make(map[peer.ID]*repinPeer)}
}

// pass does all that can be done now.
func (l *repin) pass(ctx context.Context) error {
	takers := l.r.takers(ctx, l.r.opts.View())
	for id, p := range l.peers {
		l.mark(ctx, id, p)
		p.settle(l.r.opts.Settle)
		p.reset(bucketRetry)
		if time.Since(p.openSince) >= p.openPause {
			p.openPause = min(2*p.openPause, maxPause)
			p.openSince = time.Now()
			p.reset(bucketOpen)
		}
		p.starving.offer(takers)
		if first := l.r.starvedPause(); p.starving.due(first) && p.reset(bucketStarved) {
			p.starving.begin(first)
		}
	}
	var ending error
	for ctx.Err() == nil {
		if err := l.r.endMoves(ctx); ending == nil {
			ending = err
		}
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
		l.r.opts.Counts.repins(true, l.left())
		l.work(ctx, id, buckets)
	}
	l.r.opts.Counts.repins(false, l.left())
	return errors.Join(ending, l.report())
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
			l.peers[p.ID] = &repinPeer{since: goneSince(p), removed: p.Removed, openSince: time.Now(), openPause: openFactor * l.r.opts.RecheckInterval}
		case changed && known.removed:
			// Others may have done what was theirs: that is read.
			known.listed = known.listed && !slices.Contains(known.buckets[:], bucketForeign)
			known.reset(bucketStarved)
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

// work goes through some buckets of a peer. A dead one that went long ago was most
// likely dealt with by a process before this one: it is looked at slowly.
func (l *repin) work(ctx context.Context, id peer.ID, buckets []int) {
	p := l.peers[id]
	limit := l.r.opts.Rates.Moves
	if !p.removed && time.Since(p.since) > l.r.opts.FeedTTL {
		limit = 1
	}
	early := p.early(l.r.opts.Settle)
	var mu sync.Mutex
	var g errgroup.Group
	g.SetLimit(limit)
	for _, i := range buckets {
		g.Go(func() error {
			b := l.r.repinBucket(ctx, id, i)
			mu.Lock()
			defer mu.Unlock()
			p.add(i, b, early)
			return nil
		})
	}
	_ = g.Wait() // the errors are in p
	l.mark(ctx, id, p)
}

// left is how many buckets are not done, as far as is known.
func (l *repin) left() int {
	n := 0
	for _, p := range l.peers {
		for _, s := range p.buckets {
			if s != bucketDone && s != bucketForeign && s != bucketOpen {
				n++
			}
		}
	}
	return n
}

// report says what the pass did, and returns what went wrong.
func (l *repin) report() error {
	var errs []error
	for id, p := range l.peers {
		if p.moved > 0 {
			logger.Infof("gave %d pins of %s to other peers", p.moved, id)
		}
		if n := p.alone(); n > 0 && p.lookedAlone {
			if p.removed {
				logger.Warnf("no live peer has %d of the pins that %s held, which was removed: maybe it has the only copies; to get them, bring it back", n, id)
			} else {
				logger.Warnf("no live peer has %d of the pins of %s, which is dead: maybe it has the only copies, so it keeps them until others have them, or it comes back; do not remove it before", n, id)
			}
		}
		if p.starved > 0 {
			logger.Warnf("%d pins of %s need another peer and there are not enough that could take them, %s is the first: add peers or space", p.starved, id, p.firstCid)
		}
		if p.corrupt > 0 {
			errs = append(errs, fmt.Errorf("%d pins of %s stay with it, the first: %w", p.corrupt, id, p.firstCorrupt))
		}
		errs = append(errs, p.unlisted, p.unmarked, p.firstError)
		p.unlisted, p.unmarked, p.passResult = nil, nil, passResult{}
	}
	return errors.Join(errs...)
}
