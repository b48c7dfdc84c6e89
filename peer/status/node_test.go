package status

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"sync"
	"testing"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/version"
	"github.com/libp2p/go-libp2p"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/tracker"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// node is a peer whose tracker says that all is pinned but what is lost.
type node struct {
	host   host.Host
	pinset *pinset
	server *rpc.Server
	ended  <-chan struct{}

	mu     sync.Mutex
	asked  int
	cut    int  // its list fails after so many, if not 0
	broken bool // its list fails at once
	mixed  bool // its list is in no order
	silent bool // it does not answer
	fails  error
	lost   map[api.Cid]bool  // what its daemon does not have any more
	full   bool              // its queue has room for one
	blind  bool              // it cannot read the pinset
	closed bool              // it lets nobody ask
	unpins bool              // what it is not to hold
	filter api.TrackerStatus // of the last list
}

func newNode(t *testing.T, pins *pinset) *node {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	n := &node{host: h, pinset: pins, ended: t.Context().Done()}
	n.server = rpc.NewServer(h, version.RPCProtocol, rpc.WithAuthorizeFunc(func(peer.ID, string, string) bool {
		n.mu.Lock()
		defer n.mu.Unlock()
		return !n.closed
	}))
	for name, service := range map[string]any{"PinTracker": &trackerOf{n}, "Cluster": &clusterOf{n}} {
		if err := n.server.RegisterName(name, service); err != nil {
			t.Fatal(err)
		}
	}
	return n
}

func (n *node) set(f func()) {
	n.mu.Lock()
	defer n.mu.Unlock()
	f()
}

func (n *node) info(pin api.Pin) api.PinInfo {
	status := api.TrackerStatusPinned
	n.set(func() {
		if n.lost[pin.Cid] {
			status = api.TrackerStatusUnexpectedlyUnpinned
		}
	})
	return api.PinInfo{
		Cid: pin.Cid, Name: pin.Name, Peer: n.host.ID(), Allocations: pin.Allocations, Created: pin.Timestamp,
		PinInfoShort: api.PinInfoShort{Status: status},
	}
}

// trackerOf is its PinTracker.
type trackerOf struct{ n *node }

func (t *trackerOf) Status(ctx context.Context, in api.Cid, out *api.PinInfo) error {
	t.n.mu.Lock()
	t.n.asked++
	silent, blind, fails := t.n.silent, t.n.blind, t.n.fails
	t.n.mu.Unlock()
	if blind {
		*out = api.PinInfo{Cid: in, Peer: t.n.host.ID(), PinInfoShort: api.PinInfoShort{Status: api.TrackerStatusClusterError, Error: "no database"}}
		return nil
	}
	if silent {
		select {
		case <-ctx.Done():
		case <-t.n.ended: // gorpc does not tell of a client who has left
		}
		return context.Canceled
	}
	t.n.pinset.mu.Lock()
	defer t.n.pinset.mu.Unlock()
	*out = t.n.info(t.n.pinset.pins[in])
	return fails
}

func (t *trackerOf) StatusAll(ctx context.Context, in <-chan api.TrackerStatus, out chan<- api.PinInfo) error {
	defer close(out)
	filter := <-in
	t.n.mu.Lock()
	t.n.asked++
	t.n.filter = filter
	cut, mixed, silent, broken, unpins := t.n.cut, t.n.mixed, t.n.silent, t.n.broken, t.n.unpins
	t.n.mu.Unlock()
	if silent {
		select {
		case <-ctx.Done():
		case <-t.n.ended: // gorpc does not tell of a client who has left
		}
		return context.Canceled
	}
	if broken {
		return errors.New("it broke")
	}
	t.n.pinset.mu.Lock()
	all := t.n.pinset.ordered()
	t.n.pinset.mu.Unlock()
	if mixed {
		slices.Reverse(all)
	}
	for i, c := range all {
		pin := t.n.pinset.pins[c]
		if pin.Type == api.MetaType {
			continue
		}
		info := t.n.info(pin)
		if !pin.IsPinEverywhere() && !slices.Contains(pin.Allocations, t.n.host.ID()) {
			if !unpins {
				continue
			}
			info = api.PinInfo{Cid: c, Peer: info.Peer, PinInfoShort: api.PinInfoShort{Status: api.TrackerStatusUnpinning}}
		}
		if _, err := t.n.pinset.get(c); err != nil {
			info = api.PinInfo{Cid: c, Peer: info.Peer, PinInfoShort: api.PinInfoShort{Status: api.TrackerStatusClusterError, Error: err.Error()}}
		}
		if cut != 0 && i >= cut {
			return errors.New("it broke")
		}
		if !info.Status.Match(filter) {
			continue
		}
		select {
		case out <- info:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

// clusterOf is its Cluster.
type clusterOf struct{ n *node }

func (c *clusterOf) IPFSID(_ context.Context, in peer.ID, out *api.IPFSID) error {
	*out = api.IPFSID{ID: in}
	return nil
}

// RecoverAllLocal queues what is lost.
func (c *clusterOf) RecoverAllLocal(ctx context.Context, _ <-chan struct{}, out chan<- api.PinInfo) error {
	defer close(out)
	c.n.mu.Lock()
	lost, full, broken := c.n.lost, c.n.full, c.n.broken
	c.n.mu.Unlock()
	if broken {
		return errors.New("it broke")
	}
	c.n.pinset.mu.Lock()
	all := c.n.pinset.ordered()
	c.n.pinset.mu.Unlock()
	all = slices.DeleteFunc(all, func(c api.Cid) bool { return !lost[c] })
	for i, cid := range all {
		if full && i == 1 {
			return fmt.Errorf("recovering pins: %w", tracker.ErrFullQueue)
		}
		info := c.n.info(c.n.pinset.pins[cid])
		info.Status = api.TrackerStatusPinQueued
		select {
		case out <- info:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
}

func (c *clusterOf) PinGet(_ context.Context, in api.Cid, out *api.Pin) error {
	pin, ok := c.n.pinset.pins[in]
	if !ok {
		return state.ErrNotFound
	}
	*out = pin
	return nil
}

func (c *clusterOf) Pins(_ context.Context, in <-chan struct{}, out chan<- api.Pin) error {
	defer close(out)
	for range in {
	}
	for _, pin := range c.n.pinset.pins {
		out <- pin
	}
	return nil
}
