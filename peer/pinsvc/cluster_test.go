package pinsvc

import (
	"context"
	"fmt"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// down is what the database says that does not serve.
type down struct{}

func (down) Error() string     { return "no node of the database is up" }
func (down) Unavailable() bool { return true }

// cluster is a cluster in memory, whose peers say of each pin what they are told to.
type cluster struct {
	mu      sync.Mutex
	pins    map[api.Cid]api.Pin
	says    map[api.Cid][]api.TrackerStatus // of each peer, pin_queued if there is none
	err     error                           // of every call
	dead    bool                            // those with a cluster_error
	corrupt map[api.Cid]bool
	late    error // of a listing, at its end
	made    int   // pins so far
	// removing is what somebody else removes as soon as another pin was made.
	removing api.Cid
	// changing is called when a pin was read.
	changing func(api.Cid)
}

func (c *cluster) set(f func()) {
	c.mu.Lock()
	defer c.mu.Unlock()
	f()
}

func (c *cluster) info(id api.Cid) (all api.GlobalPinInfo) {
	pin, there := c.pins[id]
	says := c.says[id]
	switch {
	case !there:
		says = []api.TrackerStatus{api.TrackerStatusUnpinned}
	case says == nil:
		says = []api.TrackerStatus{api.TrackerStatusPinQueued}
	}
	for i, s := range says {
		all.Add(api.PinInfo{
			Cid: id, Name: pin.Name, Peer: statetest.Peer(fmt.Sprint(i)), Created: pin.Timestamp, Metadata: pin.Metadata, Origins: pin.Origins,
			PinInfoShort: api.PinInfoShort{Status: s, Error: c.errorOf(id, s, i), IPFSAddresses: addresses(id.String() + fmt.Sprint(i))},
		})
	}
	all.Cid = id
	return all
}

func (c *cluster) errorOf(id api.Cid, s api.TrackerStatus, i int) string {
	switch {
	case !s.Match(api.TrackerStatusError):
		return ""
	case c.corrupt[id]:
		return state.CorruptText(id) + ": error of the decoder"
	case c.dead:
		return "the peer has sent no heartbeat since yesterday"
	}
	return fmt.Sprint("error ", i)
}

// clusterRPC serves it.
type clusterRPC struct{ *cluster }

func (c clusterRPC) Pin(_ context.Context, in api.Pin, out *api.Pin) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if from := in.PinUpdate; from.Defined() { // as upstream's cluster updates
		old, there := c.pins[from]
		if !there {
			return state.ErrNotFound
		}
		old.Cid, old.PinUpdate = in.Cid, from
		if in.Name != "" {
			old.Name = in.Name
		}
		in = old
	}
	if in.ReplicationFactorMin == 0 {
		in.ReplicationFactorMin, in.ReplicationFactorMax = -1, -1
	}
	if !in.PinUpdate.Defined() && !in.IsPinEverywhere() { // all that are wanted are alive
		in.Allocations, in.UserAllocations = in.UserAllocations, nil
	}
	if current := c.pins[in.Cid]; in.ExpiredAt(time.Now()) || current.Defined() && current.MaxDepth < 0 && in.MaxDepth >= 0 {
		return fmt.Errorf("%+v may not be in place of %+v", in, current) // by the rules of package consensus
	}
	in.Timestamp = time.Date(2026, 1, 1, 0, 0, c.made, 5e8, time.UTC)
	c.made++
	*out = in
	in.Timestamp = in.Timestamp.Truncate(time.Second) // what is stored of it
	c.pins[in.Cid] = in
	delete(c.pins, c.removing)
	return nil
}

func (c clusterRPC) PinGet(_ context.Context, in api.Cid, out *api.Pin) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	pin, there := c.pins[in]
	if c.err == nil && !there {
		return state.ErrNotFound
	}
	*out = pin
	if c.changing != nil {
		c.changing(in)
	}
	return c.err
}

func (c clusterRPC) Unpin(_ context.Context, in api.Pin, _ *api.Pin) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	if _, there := c.pins[in.Cid]; !there {
		return state.ErrNotFound
	}
	delete(c.pins, in.Cid)
	return nil
}

func (c clusterRPC) Status(_ context.Context, in api.Cid, out *api.GlobalPinInfo) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	*out = c.info(in)
	return c.err
}

func (c clusterRPC) StatusAll(_ context.Context, in <-chan api.TrackerStatus, out chan<- api.GlobalPinInfo) error {
	defer close(out)
	filter := <-in
	c.mu.Lock()
	defer c.mu.Unlock()
	if c.err != nil {
		return c.err
	}
	for id := range c.pins {
		if all := c.info(id); all.Match(filter) {
			out <- all
		}
	}
	return c.late
}

func (c clusterRPC) IPFSID(_ context.Context, in peer.ID, out *api.IPFSID) error {
	*out = api.IPFSID{ID: in, Addresses: addresses(in.String())}
	return nil
}

// addresses are those of a daemon, one of them twice.
func addresses(name string) []api.Multiaddr {
	var addrs []api.Multiaddr
	for _, port := range []int{4001, 4001, 4002} {
		addrs = append(addrs, api.NewMultiaddrWithValue(ma.StringCast(fmt.Sprintf("/dns4/%s.test/tcp/%d", name[len(name)-8:], port))))
	}
	return addrs
}

// consensusRPC says who the peers are.
type consensusRPC struct{ peers []peer.ID }

func (c consensusRPC) Peers(_ context.Context, _ struct{}, out *[]peer.ID) error {
	*out = c.peers
	return nil
}

// somePeers are so many.
func somePeers(n int) (peers []peer.ID) {
	for i := range n {
		peers = append(peers, statetest.Peer(fmt.Sprint(i)))
	}
	return peers
}
