package consensus

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"go.opencensus.io/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// LogPin stores the pin. When it returns nil, the pin is durable and every peer
// that it concerns will act on it. An error that matches
// state.ErrOutcomeUnknown leaves that open.
//
// Cluster.pin has judged the pin against the one it read before. The same rules
// are applied here to the very pin that is replaced.
func (c *Consensus) LogPin(ctx context.Context, pin api.Pin) error {
	ctx, span := trace.StartSpan(ctx, "consensus/LogPin")
	defer span.End()

	if c.ctx.Err() != nil {
		return errShutdown
	}
	if !pin.Cid.Defined() {
		return errors.New("a pin without a CID cannot be stored")
	}
	var rev state.Revision
	if c.opts.Accepted != nil {
		ctx = state.WithRevision(ctx, &rev)
	}
	err := c.opts.Updater.Update(ctx, pin.Cid, func(current *api.Pin) (*api.Pin, error) {
		if err := errors.Join(allowed(current, pin, time.Now()), c.held(current, pin)); err != nil {
			return nil, err
		}
		return &pin, nil
	})
	if err == nil && c.opts.Accepted != nil {
		c.opts.Accepted(pin, rev)
	}
	return err
}

// LogUnpin removes the pin. It is no error when there is none. When it returns
// nil, every peer that held the pin will unpin it.
func (c *Consensus) LogUnpin(ctx context.Context, pin api.Pin) error {
	ctx, span := trace.StartSpan(ctx, "consensus/LogUnpin")
	defer span.End()

	if c.ctx.Err() != nil {
		return errShutdown
	}
	return c.opts.Store.Rm(ctx, pin.Cid)
}

// held refuses a pin that is newly allocated to a peer without an IPFS daemon:
// nobody would hold that copy. Upstream's allocator chooses no such peer, a
// client that allocates by itself may.
func (c *Consensus) held(current *api.Pin, pin api.Pin) error {
	for _, p := range pin.Allocations {
		if !c.opts.Members.CanHold(p) && (current == nil || !slices.Contains(current.Allocations, p)) {
			return fmt.Errorf("pin %s is allocated to peer %s, which has the role api and holds no pins", pin.Cid, p)
		}
	}
	return nil
}

// allowed says whether pin may replace current, by the rules of upstream's
// Cluster.setupPin.
func allowed(current *api.Pin, pin api.Pin, now time.Time) error {
	if pin.ExpiredAt(now) {
		return fmt.Errorf("pin %s has an expire-at in the past (%s)", pin.Cid, pin.ExpireAt.Format(time.RFC3339))
	}
	if current == nil {
		return nil
	}
	if current.Type != pin.Type {
		return fmt.Errorf("pin %s is of type %s and cannot become %s: unpin it first", pin.Cid, current.Type, pin.Type)
	}
	if current.Mode == api.PinModeRecursive && pin.Mode != api.PinModeRecursive {
		return fmt.Errorf("pin %s is recursive and cannot become %s: unpin it first", pin.Cid, pin.Mode)
	}
	return nil
}
