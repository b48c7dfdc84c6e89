package placement

import (
	"context"
	"fmt"
	"slices"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.opencensus.io/trace"
)

// IPFS is upstream's IPFSConnector, whose package imports this one's users.
type IPFS interface {
	SetClient(client *rpc.Client)
	Shutdown(ctx context.Context) error
	Ready(ctx context.Context) <-chan struct{}
	ID(ctx context.Context) (api.IPFSID, error)
	Pin(ctx context.Context, pin api.Pin) error
	Unpin(ctx context.Context, c api.Cid) error
	PinLsCid(ctx context.Context, pin api.Pin) (api.IPFSPinStatus, error)
	PinLs(ctx context.Context, typeFilters []string, out chan<- api.IPFSPinInfo) error
	ConnectSwarms(ctx context.Context) error
	SwarmPeers(ctx context.Context) ([]peer.ID, error)
	ConfigKey(keypath string) (interface{}, error)
	RepoStat(ctx context.Context) (api.IPFSRepoStat, error)
	RepoGC(ctx context.Context) (api.RepoGC, error)
	Resolve(ctx context.Context, path string) (api.Cid, error)
	BlockStream(ctx context.Context, blocks <-chan api.NodeWithMeta) error
	BlockGet(ctx context.Context, c api.Cid) ([]byte, error)
}

// Connector is an IPFS connector that tells a Ledger what came of pinning and
// unpinning.
type Connector struct {
	IPFS
	ledger *Ledger
}

// Record makes the Connector of a peer over that to its IPFS daemon.
func (l *Ledger) Record(ipfs IPFS) *Connector { return &Connector{IPFS: ipfs, ledger: l} }

// Pin pins in IPFS and notes the outcome. What was cancelled, because the peer
// stops or because something else is to be done with the CID, is none.
func (c *Connector) Pin(ctx context.Context, pin api.Pin) error {
	ctx, span := c.ledger.linked(ctx, "placement/Pin", pin.Cid)
	defer span.End()

	err := c.update(ctx, pin)
	if err != nil && pin.MaxDepth == 0 && ctx.Err() == nil {
		err = c.pinRootOnly(ctx, pin, err)
	}
	if ctx.Err() == nil {
		c.ledger.pinned(ctx, pin, err)
	}
	return err
}

// update pins, and pins what updates another pin again, without that one, if it
// was unpinned meanwhile. Upstream's connector looks whether IPFS has the other pin
// and fails when it is gone before the update.
func (c *Connector) update(ctx context.Context, pin api.Pin) error {
	from := pin.PinUpdate
	if !from.Defined() || from == pin.Cid {
		return c.IPFS.Pin(ctx, pin)
	}
	before, err := c.recursive(ctx, from)
	if err != nil {
		return err
	}
	cause := c.IPFS.Pin(ctx, pin)
	if cause == nil || !before || ctx.Err() != nil {
		return cause
	}
	if after, err := c.recursive(ctx, from); err != nil || after {
		return cause
	}
	pin.PinUpdate = api.CidUndef
	return c.IPFS.Pin(ctx, pin)
}

// recursive says whether IPFS has a recursive pin of the CID.
func (c *Connector) recursive(ctx context.Context, cid api.Cid) (bool, error) {
	status, err := c.IPFS.PinLsCid(ctx, api.PinCid(cid))
	return status == api.IPFSPinStatusRecursive, err
}

// pinRootOnly pins directly what IPFS refuses to because it has a recursive pin
// of it: one that was removed, and of whose removal this peer learned together
// with the new pin. cause is returned when that is not the reason.
func (c *Connector) pinRootOnly(ctx context.Context, pin api.Pin, cause error) error {
	if recursive, err := c.recursive(ctx, pin.Cid); err != nil || !recursive {
		return cause
	}
	if err := c.IPFS.Unpin(ctx, pin.Cid); err != nil {
		return fmt.Errorf("%w, and it could not be unpinned: %w", cause, err)
	}
	return c.IPFS.Pin(ctx, pin)
}

// Unpin unpins in IPFS and notes the outcome.
func (c *Connector) Unpin(ctx context.Context, cid api.Cid) error {
	ctx, span := c.ledger.linked(ctx, "placement/Unpin", cid)
	defer span.End()

	err := c.IPFS.Unpin(ctx, cid)
	if ctx.Err() == nil {
		c.ledger.unpinned(ctx, cid, err)
	}
	return err
}

// PinLs lists the pins of all the given types and closes out. Upstream's
// connector ends after the first type, and reports how many it listed as the
// number of pins: of the types that are asked for, recursive comes first.
func (c *Connector) PinLs(ctx context.Context, typeFilters []string, out chan<- api.IPFSPinInfo) error {
	defer close(out)
	for _, filter := range slices.Backward(typeFilters) {
		one := make(chan api.IPFSPinInfo)
		listed := make(chan error, 1)
		inner, cancel := context.WithCancel(ctx)
		go func() { listed <- c.IPFS.PinLs(inner, []string{filter}, one) }()
		for info := range one {
			select {
			case out <- info:
			case <-ctx.Done():
				cancel()
			}
		}
		cancel()
		if err := <-listed; err != nil {
			return err
		}
	}
	return ctx.Err()
}

// linked starts a span that is linked to the write which caused the work: the
// tracker works on a context of its own.
func (l *Ledger) linked(ctx context.Context, name string, c api.Cid) (context.Context, *trace.Span) {
	ctx, span := trace.StartSpan(ctx, name)
	l.mu.Lock()
	w := l.work[c]
	l.mu.Unlock()
	if w == nil {
		return ctx, span
	}
	w.mu.Lock()
	text := w.trace
	w.mu.Unlock()
	if cause, ok := parseTraceparent(text); ok {
		span.AddLink(trace.Link{TraceID: cause.TraceID, SpanID: cause.SpanID, Type: trace.LinkTypeParent})
	}
	return ctx, span
}
