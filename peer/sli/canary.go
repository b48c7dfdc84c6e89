package sli

import (
	"context"
	"errors"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	"github.com/libp2p/go-libp2p/core/peer"
	mh "github.com/multiformats/go-multihash"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	// canaryPrefix is what the names of canary pins begin with.
	canaryPrefix = "ipfs-cluster canary of "
	// canaryEvery is the shortest time between two canaries.
	canaryEvery = 2 * Deadline
	// canaryLife is when a canary expires that nobody has unpinned.
	canaryLife = 10 * time.Minute
	// canaryStep bounds one step of a canary.
	canaryStep = 30 * time.Second
)

// errAlone says that there is no peer that a canary can be given to.
var errAlone = errors.New("no peer holds pins")

// CanaryOptions are what a Canary works with. All are needed.
type CanaryOptions struct {
	Metrics *Metrics
	Self    peer.ID
	// Every is the time between two canaries, at least two minutes.
	Every time.Duration
	// Add gives a block to the IPFS daemon of this peer.
	Add func(ctx context.Context, block api.NodeWithMeta) error
	// Pin and Unpin are LogPin and LogUnpin of the consensus component.
	Pin, Unpin func(ctx context.Context, pin api.Pin) error
	Store      Store
	// Holders returns who is to hold the next canary.
	Holders func() []peer.ID
}

// Canary pins a small block of this peer's now and then, as a user would, and counts whether
// it was pinned in time. It unpins each, also those that an earlier process has left: their
// content follows from the peer and the minute. What nobody unpins expires.
type Canary struct {
	opts CanaryOptions
	left string // what was wrong with what is left, as it was logged
}

// NewCanary returns one that does nothing yet.
func NewCanary(opts CanaryOptions) *Canary { return &Canary{opts: opts} }

// Run lets canaries out until ctx ends.
func (c *Canary) Run(ctx context.Context) {
	every := max(c.opts.Every, canaryEvery)
	logger.Infof("a canary is pinned every %s", every)
	c.cleanUp(ctx, time.Now())
	ticker := time.NewTicker(every)
	defer ticker.Stop()
	for {
		select {
		case <-ctx.Done():
			return
		case now := <-ticker.C:
			c.round(ctx, now)
		}
	}
}

// round lets one canary out, and takes it back.
func (c *Canary) round(ctx context.Context, now time.Time) {
	c.cleanUp(ctx, now)
	what, err := c.fly(ctx, now)
	if ctx.Err() != nil {
		return // the next process unpins it
	}
	if err != nil {
		logger.Warnf("a canary has failed: %s", err)
	}
	c.opts.Metrics.canaries[what].Inc()
	c.cleanUp(ctx, time.Now())
}

// fly pins a canary and finds what became of it.
func (c *Canary) fly(ctx context.Context, now time.Time) (canaryResult, error) {
	block, err := canaryBlock(c.opts.Self, now)
	if err != nil {
		return canaryFailed, err
	}
	holders := c.opts.Holders()
	if len(holders) == 0 {
		return canaryFailed, errAlone
	}
	if err := step(ctx, func(ctx context.Context) error { return c.opts.Add(ctx, block) }); err != nil {
		return canaryFailed, fmt.Errorf("adding it to IPFS: %w", err)
	}
	pin := api.PinWithOpts(block.Cid, api.PinOptions{
		ReplicationFactorMin: len(holders), ReplicationFactorMax: len(holders),
		Name: canaryPrefix + c.opts.Self.String(), ExpireAt: now.Add(canaryLife),
	})
	pin.Allocations, pin.Timestamp = holders, now
	if err := step(ctx, func(ctx context.Context) error { return c.opts.Pin(ctx, pin) }); err != nil {
		return canaryFailed, fmt.Errorf("pinning it: %w", err)
	}
	var rev state.Revision
	if err := step(ctx, func(ctx context.Context) (err error) {
		_, rev, err = c.opts.Store.GetVersion(ctx, pin.Cid)
		return err
	}); err != nil {
		return canaryFailed, fmt.Errorf("reading its pin: %w", err)
	}
	accepted, _ := acceptedAt(rev)
	if !sleep(ctx, time.Until(accepted.Add(Deadline)), nil) {
		return canaryFailed, ctx.Err()
	}
	return c.look(ctx, pin, rev, accepted)
}

// look finds whether all holders have a canary pinned.
func (c *Canary) look(ctx context.Context, pin api.Pin, rev state.Revision, accepted time.Time) (canaryResult, error) {
	var last time.Time
	for _, p := range pin.Allocations {
		var row state.Placement
		var there bool
		if err := step(ctx, func(ctx context.Context) (err error) {
			row, there, err = c.opts.Store.GetPlacement(ctx, p, pin.Cid)
			return err
		}); err != nil {
			return canaryFailed, fmt.Errorf("finding whether %s has it: %w", p, err)
		}
		if !there || row.Rev != rev || row.Status != state.PlacementPinned {
			logger.Warnf("the canary %s was not pinned by %s within %s", pin.Cid, p, Deadline)
			return canaryLate, nil
		}
		last = later(last, row.Updated)
	}
	c.opts.Metrics.canaryLatency.Observe(seconds(accepted, last))
	return canaryGood, nil
}

// cleanUp unpins what may be left of the canaries of this peer: those that have not expired.
// What it cannot unpin expires. All of it is one step, so that a database that hangs does not
// keep the next canary from being counted.
func (c *Canary) cleanUp(ctx context.Context, now time.Time) {
	limited, cancel := context.WithTimeout(ctx, canaryStep)
	defer cancel()
	var problem string
	for age := time.Duration(0); age <= canaryLife; age += time.Minute {
		if err := c.unpin(limited, now.Add(-age)); err != nil {
			problem = err.Error()
		}
	}
	if problem != c.left && problem != "" && ctx.Err() == nil {
		logger.Warnf("a canary may be left until it expires: %s", problem)
	}
	c.left = problem
}

// unpin unpins the canary of a minute, if there is one.
func (c *Canary) unpin(ctx context.Context, at time.Time) error {
	block, err := canaryBlock(c.opts.Self, at)
	if err != nil {
		return err
	}
	pin, _, err := c.opts.Store.GetVersion(ctx, block.Cid)
	if err != nil {
		return fmt.Errorf("looking for canaries: %w", err)
	}
	if pin == nil {
		return nil
	}
	if err := c.opts.Unpin(ctx, *pin); err != nil {
		return fmt.Errorf("unpinning %s: %w", block.Cid, err)
	}
	return nil
}

// canaryBlock is the canary of a peer in a minute.
func canaryBlock(self peer.ID, at time.Time) (api.NodeWithMeta, error) {
	data := []byte(canaryPrefix + self.String() + " at " + at.UTC().Format("2006-01-02T15:04Z") + "\n")
	hash, err := mh.Sum(data, mh.SHA2_256, -1)
	if err != nil {
		return api.NodeWithMeta{}, fmt.Errorf("hashing a canary: %w", err)
	}
	return api.NodeWithMeta{Data: data, Cid: api.NewCid(cid.NewCidV1(cid.Raw, hash)), CumSize: uint64(len(data))}, nil
}

// step bounds one step.
func step(ctx context.Context, f func(context.Context) error) error {
	ctx, cancel := context.WithTimeout(ctx, canaryStep)
	defer cancel()
	return f(ctx)
}
