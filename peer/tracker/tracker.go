// Package tracker is upstream's pin tracker for a pinset that is shared by all
// peers: it looks at the pins of this peer, and at those of the others only
// when it is asked for them.
package tracker

import (
	"context"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/pintracker/stateless"
	clusterstate "github.com/ipfs-cluster/ipfs-cluster/state"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Pinset is where the pins are.
type Pinset interface {
	clusterstate.ReadOnly
	state.OwnPins
}

// Tracker is a stateless.Tracker that lists the pins of its peer without a walk
// over the pinset. Upstream makes a status of each pin there is, to find that
// most of them are no work of this peer.
type Tracker struct{ *stateless.Tracker }

// New makes the tracker of the peer with the given ID and name.
func New(cfg *stateless.Config, id peer.ID, name string, pins Pinset) *Tracker {
	return &Tracker{stateless.New(cfg, id, name, func(ctx context.Context) (clusterstate.ReadOnly, error) {
		switch {
		case ctx.Value(everything{}) != nil:
			return pins, nil
		case ctx.Value(operations{}) != nil:
			return noPins{}, nil
		}
		return ownPins{Pinset: pins, self: id}, nil
	})}
}

// These mark a context in which the pins of all peers are wanted, or none because
// only what the tracker is at matters. Upstream hands the context on to the function
// that gives it the pinset.
type (
	everything struct{}
	operations struct{}
)

// Operation returns what the tracker is at with the CID, or how that failed. Unlike
// Status it asks neither the pinset nor IPFS: what is at no operation is unpinned.
func (t *Tracker) Operation(ctx context.Context, c api.Cid) api.TrackerStatus {
	return t.Status(context.WithValue(ctx, operations{}, true), c).Status
}

// StatusAll sends the status of every pin that matches the filter to out and
// closes it. Pins of other peers (remote) and those of no peer (sharded) are looked at
// only if the filter matches them.
func (t *Tracker) StatusAll(ctx context.Context, filter api.TrackerStatus, out chan<- api.PinInfo) error {
	if filter.Match(api.TrackerStatusRemote | api.TrackerStatusSharded) {
		ctx = context.WithValue(ctx, everything{}, true)
	}
	return t.Tracker.StatusAll(ctx, filter, out)
}

// noPins is a pinset without pins, of which only Get is used.
type noPins struct{ clusterstate.ReadOnly }

// Get returns state.ErrNotFound.
func (noPins) Get(context.Context, api.Cid) (api.Pin, error) {
	return api.Pin{}, state.ErrNotFound
}

// ownPins is a pinset that lists the pins of one peer only. Get and Has see all.
type ownPins struct {
	Pinset
	self peer.ID
}

// List sends the pins that the peer holds to out and closes it.
func (o ownPins) List(ctx context.Context, out chan<- api.Pin) error {
	return o.ListOwn(ctx, o.self, out)
}
