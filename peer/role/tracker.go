package role

import (
	"context"
	"fmt"
	"slices"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// Pinset is what a Tracker reads: by a quorum, whatever the consistency of other reads
// is, so that it never contradicts what was acknowledged.
type Pinset interface {
	// GetVersion is that of state.Conditional.
	GetVersion(ctx context.Context, c api.Cid) (*api.Pin, state.Revision, error)
	// ScanPiece is that of state.Scrubber.
	ScanPiece(ctx context.Context, piece, pieces int, f func(api.Pin, state.Revision) error, bad func(api.Cid, error)) error
}

// Tracker is the pin tracker of an API peer. It does no work: every pin is
// held by other peers, also those that are pinned everywhere. It is safe for
// concurrent use. Its calls end with their contexts, not with Shutdown.
type Tracker struct {
	id   peer.ID
	name string
	pins Pinset
}

// NewTracker makes the tracker of the peer with the given ID and name.
func NewTracker(id peer.ID, name string, pins Pinset) *Tracker {
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
// it cannot be read or decoded, the status is a cluster error.
func (t *Tracker) Status(ctx context.Context, c api.Cid) api.PinInfo {
	switch pin, _, err := t.pins.GetVersion(ctx, c); {
	case err != nil:
		return t.failed(c, err)
	case pin == nil:
		return t.bare(c, api.TrackerStatusUnpinned)
	default:
		return t.info(*pin)
	}
}

// StatusAll sends the status of every pin that matches the filter to out and
// closes it. A pin that cannot be decoded is a cluster error. It looks at the
// pinset only for a filter that one of these can match. An error means that pins
// are missing.
func (t *Tracker) StatusAll(ctx context.Context, filter api.TrackerStatus, out chan<- api.PinInfo) error {
	defer close(out)
	if !filter.Match(api.TrackerStatusRemote | api.TrackerStatusSharded | api.TrackerStatusClusterError) {
		return nil
	}
	send := func(info api.PinInfo) error {
		if !info.Status.Match(filter) {
			return nil
		}
		select {
		case out <- info:
			return nil
		case <-ctx.Done():
			return context.Cause(ctx)
		}
	}
	err := t.pins.ScanPiece(ctx, 0, 1, func(pin api.Pin, _ state.Revision) error {
		return send(t.info(pin))
	}, func(c api.Cid, bad error) {
		if !c.Defined() { // the row is not a pin
			logger.Errorf("listing the pins for their status: %s", bad)
			return
		}
		_ = send(t.failed(c, bad)) // it fails with ctx only, and the scan does so, too
	})
	if cause := context.Cause(ctx); cause != nil {
		err = cause
	}
	if err != nil {
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

// bare is what is said of a CID of whose pin nothing is known.
func (t *Tracker) bare(c api.Cid, status api.TrackerStatus) api.PinInfo {
	return api.PinInfo{
		Cid: c, Peer: t.id, PinInfoShort: api.PinInfoShort{PeerName: t.name, Status: status, TS: time.Now()},
	}
}

func (t *Tracker) failed(c api.Cid, err error) api.PinInfo {
	info := t.bare(c, api.TrackerStatusClusterError)
	info.Error = err.Error()
	return info
}
