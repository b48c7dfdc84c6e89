package reconcile

import (
	"context"
	"errors"
	"fmt"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// maxWaiting bounds the CIDs of one peer that wait for somebody to take them.
const maxWaiting = 1 << 16

// successor is the loop that reads the feeds of the peers that are gone: what
// was allocated to them and not acted on is in no placement.
type successor struct {
	r        *Reconciler
	followed map[peer.ID]*follow
	running  sync.WaitGroup
}

func newSuccessor(r *Reconciler) *successor {
	return &successor{r: r, followed: make(map[peer.ID]*follow)}
}

// run follows until ctx ends.
func (s *successor) run(ctx context.Context) {
	defer s.running.Wait()
	s.r.repeat(ctx, &complaint{what: "following the feeds of dead and removed peers"}, s.r.opts.RecheckInterval,
		func(ctx context.Context) error {
			s.look(ctx)
			return nil
		})
}

// look begins and ends to follow peers. While nothing may be moved nobody is
// followed; while nobody can be judged, which does not last, what is followed
// waits.
func (s *successor) look(ctx context.Context) {
	view := s.r.opts.View()
	wanted := make(map[peer.ID]bool)
	for _, p := range view.Peers {
		if view.Gone(p) && p.ID != s.r.opts.Self && time.Since(goneSince(p)) < s.r.opts.FeedTTL && view.Mine([]byte(p.ID)) {
			wanted[p.ID] = true
		}
	}
	allowed := s.r.mayMove(view)
	for id, f := range s.followed {
		if !wanted[id] || !allowed && !view.Frozen {
			f.cancel()
			delete(s.followed, id)
		}
	}
	if !allowed {
		return
	}
	for id := range wanted {
		if s.followed[id] != nil {
			continue
		}
		ctx, cancel := context.WithCancel(ctx)
		f := &follow{r: s.r, peer: id, cancel: cancel, waiting: make(map[api.Cid]struct{})}
		s.followed[id] = f
		s.running.Go(func() { f.run(ctx) })
	}
}

// follow reads the feed of one peer that is gone.
type follow struct {
	r      *Reconciler
	peer   peer.ID
	cancel context.CancelFunc

	mu sync.Mutex
	// waiting are the CIDs that nobody could take. They must not hold up the
	// feed.
	waiting map[api.Cid]struct{}
	// overflow is set when there were more: the feed is then read again once
	// these have found a place.
	overflow bool
	again    context.CancelFunc
	// starving says when they are looked at again, unless peers come or go before, which
	// live tells. retry alone uses it.
	starving starving
	live     string
	// alone are CIDs that no live peer had, of which it was told at said.
	alone map[api.Cid]struct{}
	said  time.Time
}

func (f *follow) run(ctx context.Context) {
	defer f.cancel()
	var loops sync.WaitGroup
	defer loops.Wait()
	interval := f.r.opts.RecheckInterval
	loops.Go(func() {
		f.r.repeat(ctx, &complaint{what: "giving what was allocated to " + f.peer.String() + " to others"}, interval, f.retry)
	})
	f.r.repeat(ctx, &complaint{what: "following the feed of " + f.peer.String()}, interval, f.consume)
}

// consume reads the feed from where the peer stopped, until ctx ends or the feed
// has to be read again.
func (f *follow) consume(ctx context.Context) error {
	inner, cancel := context.WithCancel(ctx)
	defer cancel()
	f.mu.Lock()
	f.again = cancel
	f.mu.Unlock()
	feed, err := f.r.opts.Store.Follow(inner, f.peer)
	if err != nil {
		return fmt.Errorf("opening the feed: %w", err)
	}
	err = feed.Consume(inner, f.handle)
	if inner.Err() != nil && ctx.Err() == nil {
		return nil
	}
	return err
}

// handle treats what changed for the peer like what it holds.
func (f *follow) handle(ctx context.Context, ch state.Change) error {
	if ch.Pin == nil || !allocatedTo(*ch.Pin, f.peer) {
		f.count(ch.Cid, move{}, nil)
		return nil
	}
	moved, err := f.r.moveAway(ctx, f.r.metrics(ctx), f.peer, ch.Cid)
	f.count(ch.Cid, moved, err)
	switch {
	case errors.Is(err, errNoCandidates):
		// It must not hold up the feed.
		f.keep(ch.Cid)
		return nil
	case errors.Is(err, errPaused), errors.Is(err, state.ErrChanged):
		return state.ErrNotYet
	default:
		return err
	}
}

func (f *follow) keep(c api.Cid) {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.waiting) < maxWaiting {
		f.waiting[c] = struct{}{}
	} else {
		f.overflow = true
	}
}

