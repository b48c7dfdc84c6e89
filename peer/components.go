package peer

import (
	"context"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/drift"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/status"
)

// IPFS is how a peer reaches its IPFS daemon. It is the zero value for role.API.
type IPFS struct {
	// Connector is upstream's.
	Connector Connector
	// Size measures what was pinned, in bytes. It may be nil.
	Size func(context.Context, api.Cid) (int64, error)
	// Pins says what the daemon has pinned, to measure how far that is from the pinset. It
	// may be nil: then that is not measured.
	Pins drift.Kubo
	// KeepContent says that the connector refuses to unpin (unpin_disable).
	KeepContent bool
}

// Connector is upstream's IPFSConnector. It is declared here as upstream's root package
// cannot be imported: its own tests run on this one.
type Connector interface {
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

// API is upstream's API, as NewCluster needs it.
type API interface {
	SetClient(client *rpc.Client)
	Shutdown(ctx context.Context) error
}

// Front lets an API ask this package, in place of upstream's cluster, what the peers do
// with pins: see package status.
func (p *Peer) Front(h host.Host, api API) API { return fronted{api, h, p.status} }

type fronted struct {
	API
	host   host.Host
	status *status.Service
}

func (f fronted) SetClient(client *rpc.Client) { f.API.SetClient(f.status.Client(f.host, client)) }

// Tracker is upstream's PinTracker.
type Tracker interface {
	Track(ctx context.Context, pin api.Pin) error
	Untrack(ctx context.Context, c api.Cid) error
	Status(ctx context.Context, c api.Cid) api.PinInfo
	SetClient(client *rpc.Client)
	Shutdown(ctx context.Context) error
	StatusAll(ctx context.Context, filter api.TrackerStatus, out chan<- api.PinInfo) error
	RecoverAll(ctx context.Context, out chan<- api.PinInfo) error
	Recover(ctx context.Context, c api.Cid) (api.PinInfo, error)
	PinQueueSize(ctx context.Context) (int64, error)
}
