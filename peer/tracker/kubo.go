package tracker

import (
	"context"
	"errors"
	"fmt"

	"github.com/ipfs-cluster/ipfs-cluster/api"
)

// Daemon is what a Tracker needs of upstream's IPFSConnector.
type Daemon interface {
	Pin(ctx context.Context, pin api.Pin) error
	Unpin(ctx context.Context, c api.Cid) error
	PinLsCid(ctx context.Context, pin api.Pin) (api.IPFSPinStatus, error)
	PinLs(ctx context.Context, typeFilters []string, out chan<- api.IPFSPinInfo) error
}

var (
	errForeignPin  = errors.New("IPFS has a recursive pin of it that this cluster is not known to have made: a direct pin cannot be made beside it")
	errStillPinned = errors.New("IPFS has it pinned after it was unpinned")
	errNotPinned   = errors.New("IPFS has not pinned it, although the request succeeded: it may have ended while it worked on that")
)

// pin lets IPFS pin, and says what is to be noted of that. claimed is the depth to which
// this peer has it pinned, as far as the row tells.
func (t *Tracker) pin(ctx context.Context, pin api.Pin, claimed *api.PinDepth) outcome {
	err := t.update(ctx, pin)
	if err == nil {
		return outcome{depth: &pin.MaxDepth}
	}
	if pin.MaxDepth != 0 || ctx.Err() != nil {
		return outcome{err: err}
	}
	if recursive, lsErr := t.recursive(ctx, pin.Cid); lsErr != nil || !recursive {
		return outcome{err: err}
	}
	return t.replace(ctx, pin, claimed)
}

// replace pins directly what IPFS has pinned recursively, which it refuses to do
// besides. Only a recursive pin that this peer made goes for it: the row names that,
// and does not say any more that it is pinned.
func (t *Tracker) replace(ctx context.Context, pin api.Pin, claimed *api.PinDepth) outcome {
	switch {
	case claimed == nil: // it may be of this peer: the row goes on to say so
		return outcome{err: errForeignPin}
	case *claimed == 0:
		return outcome{err: errForeignPin, depth: claimed}
	}
	if err := t.opts.Daemon.Unpin(ctx, pin.Cid); err != nil {
		return outcome{err: fmt.Errorf("replacing a recursive pin: %w", err), unpins: true}
	}
	return outcome{err: t.pinChecked(ctx, pin), depth: &pin.MaxDepth}
}

// pinChecked lets IPFS pin, and looks whether it has. Upstream's connector takes any end of
// the answer for a success, also one with an error in its trailer, and others will
// count on what is noted as pinned.
func (t *Tracker) pinChecked(ctx context.Context, pin api.Pin) error {
	if err := t.opts.Daemon.Pin(ctx, pin); err != nil {
		return err
	}
	status, err := t.opts.Daemon.PinLsCid(ctx, pin)
	if err == nil && !status.IsPinned(pin.MaxDepth) {
		return errNotPinned
	}
	return err
}

// update pins, and pins what updates another pin again, without that one, if it
// was unpinned meanwhile. Upstream's connector looks whether IPFS has the other pin
// and fails when it is gone before the update.
func (t *Tracker) update(ctx context.Context, pin api.Pin) error {
	from := pin.PinUpdate
	if !from.Defined() || from == pin.Cid {
		return t.pinChecked(ctx, pin)
	}
	before, err := t.recursive(ctx, from)
	if err != nil {
		return err
	}
	cause := t.pinChecked(ctx, pin)
	if cause == nil || !before || ctx.Err() != nil {
		return cause
	}
	if after, err := t.recursive(ctx, from); err != nil || after {
		return cause
	}
	pin.PinUpdate = api.CidUndef
	return t.pinChecked(ctx, pin)
}

// recursive says whether IPFS has a recursive pin of the CID.
func (t *Tracker) recursive(ctx context.Context, c api.Cid) (bool, error) {
	status, err := t.opts.Daemon.PinLsCid(ctx, api.PinCid(c))
	return status == api.IPFSPinStatusRecursive, err
}

// unpin lets IPFS unpin what it has pinned to a depth for this peer, nil if that is
// not known.
func (t *Tracker) unpin(ctx context.Context, c api.Cid, depth *api.PinDepth) error {
	pin := api.PinCid(c)
	if depth != nil && *depth == 0 {
		// A recursive pin took the place of the direct one: it is somebody else's.
		if recursive, err := t.recursive(ctx, c); err != nil || recursive {
			return err
		}
		pin.MaxDepth, pin.Mode = 0, api.PinModeDirect
	}
	// Also if IPFS says that it has none: a pin that was cancelled may yet end.
	if err := t.opts.Daemon.Unpin(ctx, c); err != nil {
		return err
	}
	status, err := t.opts.Daemon.PinLsCid(ctx, pin)
	if err == nil && status.IsPinned(pin.MaxDepth) {
		return errStillPinned
	}
	return err
}

// kuboAnswers returns an error if IPFS does not answer: then of no pin can be said that
// it is pinned. The CID that it asks for is that of no bytes, which IPFS has without
// looking for it.
func (t *Tracker) kuboAnswers(ctx context.Context) error {
	c, err := api.DecodeCid("bafkqaaa")
	if err == nil {
		_, err = t.askKubo(ctx, api.PinCid(c))
	}
	if err != nil {
		return fmt.Errorf("asking whether IPFS answers: %w", err)
	}
	return nil
}
