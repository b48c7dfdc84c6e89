package consensus

import (
	"context"
	"fmt"
	"sync"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// act brings this peer's IPFS daemon in line with a change, by its pin tracker.
//
// A pin is done when the tracker has accepted it: upstream's recovery finds
// pins that are missing in IPFS. It never looks for content that should be gone,
// so a removal is done only when the tracker reports it done, and is asked for
// again otherwise.
func (c *Consensus) act(ctx context.Context, ch state.Change) error {
	if ch.Pin != nil && (ch.Pin.Type == api.MetaType || !ch.Pin.IsRemotePin(c.host.ID())) {
		c.removals.end(ch.Cid)
		if err := c.rpc.CallContext(ctx, "", "PinTracker", "Track", *ch.Pin, &struct{}{}); err != nil {
			return fmt.Errorf("telling the tracker to pin %s: %w", ch.Cid, err)
		}
		return nil
	}
	if c.removals.begin(ch.Cid) {
		if err := c.rpc.CallContext(ctx, "", "PinTracker", "Untrack", api.PinCid(ch.Cid), &struct{}{}); err != nil {
			c.removals.end(ch.Cid)
			return fmt.Errorf("telling the tracker to unpin %s: %w", ch.Cid, err)
		}
	}
	err := c.gone(ctx, ch.Cid)
	if err != state.ErrNotYet { //nolint:errorlint // gone returns it bare
		c.removals.end(ch.Cid)
	}
	return err
}

// gone returns nil when the tracker has nothing to do for the CID,
// state.ErrNotYet while it unpins, and an error when the unpin failed or
// something else, such as a recovery that came in between, took its place.
func (c *Consensus) gone(ctx context.Context, cid api.Cid) error {
	var info api.PinInfo
	if err := c.rpc.CallContext(ctx, "", "PinTracker", "Status", cid, &info); err != nil {
		return fmt.Errorf("asking the tracker whether %s is unpinned: %w", cid, err)
	}
	switch info.Status {
	case api.TrackerStatusUnpinned, api.TrackerStatusRemote, api.TrackerStatusSharded:
		return nil
	case api.TrackerStatusUnpinQueued, api.TrackerStatusUnpinning:
		return state.ErrNotYet
	default:
		return fmt.Errorf("%s is to be unpinned and is %s: %s", cid, info.Status, info.Error)
	}
}

// removals are the CIDs that the tracker was told to unpin, until it has.
type removals struct {
	mu   sync.Mutex
	cids map[api.Cid]struct{}
}

// begin reports whether the tracker must be told.
func (r *removals) begin(c api.Cid) bool {
	r.mu.Lock()
	defer r.mu.Unlock()
	if _, told := r.cids[c]; told {
		return false
	}
	if r.cids == nil {
		r.cids = make(map[api.Cid]struct{})
	}
	r.cids[c] = struct{}{}
	return true
}

func (r *removals) end(c api.Cid) {
	r.mu.Lock()
	defer r.mu.Unlock()
	delete(r.cids, c)
}
