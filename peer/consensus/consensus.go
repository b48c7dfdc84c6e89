// Package consensus lets an ipfs-cluster peer use a pinset that is shared by all
// peers, in place of one that the peers agree on among themselves.
//
// A pin is durable when LogPin returns: the store has it. Each peer reads its
// own feed of the store and tells its own pin tracker. Nothing is sent from
// peer to peer, and a peer has nothing to load before it is ready.
package consensus

import (
	"context"
	"errors"
	"fmt"
	"sync"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	clusterstate "github.com/ipfs-cluster/ipfs-cluster/state"
	logging "github.com/ipfs/go-log/v2"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"go.opencensus.io/trace"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var logger = logging.Logger("sharedstate")

// Errors of the parts of the interface that have no meaning here.
var (
	// ErrNoLeader is returned by Leader: no peer leads.
	ErrNoLeader = errors.New("the shared pinset has no leader among the peers")
	// errShutdown ends calls after Shutdown.
	errShutdown = errors.New("the peer is shutting down")
)

// protectTag protects the connections to trusted peers.
const protectTag = "sharedstate"

// Options are what a Consensus works with.
type Options struct {
	// Store is the shared pinset. Consensus does not close it.
	Store state.Store
	// Updater writes to the same pinset.
	Updater state.Updater
	// Feed delivers the changes that concern this peer, to Handle, from when
	// the other components of the peer are ready.
	Feed   state.Feed
	Handle state.Handler
	// Members knows the peers of the cluster.
	Members Members
	// TrustAll trusts every peer, TrustedPeers the given ones.
	TrustAll     bool
	TrustedPeers []peer.ID
	// Accepted is told of each pin that was stored by LogPin, with its revision, if the
	// store notes that. It must not wait. It may be nil.
	Accepted func(pin api.Pin, rev state.Revision)
	// Lost is called when another process reads the feed of this peer: it
	// runs with the same identity and this one must stop. It may be nil.
	Lost func(error)
}

// Members are the peers of the cluster.
type Members interface {
	// Peers returns the peers that are alive, and this one unless it was
	// removed, in order. It answers from memory.
	Peers(ctx context.Context) ([]peer.ID, error)
	// Remove takes a peer out of the cluster.
	Remove(ctx context.Context, p peer.ID) error
	// CanHold is false for a peer that is known to hold no pins.
	CanHold(p peer.ID) bool
}

// Consensus implements upstream's Consensus component. It is safe for
// concurrent use.
type Consensus struct {
	host host.Host
	opts Options

	client chan struct{} // closed when the components have their RPC client
	once   sync.Once
	ready  chan struct{}

	mu      sync.RWMutex
	trusted map[peer.ID]struct{}

	ctx    context.Context
	cancel context.CancelCauseFunc
	done   chan struct{} // closed when the feed is not read any more
}

// New makes the component. It starts to read the feed when it gets its RPC
// client.
func New(h host.Host, opts Options) *Consensus {
	ctx, cancel := context.WithCancelCause(context.Background())
	c := &Consensus{
		host: h, opts: opts,
		client:  make(chan struct{}),
		ready:   make(chan struct{}, 1),
		trusted: make(map[peer.ID]struct{}),
		ctx:     ctx, cancel: cancel,
		done: make(chan struct{}),
	}
	for _, p := range opts.TrustedPeers {
		c.trust(p)
	}
	go c.run()
	return c
}

// run waits for the client and reads the feed until Shutdown.
func (c *Consensus) run() {
	defer close(c.done)
	select {
	case <-c.ctx.Done():
		return
	case <-c.client:
	}
	c.ready <- struct{}{}
	err := c.opts.Feed.Consume(c.ctx, c.opts.Handle)
	if c.ctx.Err() != nil {
		return
	}
	logger.Errorf("this peer does not learn of changes any more: %s", err)
	if c.opts.Lost != nil {
		c.opts.Lost(err)
	}
}

// SetClient tells that the components of the peer are ready: the tracker gets
// its client before the consensus does.
func (c *Consensus) SetClient(*rpc.Client) {
	c.once.Do(func() { close(c.client) })
}

// Ready returns a channel that gets one value when the component has its client.
// There is nothing to load, at any size of the pinset.
func (c *Consensus) Ready(context.Context) <-chan struct{} { return c.ready }

// Shutdown ends the reading of the feed and waits for it. It may be called
// again. LogPin and LogUnpin fail from then on.
func (c *Consensus) Shutdown(ctx context.Context) error {
	c.cancel(errShutdown)
	select {
	case <-c.done:
		return nil
	case <-ctx.Done():
		return fmt.Errorf("waiting for the work on changes to end: %w", context.Cause(ctx))
	}
}

// State returns the shared pinset, which is a full Store. It never fails before
// Shutdown: upstream's alert handler gives up for ever on an error here.
func (c *Consensus) State(context.Context) (clusterstate.ReadOnly, error) {
	if c.ctx.Err() != nil {
		return nil, errShutdown
	}
	return c.opts.Store, nil
}

// Clean does nothing: the pinset belongs to all peers, and the others need the
// rows of this one to hand its pins over. Upstream calls it by itself when a
// peer leaves.
func (c *Consensus) Clean(context.Context) error { return nil }

// WaitForSync returns at once: the pinset is always up to date.
func (c *Consensus) WaitForSync(context.Context) error { return nil }

// Leader returns ErrNoLeader.
func (c *Consensus) Leader(context.Context) (peer.ID, error) { return "", ErrNoLeader }

// AddPeer does nothing: a peer adds itself when it starts. Any peer may call it,
// so it must not grant anything.
func (c *Consensus) AddPeer(context.Context, peer.ID) error { return nil }

// RmPeer takes a peer out of the cluster. It stops when it notices, and stays
// out when it is started again. With repinning enabled a peer that is alive
// hands its pins over first.
func (c *Consensus) RmPeer(ctx context.Context, p peer.ID) error {
	ctx, span := trace.StartSpan(ctx, "consensus/RmPeer")
	defer span.End()
	return c.opts.Members.Remove(ctx, p)
}

// Peers returns the peers that are alive, and always this one unless it was
// removed, in order. An error means that they are not known now.
func (c *Consensus) Peers(ctx context.Context) ([]peer.ID, error) {
	return c.opts.Members.Peers(ctx)
}

// IsTrustedPeer reports whether the peer may use the RPC endpoints that are
// closed to others. It answers from memory.
func (c *Consensus) IsTrustedPeer(_ context.Context, p peer.ID) bool {
	if c.opts.TrustAll || p == c.host.ID() {
		return true
	}
	c.mu.RLock()
	defer c.mu.RUnlock()
	_, ok := c.trusted[p]
	return ok
}

// Trust adds a peer to the trusted ones, until the process ends.
func (c *Consensus) Trust(_ context.Context, p peer.ID) error {
	c.trust(p)
	return nil
}

func (c *Consensus) trust(p peer.ID) {
	c.mu.Lock()
	defer c.mu.Unlock()
	c.trusted[p] = struct{}{}
	if m := c.host.ConnManager(); m != nil {
		m.Protect(p, protectTag)
	}
}

// Distrust takes a peer off the trusted ones.
func (c *Consensus) Distrust(_ context.Context, p peer.ID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	delete(c.trusted, p)
	if m := c.host.ConnManager(); m != nil {
		m.Unprotect(p, protectTag)
	}
	return nil
}
