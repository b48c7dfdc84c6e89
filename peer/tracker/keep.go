package tracker

import (
	"context"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Content that this peer is not to hold any more, while others are, stays until
// enough of them have it, whoever took the pin off this peer: it may have the only
// copy. See ADR 0018.

// keeps counts the others that have what they are given instead of this peer, and says
// why that is not enough, "" if it is. Those count that are alive and have it pinned in
// exactly the revision that is wanted: they have gone through all that they were to do
// in earlier ones.
// Operator Counts of spec/Moves.tla.
func (t *Tracker) keeps(ctx context.Context, w wanted) (why string, err error) {
	if w.given == nil {
		return "", nil
	}
	have, need := 0, max(1, w.given.ReplicationFactorMin)
	for _, p := range w.given.Allocations {
		if p == t.opts.Self || !t.opts.Live(p) {
			continue
		}
		row, there, err := t.opts.Store.GetPlacement(ctx, p, w.given.Cid)
		if err != nil {
			return "", fmt.Errorf("finding whether %s has it: %w", p, err)
		}
		if there && row.Status == state.PlacementPinned && row.Rev == w.rev {
			have++
		}
		if have == need {
			return "", nil
		}
	}
	return fmt.Sprintf("it stays until other peers have it: %d do, %d must", have, need), nil
}

// lacks tells whether IPFS says that it has no pin of what this peer is to let go, and it
// is not to be expected that it will: then there is nothing to keep.
func (t *Tracker) lacks(ctx context.Context, was op, depth *api.PinDepth) bool {
	if was.doubt {
		return false
	}
	pin := api.PinCid(was.cid)
	if depth != nil && *depth == 0 {
		pin.MaxDepth, pin.Mode = 0, api.PinModeDirect
	}
	held, err := t.askKubo(ctx, pin)
	return err == nil && !held
}

// keep counts again later, after growing pauses.
func (t *Tracker) keep(o *op, why string) {
	o.err = why
	wait := min(firstRetry<<min(o.counted, 16), lastRetry)
	o.counted++
	t.fail(o, unpinKept, wait)
}

// sayKept says how much stays.
func (t *Tracker) sayKept() {
	if n := t.counts[unpinKept].Load() + t.leftKept.Swap(0); n > 0 {
		logger.Warnf("%d pins that were given to other peers stay with this one, because too few of those have them yet", n)
	}
}
