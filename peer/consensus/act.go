package consensus

import (
	"context"
	"fmt"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

const (
	firstLook = 5 * time.Millisecond
	lastLook  = 500 * time.Millisecond
)

// act brings this peer's IPFS daemon in line with a change, by its pin tracker.
//
// A pin is done when the tracker has accepted it: upstream's recovery finds
// pins that are missing in IPFS. It never looks for content that should be gone,
// so a removal is done only when the tracker reports it done, and is asked for
// again otherwise.
func (c *Consensus) act(ctx context.Context, ch state.Change) error {
	if ch.Pin != nil && (ch.Pin.Type == api.MetaType || !ch.Pin.IsRemotePin(c.host.ID())) {
		if err := c.rpc.CallContext(ctx, "", "PinTracker", "Track", *ch.Pin, &struct{}{}); err != nil {
			return fmt.Errorf("telling the tracker to pin %s: %w", ch.Cid, err)
		}
		return nil
	}
	if err := c.rpc.CallContext(ctx, "", "PinTracker", "Untrack", api.PinCid(ch.Cid), &struct{}{}); err != nil {
		return fmt.Errorf("telling the tracker to unpin %s: %w", ch.Cid, err)
	}
	return c.untilGone(ctx, ch.Cid)
}

// untilGone waits until the tracker has no unpin under way for the CID, and
// fails when the unpin did.
func (c *Consensus) untilGone(ctx context.Context, cid api.Cid) error {
	for wait := firstLook; ; wait = min(2*wait, lastLook) {
		var info api.PinInfo
		if err := c.rpc.CallContext(ctx, "", "PinTracker", "Status", cid, &info); err != nil {
			return fmt.Errorf("asking the tracker whether %s is unpinned: %w", cid, err)
		}
		switch info.Status {
		case api.TrackerStatusUnpinQueued, api.TrackerStatusUnpinning:
		case api.TrackerStatusUnpinError, api.TrackerStatusClusterError:
			return fmt.Errorf("%s is not unpinned: %s", cid, info.Error)
		default:
			return nil
		}
		select {
		case <-ctx.Done():
			return context.Cause(ctx)
		case <-time.After(wait):
		}
	}
}
