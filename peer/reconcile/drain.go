package reconcile

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// failedTries is after how many failed tries of a peer to pin something
	// another one is chosen.
	failedTries = 3
	// silentFactor times RecheckInterval is how long a peer may take to begin
	// with a pin, or to try again, before another one is chosen.
	silentFactor = 10
)

// drain is the loop that hands over the pins of this peer while it leaves. Each
// pin stays here until enough others have it. What was handed over is unpinned
// as any other change: through the feed.
type drain struct {
	r *Reconciler
	// clean is since when there was nothing left to hand over.
	clean    time.Time
	finished bool
}

func newDrain(r *Reconciler) *drain { return &drain{r: r} }

// drained is what became of one pin.
type drained int

const (
	// drainNothing: the pin is not this peer's (any more).
	drainNothing drained = iota
	// drainMoved: it has just been taken off this peer.
	drainMoved
	// drainWaiting: others have to pin it first.
	drainWaiting
	// drainStarved: nobody can take it.
	drainStarved
)

// pass takes every pin of this peer one step further.
// Action Finish of spec/Moves.tla.
func (d *drain) pass(ctx context.Context) error {
	view := d.r.opts.View()
	self, ok := view.Get(d.r.opts.Self)
	if !ok || !self.Leaving || self.Removed {
		d.clean, d.finished = time.Time{}, false
		d.r.opts.Counts.handsOver(drainCount{}, nil)
		return nil
	}
	if view.Frozen || d.finished {
		return nil
	}
	count, err := d.r.drainAll(ctx)
	d.r.opts.Counts.handsOver(count, err)
	if err != nil {
		d.clean = time.Time{}
		return err
	}
	if n := count.by[drainStarved]; n > 0 {
		logger.Warnf("%d pins cannot leave this peer because there are not enough others that could take them, %s is the first: add peers or space", n, count.firstStarved)
	}
	if left := count.by[drainStarved] + count.by[drainWaiting]; left > 0 {
		logger.Infof("handing over: %d pins left this peer in this pass, %d are still here", count.by[drainMoved], left)
		d.clean = time.Time{}
		return nil
	}
	// Others may still allocate pins to this peer, by what they last heard.
	if d.clean.IsZero() || count.by[drainMoved] > 0 {
		d.clean = time.Now()
		return nil
	}
	if time.Since(d.clean) < d.r.opts.Settle {
		return nil
	}
	if err := d.r.opts.Finish(ctx, d.r.opts.Self); err != nil {
		return fmt.Errorf("leaving the cluster: %w", err)
	}
	d.finished = true
	logger.Info("all pins of this peer are with others: it has left the cluster")
	return nil
}

// drainCount sums up a pass.
type drainCount struct {
	by           [drainStarved + 1]int
	firstStarved api.Cid
}

// drainAll goes through all placements of this peer. It goes on after errors and
// returns the first.
func (r *Reconciler) drainAll(ctx context.Context) (drainCount, error) {
	var mu sync.Mutex
	var count drainCount
	var first error
	note := func(c api.Cid, what drained, err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil {
			if first == nil {
				first = err
			}
			return
		}
		if what == drainStarved && count.by[drainStarved] == 0 {
			count.firstStarved = c
		}
		count.by[what]++
	}
	buckets, err := r.opts.Store.PlacementBuckets(ctx, r.opts.Self)
	if err != nil {
		return drainCount{}, fmt.Errorf("listing what this peer holds: %w", err)
	}
	var g errgroup.Group
	g.SetLimit(r.opts.Rates.Moves)
	for _, bucket := range buckets {
		if ctx.Err() != nil {
			break
		}
		g.Go(func() error {
			metrics := r.metrics(ctx)
			err := r.opts.Store.ListPlacements(ctx, r.opts.Self, bucket, func(row state.Placement) error {
				// Also one that is to be unpinned: its pin may have been made again since.
				what, err := r.drainPin(ctx, metrics, row)
				note(row.Cid, what, err)
				return ctx.Err()
			})
			if err != nil {
				note(api.CidUndef, drainNothing, fmt.Errorf("listing what this peer holds: %w", err))
			}
			return nil
		})
	}
	_ = g.Wait() // the errors are in first
	return count, first
}

