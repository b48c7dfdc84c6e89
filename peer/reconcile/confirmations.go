package reconcile

import (
	"context"
	"sync"

	"github.com/ipfs-cluster/ipfs-cluster/api"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// maxConfirmations bounds those that wait. The moves of the others are ended by the look
// through what a dead peer holds, an hour later, or by the scrub.
const maxConfirmations = 1 << 16

// Confirmations are the pins that a peer holds, and whose move may be complete because it
// has noted so: they wait until it can judge who else counts, which it cannot when it
// has just started. The zero value is ready for use. It is safe for concurrent use.
type Confirmations struct {
	mu   sync.Mutex
	pins map[api.Cid]confirmation
}

// confirmation is a revision of a pin that was confirmed.
type confirmation struct {
	pin api.Pin
	rev state.Revision
}

// Confirmed takes note of a pin of which it was noted that IPFS has that revision. It does
// no I/O.
func (c *Confirmations) Confirmed(_ context.Context, pin api.Pin, rev state.Revision) {
	if !inMove(pin) {
		return
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	c.put(pin.Cid, confirmation{pin, rev})
}

// put takes the newest of a CID. The caller holds the lock.
func (c *Confirmations) put(id api.Cid, confirmed confirmation) {
	if c.pins == nil {
		c.pins = make(map[api.Cid]confirmation)
	}
	if _, there := c.pins[id]; there || len(c.pins) < maxConfirmations {
		c.pins[id] = confirmed
	}
}

// take returns what has come since the last call.
func (c *Confirmations) take() map[api.Cid]confirmation {
	c.mu.Lock()
	defer c.mu.Unlock()
	taken := c.pins
	c.pins = nil
	return taken
}

// putBack keeps what could not be looked at, unless a newer one has come.
func (c *Confirmations) putBack(id api.Cid, confirmed confirmation) {
	c.mu.Lock()
	defer c.mu.Unlock()
	if _, there := c.pins[id]; !there {
		c.put(id, confirmed)
	}
}
