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

const (
	// scrubPieces is how many pieces the pinset is scrubbed in.
	scrubPieces = 4096
	// scrubAge is how old a pin or placement must be for the scrub to find
	// fault with it: younger ones are being worked on.
	scrubAge = 10 * time.Minute
	// leavingAge is that of a placement that is to go when others have its content.
	leavingAge = 24 * time.Hour
	// scrubStep is after how many pins a scrub notes how far it has come.
	scrubStep = 1000
	// maxNamed is how many pins of a piece are named that may have come back.
	maxNamed = 10
	// maxTell is how many CIDs a peer is told at once.
	maxTell = 500
)

// Report is what a scrub found and did.
type Report struct {
	// Pins is how many pins were looked at.
	Pins int
	// Told is how many times a peer was told to look at a pin again.
	Told int
	// Strays is how many entries were removed from the list of the pins that
	// every peer holds.
	Strays int
	// BadRows is how many rows of the pinset cannot be decoded.
	BadRows int
	// Moved is how many pins were with a removed peer and are with others now,
	// Starved how many of them nobody can take, and Alone how many no live peer had.
	Moved, Starved, Alone int
	// Suspects is how many pins may have been removed, and have come back.
	Suspects int
}

func (r *Report) add(other Report) {
	r.Pins += other.Pins
	r.Told += other.Told
	r.Strays += other.Strays
	r.BadRows += other.BadRows
	r.Moved += other.Moved
	r.Starved += other.Starved
	r.Alone += other.Alone
	r.Suspects += other.Suspects
}

// ScrubOnce compares the whole pinset with what the peers hold, at once and
// whatever other peers do. It ends with the first error; the Report then counts
// what was done before. It may run beside Run.
func (r *Reconciler) ScrubOnce(ctx context.Context) (Report, error) {
	var mu sync.Mutex
	var total Report
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(r.opts.Rates.Checks)
	run := func(part int, do func(context.Context, int) (Report, error)) {
		g.Go(func() error {
			if ctx.Err() != nil {
				return ctx.Err()
			}
			report, err := do(ctx, part)
			mu.Lock()
			defer mu.Unlock()
			total.add(report)
			return err
		})
	}
	for piece := range scrubPieces {
		run(piece, func(ctx context.Context, piece int) (Report, error) {
			report, _, err := r.scrubPiece(ctx, piece, api.CidUndef)
			return report, err
		})
	}
	for bucket := range state.Buckets {
		run(bucket, r.scrubStrays)
	}
	err := g.Wait()
	return total, err
}

func (r *Report) log(where string) {
	if r.Suspects > 0 {
		logger.Warnf("scrub of %s: no peer knows of %d pins of long ago, of which %d are named above: they may have been removed and have come back (docs/database.md, Repair). Their peers pin them: "+
			"ipfs-cluster-ctl pin rm those that nobody wants, nothing has to be done about the others", where, r.Suspects, min(r.Suspects, maxNamed))
	}
	if r.Alone > 0 {
		logger.Warnf("scrub of %s: no live peer has %d of the pins that removed peers held: maybe those have the only copies; to get them, bring them back", where, r.Alone)
	}
	if r.Told+r.Strays+r.BadRows+r.Moved+r.Starved > 0 {
		logger.Warnf("scrub of %s: told peers %d times to look at a pin again, removed %d stray entries, found %d rows that cannot be decoded, gave %d pins of removed peers to others and found nobody for %d",
			where, r.Told, r.Strays, r.BadRows, r.Moved, r.Starved)
	}
}

// scrubPin mends what it finds of one pin.
// Action Settle of spec/Moves.tla.
func (r *Reconciler) scrubPin(ctx context.Context, view membership.View, tell *teller, met *met, pin api.Pin, rev state.Revision) error {
	if pin.IsPinEverywhere() || expires(pin) {
		if err := r.opts.Store.Index(ctx, pin, rev); err != nil {
			return fmt.Errorf("listing the pin of %s again: %w", pin.Cid, err)
		}
	}
	if time.Since(rev.Time()) < scrubAge {
		return nil
	}
	if moved, err := r.scrubOrphan(ctx, view, met, pin); err != nil || moved {
		return err // its new holders have just been told
	}
	if inMove(pin) && r.mayMove(r.opts.View()) {
		changed, err := r.settle(ctx, view, pin, rev)
		if changed || err != nil && !errors.Is(err, state.ErrChanged) {
			return err
		}
	}
	holders := mustHold(pin, view)
	rows, err := r.opts.Store.GetPlacementsOf(ctx, holders, pin.Cid)
	if err != nil {
		return fmt.Errorf("reading what the peers do with %s: %w", pin.Cid, err)
	}
	known := len(rows) > 0
	for _, p := range holders {
		row, ok := rows[p]
		// A peer that acted on an older version may have missed a change of
		// the mode.
		if ok && !row.Status.Leaving() && !row.Rev.Before(rev) {
			continue
		}
		if member, _ := view.Get(p); !member.Live {
			continue // its feed has told it, or it compares everything when it starts
		}
		if err := tell.add(ctx, p, pin.Cid); err != nil {
			return err
		}
	}
	if !known && r.suspicious(pin, rev.Time(), view) && met.suspects.Add(1) <= maxNamed {
		logger.Warnf("scrub: no peer knows of the pin of %s, written on %s: it may have been removed and have come back",
			pin.Cid, rev.Time().UTC().Format(time.RFC3339))
	}
	return nil
}

// expires tells whether the pin will run out, or has. Unix time 0 is never, as
// in api.Pin.ExpiredAt.
func expires(pin api.Pin) bool {
	return !pin.ExpireAt.IsZero() && pin.ExpireAt.Unix() != 0
}

// teller collects what peers are to be told. It is safe for concurrent use.
type teller struct {
	store state.Scrubber

	mu   sync.Mutex
	cids map[peer.ID][]api.Cid
	told int
}

func newTeller(store state.Scrubber) *teller {
	return &teller{store: store, cids: make(map[peer.ID][]api.Cid)}
}

func (t *teller) add(ctx context.Context, p peer.ID, c api.Cid) error {
	t.mu.Lock()
	t.cids[p] = append(t.cids[p], c)
	var full []api.Cid
	if len(t.cids[p]) >= maxTell {
		full = t.cids[p]
		delete(t.cids, p)
	}
	t.mu.Unlock()
	return t.send(ctx, p, full)
}

// flush tells what is left.
func (t *teller) flush(ctx context.Context) error {
	t.mu.Lock()
	rest := t.cids
	t.cids = make(map[peer.ID][]api.Cid)
	t.mu.Unlock()
	var first error
	for p, cids := range rest {
		if err := t.send(ctx, p, cids); first == nil {
			first = err
		}
	}
	return first
}

func (t *teller) send(ctx context.Context, p peer.ID, cids []api.Cid) error {
	if len(cids) == 0 {
		return nil
	}
	if err := t.store.Tell(ctx, p, cids...); err != nil {
		return fmt.Errorf("telling %s to look at %d pins again: %w", p, len(cids), err)
	}
	t.mu.Lock()
	defer t.mu.Unlock()
	t.told += len(cids)
	return nil
}
