package role

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	clusterstate "github.com/ipfs-cluster/ipfs-cluster/state"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/peer"
)

// listAhead is how many pins a listing may be ahead of who reads the statuses.
const listAhead = 1024

// Tracker is the pin tracker of an API peer. It does no work: every pin is
// held by other peers, also those that are pinned everywhere. It is safe for
// concurrent use. Its calls end with their contexts, not with Shutdown.
type Tracker struct {
	id   peer.ID
	name string
	pins clusterstate.ReadOnly
}

// NewTracker makes the tracker of the peer with the given ID and name.
func NewTracker(id peer.ID, name string, pins clusterstate.ReadOnly) *Tracker {
	return &Tracker{id: id, name: name, pins: pins}
}

// Track does nothing. A pin that is allocated to this peer is an error: nobody
// would hold that copy.
func (t *Tracker) Track(_ context.Context, pin api.Pin) error {
	if pin.Type != api.MetaType && !pin.IsPinEverywhere() && slices.Contains(pin.Allocations, t.id) {
		return fmt.Errorf("tracking %s: %w", pin.Cid, refusal(t.id, "it cannot hold pins"))
	}
	return nil
}

// Untrack does nothing.
func (t *Tracker) Untrack(context.Context, api.Cid) error { return nil }

// Status reads the pin and tells that it is remote, sharded or not pinned. When
// it cannot be read, the status is a cluster error.
func (t *Tracker) Status(ctx context.Context, c api.Cid) api.PinInfo {
	pin, err := t.pins.Get(ctx, c)
	if err == nil {
		return t.info(pin)
	}
	info := api.PinInfo{Cid: c, Peer: t.id, PinInfoShort: api.PinInfoShort{PeerName: t.name, TS: time.Now()}}
	if errors.Is(err, clusterstate.ErrNotFound) {
		info.Status = api.TrackerStatusUnpinned
		return info
	}
	info.Status, info.Error = api.TrackerStatusClusterError, err.Error()
	return info
}

// StatusAll sends the status of every pin that matches the filter to out and
// closes it. It looks at the pinset only if remote or sharded pins match. An
// error means that pins are missing.
func (t *Tracker) StatusAll(ctx context.Context, filter api.TrackerStatus, out chan<- api.PinInfo) error {
	defer close(out)
	if !filter.Match(api.TrackerStatusRemote | api.TrackerStatusSharded) {
		return nil
	}
	pins, listed := make(chan api.Pin, listAhead), make(chan error, 1)
	go func() { listed <- t.pins.List(ctx, pins) }()
	for pin := range pins {
		info := t.info(pin)
		if !filter.Match(info.Status) {
			continue
		}
		select {
		case out <- info:
		case <-ctx.Done():
			return fmt.Errorf("sending the status of the pins: %w", context.Cause(ctx))
		}
	}
	if err := <-listed; err != nil {
		return fmt.Errorf("listing the pins for their status: %w", err)
	}
	return nil
}

// RecoverAll closes out: there is nothing to recover.
func (t *Tracker) RecoverAll(_ context.Context, out chan<- api.PinInfo) error {
	close(out)
	return nil
}

// Recover returns the status of the pin: there is nothing to recover.
func (t *Tracker) Recover(ctx context.Context, c api.Cid) (api.PinInfo, error) {
	return t.Status(ctx, c), nil
}

// PinQueueSize returns 0.
func (t *Tracker) PinQueueSize(context.Context) (int64, error) { return 0, nil }

// SetClient does nothing: a Tracker needs no other component.
func (t *Tracker) SetClient(*rpc.Client) {}

// Shutdown does nothing.
func (t *Tracker) Shutdown(context.Context) error { return nil }

// info is what upstream's tracker says of a pin of other peers.
func (t *Tracker) info(pin api.Pin) api.PinInfo {
	status := api.TrackerStatusRemote
	if pin.Type == api.MetaType {
		status = api.TrackerStatusSharded
	}
	return api.PinInfo{
		Cid:         pin.Cid,
		Name:        pin.Name,
		Peer:        t.id,
		Allocations: pin.Allocations,
		Origins:     pin.Origins,
		Created:     pin.Timestamp,
		Metadata:    pin.Metadata,
		PinInfoShort: api.PinInfoShort{
			PeerName: t.name,
			Status:   status,
			TS:       pin.Timestamp,
		},
	}
}