// count takes note of a pin that was given to others and that no live peer has, or has by
// now. What others have given away is counted by them.
func (f *follow) count(c api.Cid, m move, err error) {
	f.mu.Lock()
	defer f.mu.Unlock()
	switch {
	case m.changed && m.alone && len(f.alone) < maxWaiting:
		if f.alone == nil {
			f.alone = make(map[api.Cid]struct{})
		}
		f.alone[c] = struct{}{}
	case !m.alone && err == nil:
		delete(f.alone, c)
	}
}

// due tells whether a look at the CIDs that nobody could take may be of use.
func (f *follow) due(ctx context.Context, view membership.View) bool {
	f.starving.offer(f.r.takers(ctx, view))
	return f.live != signature(view) || f.starving.due(f.r.starvedPause())
}

// sayAlone says how many pins no live peer has, at once and then every hour.
func (f *follow) sayAlone() {
	f.mu.Lock()
	defer f.mu.Unlock()
	if len(f.alone) > 0 && time.Since(f.said) >= openFactor*f.r.opts.RecheckInterval {
		f.said = time.Now()
		logger.Warnf("no live peer had %d of the pins that %s was given before it went: maybe it has the only copies", len(f.alone), f.peer)
	}
}

// retry looks again at the CIDs that nobody could take, when that may be of use.
func (f *follow) retry(ctx context.Context) error {
	f.sayAlone()
	f.mu.Lock()
	cids := make([]api.Cid, 0, len(f.waiting))
	for c := range f.waiting {
		cids = append(cids, c)
	}
	f.mu.Unlock()
	view := f.r.opts.View()
	if len(cids) == 0 || !f.due(ctx, view) || !f.r.mayMove(view) {
		return nil
	}
	f.starving.begin(f.r.starvedPause())
	f.live = signature(view)
	metrics := f.r.metrics(ctx)
	starved, firstStarved := 0, api.CidUndef // under f.mu
	other := false                           // under f.mu: some are left for another reason
	var g errgroup.Group
	g.SetLimit(f.r.opts.Rates.Moves)
	for _, c := range cids {
		g.Go(func() error {
			moved, err := f.r.moveAway(ctx, metrics, f.peer, c)
			f.count(c, moved, err)
			f.mu.Lock()
			defer f.mu.Unlock()
			switch {
			case err == nil:
				delete(f.waiting, c)
			case errors.Is(err, errNoCandidates):
				starved++
				firstStarved = c
			case errors.Is(err, errPaused), errors.Is(err, state.ErrChanged):
				other = true
			default:
				other = true
				return err
			}
			return nil
		})
	}
	err := g.Wait()
	f.starving.looked = time.Now()
	if other {
		f.live = "" // soon
	}
	if starved > 0 {
		logger.Warnf("%d pins that were allocated to %s need another peer and there are not enough that could take them, %s is one: add peers or space", starved, f.peer, firstStarved)
	}
	f.mu.Lock()
	defer f.mu.Unlock()
	if f.overflow && len(f.waiting) == 0 {
		f.overflow = false
		f.again()
	}
	return err
}
