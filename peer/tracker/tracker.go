// Package tracker is upstream's pin tracker for a pinset that is shared by all
// peers: when it looks for pins to recover, it looks at the pins of this peer.
package tracker

import (
	"context"
	"errors"
	"runtime/debug"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/pintracker/stateless"
	clusterstate "github.com/ipfs-cluster/ipfs-cluster/state"
	"github.com/libp2p/go-libp2p/core/peer"
)

// Tracker is a stateless.Tracker whose RecoverAll passes over the pins that
// other peers hold. Upstream makes a status of each of them first, to find that
// there is nothing to recover.
type Tracker struct{ *stateless.Tracker }

// New makes the tracker of the peer with the given ID and name over the pinset
// that pinset returns.
func New(cfg *stateless.Config, id peer.ID, name string, pinset func(context.Context) (clusterstate.ReadOnly, error)) *Tracker {
	return &Tracker{stateless.New(cfg, id, name, func(ctx context.Context) (clusterstate.ReadOnly, error) {
		all, err := pinset(ctx)
		if err != nil || ctx.Value(recovering{}) == nil {
			return all, err
		}
		return ownPins{ReadOnly: all, self: id}, nil
	})}
}

// recovering marks the context of RecoverAll, which upstream hands on to the
// function that gives it the pinset.
type recovering struct{}

// RecoverAll pins again what this peer should hold and IPFS does not, and
// repeats what failed. It closes out.
//
// It reads the whole pinset, in constant memory but with garbage that the
// runtime would keep for the next time, minutes away: it is given back.
func (t *Tracker) RecoverAll(ctx context.Context, out chan<- api.PinInfo) error {
	defer debug.FreeOSMemory()
	return t.Tracker.RecoverAll(context.WithValue(ctx, recovering{}, true), out)
}

// ownPins is a pinset that lists the pins of one peer only. Get and Has see all.
type ownPins struct {
	clusterstate.ReadOnly
	self peer.ID
}

// List sends the pins that the peer holds to out and closes it.
func (o ownPins) List(ctx context.Context, out chan<- api.Pin) error {
	defer close(out)
	ctx, cancel := context.WithCancel(ctx)
	defer cancel()
	all := make(chan api.Pin)
	listed := make(chan error, 1)
	go func() { listed <- o.ReadOnly.List(ctx, all) }()
	var left error
	for pin := range all {
		if left != nil || pin.Type == api.MetaType || pin.IsRemotePin(o.self) {
			continue
		}
		select {
		case out <- pin:
		case <-ctx.Done():
			left = ctx.Err()
		}
	}
	return errors.Join(left, <-listed)
}
