package role

import (
	"context"
	"errors"
	"fmt"
	"strings"
	"sync/atomic"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	gopath "github.com/ipfs/boxo/path"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/peer"
)

// ConnectorOptions are what a Connector works with.
type ConnectorOptions struct {
	// ID is this peer.
	ID peer.ID
	// Daemons returns the live peers that have an IPFS daemon, in the order
	// in which they are to be asked. It must answer from memory, and may
	// contain this peer. It is called by several goroutines at once.
	Daemons func() []peer.ID
	// Timeout is how long one of them may take for one request. 0 leaves that
	// to the contexts of the callers.
	Timeout time.Duration
}

// Connector is the IPFS connector of an API peer. What can be done at any
// daemon it asks other peers for, and only for callers in this process; what is
// meant for a daemon of its own it answers as a peer that holds nothing. It is
// safe for concurrent use. Its calls end with their contexts, not with
// Shutdown.
type Connector struct {
	opts   ConnectorOptions
	client atomic.Pointer[rpc.Client]
	ready  chan struct{}
}

// NewConnector makes the connector of an API peer.
func NewConnector(opts ConnectorOptions) (*Connector, error) {
	if opts.ID == "" || opts.Daemons == nil {
		return nil, errors.New("making the connector of an API peer: its ID and the peers with a daemon are needed")
	}
	c := &Connector{opts: opts, ready: make(chan struct{})}
	close(c.ready)
	return c, nil
}

// SetClient sets what other peers are asked through.
func (c *Connector) SetClient(client *rpc.Client) { c.client.Store(client) }

// Shutdown does nothing.
func (c *Connector) Shutdown(context.Context) error { return nil }

// Ready returns a closed channel: there is no daemon to wait for.
func (c *Connector) Ready(context.Context) <-chan struct{} { return c.ready }

// ID returns no ID, with an Error inside, as upstream shows a peer whose daemon
// is down: it must not look like the daemon with the empty ID. The call itself
// does not fail, as that would be logged at each start.
func (c *Connector) ID(context.Context) (api.IPFSID, error) {
	return api.IPFSID{Addresses: []api.Multiaddr{}, Error: "this peer has the role api and no IPFS daemon"}, nil
}

// Pin fails.
func (c *Connector) Pin(_ context.Context, pin api.Pin) error {
	return fmt.Errorf("pinning %s: %w", pin.Cid, refusal(c.opts.ID, "it cannot hold pins"))
}

// Unpin fails.
func (c *Connector) Unpin(_ context.Context, cid api.Cid) error {
	return fmt.Errorf("unpinning %s: %w", cid, refusal(c.opts.ID, "it cannot hold pins"))
}

// PinLsCid says that nothing is pinned.
func (c *Connector) PinLsCid(context.Context, api.Pin) (api.IPFSPinStatus, error) {
	return api.IPFSPinStatusUnpinned, nil
}

// PinLs lists no pin and closes out.
func (c *Connector) PinLs(_ context.Context, _ []string, out chan<- api.IPFSPinInfo) error {
	close(out)
	return nil
}

// ConnectSwarms does nothing.
func (c *Connector) ConnectSwarms(context.Context) error { return nil }

// SwarmPeers returns none.
func (c *Connector) SwarmPeers(context.Context) ([]peer.ID, error) { return []peer.ID{}, nil }

// ConfigKey fails: the configuration of another peer's daemon says nothing of
// this peer.
func (c *Connector) ConfigKey(keypath string) (any, error) {
	return nil, fmt.Errorf("reading the IPFS configuration %s: %w", keypath, refusal(c.opts.ID, "there is none"))
}

// RepoStat returns zeroes, which leave the sum over all peers right.
func (c *Connector) RepoStat(context.Context) (api.IPFSRepoStat, error) {
	return api.IPFSRepoStat{}, nil
}

// RepoGC returns that nothing was collected.
func (c *Connector) RepoGC(context.Context) (api.RepoGC, error) {
	return api.RepoGC{Keys: []api.IPFSRepoGC{}}, nil
}

// Resolve asks a peer with a daemon, except for a path that is only a CID.
func (c *Connector) Resolve(ctx context.Context, path string) (api.Cid, error) {
	if cid, ok := onlyCid(path); ok {
		return cid, nil
	}
	return forward(ctx, c, "resolving "+path, func(ctx context.Context, client *rpc.Client, p peer.ID) (resolved api.Cid, err error) {
		err = client.CallContext(ctx, p, "IPFSConnector", "Resolve", path, &resolved)
		return resolved, err
	})
}

// BlockGet asks a peer with a daemon.
func (c *Connector) BlockGet(ctx context.Context, cid api.Cid) ([]byte, error) {
	return forward(ctx, c, "getting block "+cid.String(), func(ctx context.Context, client *rpc.Client, p peer.ID) (data []byte, err error) {
		err = client.CallContext(ctx, p, "IPFSConnector", "BlockGet", cid, &data)
		return data, err
	})
}

// onlyCid returns the CID of a path that has nothing behind it.
func onlyCid(path string) (api.Cid, bool) {
	if !strings.HasPrefix(path, "/") {
		path = "/ipfs/" + path
	}
	parsed, err := gopath.NewPath(path)
	if err != nil {
		return api.CidUndef, false
	}
	immutable, err := gopath.NewImmutablePath(parsed)
	if err != nil || len(immutable.Segments()) != 2 {
		return api.CidUndef, false
	}
	return api.NewCid(immutable.RootCid()), true
}