// drainPin takes one pin a step further, whose row is that of this peer: gives it to
// others if those who have it are too few, or takes it off this peer once enough others
// have pinned it.
// Action Drain of spec/Moves.tla.
func (r *Reconciler) drainPin(ctx context.Context, metrics peerMetrics, mine state.Placement) (drained, error) {
	c := mine.Cid
	pin, rev, err := r.opts.Store.GetVersion(ctx, c)
	if errors.Is(err, state.ErrCorrupt) {
		logger.Errorf("handing over: %s", err)
		return drainNothing, nil // nobody could take it
	}
	if err != nil {
		return 0, fmt.Errorf("reading the pin of %s: %w", c, err)
	}
	self := r.opts.Self
	switch {
	case pin == nil:
		return drainNothing, nil
	case !allocatedTo(*pin, self):
		if mine.Status != state.PlacementUnpinError && !mayHold(pin, self) {
			return drainWaiting, nil // others may not have it yet: the tracker keeps it until then
		}
		return drainNothing, nil
	}
	view := r.opts.View()
	o, err := r.others(ctx, view, *pin, rev)
	if err != nil {
		return 0, err
	}
	result := drainMoved
	next := without(pin.Allocations, self)
	need := max(pin.ReplicationFactorMin, 1)
	if len(o.pinned) < need {
		cl := r.classes(ctx, view, metrics, *pin, func(p peer.ID) bool {
			return p == self || slices.Contains(o.useless, p)
		})
		filled, err := fill(ctx, r.opts.Allocator, *pin, cl)
		switch {
		case errors.Is(err, errNoCandidates):
			return drainStarved, nil
		case err != nil:
			return 0, err
		case filled == nil:
			return drainWaiting, nil
		}
		result = drainWaiting
		for _, p := range filled {
			if !slices.Contains(next, p) {
				next = append(next, p)
			}
		}
	}
	// Until enough have it, those who failed or died may have one of its copies.
	have := len(o.pinned)
	if mine.Status == state.PlacementPinned && mine.Rev == rev {
		have++
	}
	next = trim(next, pin.ReplicationFactorMax, func(p peer.ID) bool {
		return have >= need && slices.Contains(o.useless, p) || result == drainMoved && !slices.Contains(o.pinned, p)
	})
	if result == drainWaiting {
		next = append(next, self)
	}
	pin.Allocations = next
	ctx = state.WithCause(ctx, state.CauseMove)
	err = r.opts.Store.PutIf(ctx, *pin, rev)
	if errors.Is(err, state.ErrChanged) {
		return drainWaiting, nil // looked at again in the next pass
	}
	if err != nil {
		return 0, fmt.Errorf("handing over the pin of %s: %w", c, err)
	}
	return result, nil
}

// others are the other peers that a pin is allocated to.
type others struct {
	// pinned have it.
	pinned []peer.ID
	// useless will not have it soon: they are dead, leave, failed to pin it
	// or have not begun.
	useless []peer.ID
}

// others divides the other holders of a pin.
// Operators Counts and Useless of spec/Moves.tla.
func (r *Reconciler) others(ctx context.Context, view membership.View, pin api.Pin, rev state.Revision) (others, error) {
	found, err := r.copies(ctx, view, pin.Cid, rev, without(pin.Allocations, r.opts.Self))
	if err != nil {
		return others{}, err
	}
	var o others
	for _, p := range pin.Allocations {
		if p == r.opts.Self {
			continue
		}
		member, ok := view.Get(p)
		if !ok || !member.Live || member.Leaving || member.Removed {
			o.useless = append(o.useless, p)
			continue
		}
		row, ok := found.rows[p]
		patience := silentFactor * r.opts.RecheckInterval
		failed := row.Status == state.PlacementPinError && (row.Attempts >= failedTries || time.Since(row.Updated) > patience)
		silent := (!ok || row.Status.Leaving()) && time.Since(rev.Time()) > patience
		switch {
		case found.with(p):
			o.pinned = append(o.pinned, p)
		case failed || silent:
			o.useless = append(o.useless, p)
		}
	}
	return o, nil
}

// trim drops peers that are of no use, the last first, while there are more than
// limit.
func trim(peers []peer.ID, limit int, drop func(peer.ID) bool) []peer.ID {
	peers = slices.Clone(peers)
	for i := len(peers) - 1; i >= 0 && len(peers) > max(limit, 1); i-- {
		if drop(peers[i]) {
			peers = slices.Delete(peers, i, i+1)
		}
	}
	return peers
}
