package status

import (
	"context"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
)

// The services of upstream's RPC server, under whose names they are registered. What
// is here they hand on to that server as it is: channels included, which its methods
// close.
type (
	// clusterRPC has more methods, which it does not hand on.
	clusterRPC    struct{ forward }
	pinTrackerRPC struct{ forward }
	connectorRPC  struct{ forward }
	consensusRPC  struct{ forward }
	monitorRPC    struct{ forward }
)

// forward calls the methods of one service.
type forward struct {
	service *Service
	name    string
}

func (f forward) call(ctx context.Context, method string, in, out any) error {
	return f.service.inner.Load().CallContext(ctx, "", f.name, method, in, out)
}

func (f forward) stream(ctx context.Context, method string, in, out any) error {
	return f.service.inner.Load().Stream(ctx, "", f.name, method, in, out)
}

// ID is Cluster.ID of upstream.
func (r clusterRPC) ID(ctx context.Context, in struct{}, out *api.ID) error {
	return r.call(ctx, "ID", in, out)
}

// IDStream is Cluster.IDStream of upstream.
func (r clusterRPC) IDStream(ctx context.Context, in <-chan struct{}, out chan<- api.ID) error {
	return r.stream(ctx, "IDStream", in, out)
}

// Pin is Cluster.Pin of upstream.
func (r clusterRPC) Pin(ctx context.Context, in api.Pin, out *api.Pin) error {
	return r.call(ctx, "Pin", in, out)
}

// Unpin is Cluster.Unpin of upstream.
func (r clusterRPC) Unpin(ctx context.Context, in api.Pin, out *api.Pin) error {
	return r.call(ctx, "Unpin", in, out)
}

// PinPath is Cluster.PinPath of upstream.
func (r clusterRPC) PinPath(ctx context.Context, in api.PinPath, out *api.Pin) error {
	return r.call(ctx, "PinPath", in, out)
}

// UnpinPath is Cluster.UnpinPath of upstream.
func (r clusterRPC) UnpinPath(ctx context.Context, in api.PinPath, out *api.Pin) error {
	return r.call(ctx, "UnpinPath", in, out)
}

// Pins is Cluster.Pins of upstream.
func (r clusterRPC) Pins(ctx context.Context, in <-chan struct{}, out chan<- api.Pin) error {
	return r.stream(ctx, "Pins", in, out)
}

// PinGet is Cluster.PinGet of upstream.
func (r clusterRPC) PinGet(ctx context.Context, in api.Cid, out *api.Pin) error {
	return r.call(ctx, "PinGet", in, out)
}

// Version is Cluster.Version of upstream.
func (r clusterRPC) Version(ctx context.Context, in struct{}, out *api.Version) error {
	return r.call(ctx, "Version", in, out)
}

// Peers is Cluster.Peers of upstream.
func (r clusterRPC) Peers(ctx context.Context, in <-chan struct{}, out chan<- api.ID) error {
	return r.stream(ctx, "Peers", in, out)
}

// PeersWithFilter is Cluster.PeersWithFilter of upstream.
func (r clusterRPC) PeersWithFilter(ctx context.Context, in <-chan []peer.ID, out chan<- api.ID) error {
	return r.stream(ctx, "PeersWithFilter", in, out)
}

// PeerAdd is Cluster.PeerAdd of upstream.
func (r clusterRPC) PeerAdd(ctx context.Context, in peer.ID, out *api.ID) error {
	return r.call(ctx, "PeerAdd", in, out)
}

// ConnectGraph is Cluster.ConnectGraph of upstream.
func (r clusterRPC) ConnectGraph(ctx context.Context, in struct{}, out *api.ConnectGraph) error {
	return r.call(ctx, "ConnectGraph", in, out)
}

// PeerRemove is Cluster.PeerRemove of upstream.
func (r clusterRPC) PeerRemove(ctx context.Context, in peer.ID, out *struct{}) error {
	return r.call(ctx, "PeerRemove", in, out)
}

// Join is Cluster.Join of upstream.
func (r clusterRPC) Join(ctx context.Context, in api.Multiaddr, out *struct{}) error {
	return r.call(ctx, "Join", in, out)
}

// StatusAllLocal is Cluster.StatusAllLocal of upstream.
func (r clusterRPC) StatusAllLocal(ctx context.Context, in <-chan api.TrackerStatus, out chan<- api.PinInfo) error {
	return r.stream(ctx, "StatusAllLocal", in, out)
}

// StatusLocal is Cluster.StatusLocal of upstream.
func (r clusterRPC) StatusLocal(ctx context.Context, in api.Cid, out *api.PinInfo) error {
	return r.call(ctx, "StatusLocal", in, out)
}

// RecoverAllLocal is Cluster.RecoverAllLocal of upstream.
func (r clusterRPC) RecoverAllLocal(ctx context.Context, in <-chan struct{}, out chan<- api.PinInfo) error {
	return r.stream(ctx, "RecoverAllLocal", in, out)
}

// RecoverLocal is Cluster.RecoverLocal of upstream.
func (r clusterRPC) RecoverLocal(ctx context.Context, in api.Cid, out *api.PinInfo) error {
	return r.call(ctx, "RecoverLocal", in, out)
}

// BlockAllocate is Cluster.BlockAllocate of upstream.
func (r clusterRPC) BlockAllocate(ctx context.Context, in api.Pin, out *[]peer.ID) error {
	return r.call(ctx, "BlockAllocate", in, out)
}

// RepoGC is Cluster.RepoGC of upstream.
func (r clusterRPC) RepoGC(ctx context.Context, in struct{}, out *api.GlobalRepoGC) error {
	return r.call(ctx, "RepoGC", in, out)
}

// RepoGCLocal is Cluster.RepoGCLocal of upstream.
func (r clusterRPC) RepoGCLocal(ctx context.Context, in struct{}, out *api.RepoGC) error {
	return r.call(ctx, "RepoGCLocal", in, out)
}

// SendInformerMetrics is Cluster.SendInformerMetrics of upstream.
func (r clusterRPC) SendInformerMetrics(ctx context.Context, in struct{}, out *struct{}) error {
	return r.call(ctx, "SendInformerMetrics", in, out)
}

// SendInformersMetrics is Cluster.SendInformersMetrics of upstream.
func (r clusterRPC) SendInformersMetrics(ctx context.Context, in struct{}, out *struct{}) error {
	return r.call(ctx, "SendInformersMetrics", in, out)
}

// Alerts is Cluster.Alerts of upstream.
func (r clusterRPC) Alerts(ctx context.Context, in struct{}, out *[]api.Alert) error {
	return r.call(ctx, "Alerts", in, out)
}

// BandwidthByProtocol is Cluster.BandwidthByProtocol of upstream.
func (r clusterRPC) BandwidthByProtocol(ctx context.Context, in struct{}, out *api.BandwidthByProtocol) error {
	return r.call(ctx, "BandwidthByProtocol", in, out)
}

// IPFSID is Cluster.IPFSID of upstream.
func (r clusterRPC) IPFSID(ctx context.Context, in peer.ID, out *api.IPFSID) error {
	return r.call(ctx, "IPFSID", in, out)
}

// Track is PinTracker.Track of upstream.
func (r pinTrackerRPC) Track(ctx context.Context, in api.Pin, out *struct{}) error {
	return r.call(ctx, "Track", in, out)
}

// Untrack is PinTracker.Untrack of upstream.
func (r pinTrackerRPC) Untrack(ctx context.Context, in api.Pin, out *struct{}) error {
	return r.call(ctx, "Untrack", in, out)
}

// StatusAll is PinTracker.StatusAll of upstream.
func (r pinTrackerRPC) StatusAll(ctx context.Context, in <-chan api.TrackerStatus, out chan<- api.PinInfo) error {
	return r.stream(ctx, "StatusAll", in, out)
}

// Status is PinTracker.Status of upstream.
func (r pinTrackerRPC) Status(ctx context.Context, in api.Cid, out *api.PinInfo) error {
	return r.call(ctx, "Status", in, out)
}

// RecoverAll is PinTracker.RecoverAll of upstream.
func (r pinTrackerRPC) RecoverAll(ctx context.Context, in <-chan struct{}, out chan<- api.PinInfo) error {
	return r.stream(ctx, "RecoverAll", in, out)
}

// Recover is PinTracker.Recover of upstream.
func (r pinTrackerRPC) Recover(ctx context.Context, in api.Cid, out *api.PinInfo) error {
	return r.call(ctx, "Recover", in, out)
}

// PinQueueSize is PinTracker.PinQueueSize of upstream.
func (r pinTrackerRPC) PinQueueSize(ctx context.Context, in struct{}, out *int64) error {
	return r.call(ctx, "PinQueueSize", in, out)
}

// Pin is IPFSConnector.Pin of upstream.
func (r connectorRPC) Pin(ctx context.Context, in api.Pin, out *struct{}) error {
	return r.call(ctx, "Pin", in, out)
}

// Unpin is IPFSConnector.Unpin of upstream.
func (r connectorRPC) Unpin(ctx context.Context, in api.Pin, out *struct{}) error {
	return r.call(ctx, "Unpin", in, out)
}

// PinLsCid is IPFSConnector.PinLsCid of upstream.
func (r connectorRPC) PinLsCid(ctx context.Context, in api.Pin, out *api.IPFSPinStatus) error {
	return r.call(ctx, "PinLsCid", in, out)
}

// PinLs is IPFSConnector.PinLs of upstream.
func (r connectorRPC) PinLs(ctx context.Context, in <-chan []string, out chan<- api.IPFSPinInfo) error {
	return r.stream(ctx, "PinLs", in, out)
}

// ConfigKey is IPFSConnector.ConfigKey of upstream.
func (r connectorRPC) ConfigKey(ctx context.Context, in string, out *any) error {
	return r.call(ctx, "ConfigKey", in, out)
}

// RepoStat is IPFSConnector.RepoStat of upstream.
func (r connectorRPC) RepoStat(ctx context.Context, in struct{}, out *api.IPFSRepoStat) error {
	return r.call(ctx, "RepoStat", in, out)
}

// SwarmPeers is IPFSConnector.SwarmPeers of upstream.
func (r connectorRPC) SwarmPeers(ctx context.Context, in struct{}, out *[]peer.ID) error {
	return r.call(ctx, "SwarmPeers", in, out)
}

// BlockStream is IPFSConnector.BlockStream of upstream.
func (r connectorRPC) BlockStream(ctx context.Context, in <-chan api.NodeWithMeta, out chan<- struct{}) error {
	return r.stream(ctx, "BlockStream", in, out)
}

// BlockGet is IPFSConnector.BlockGet of upstream.
func (r connectorRPC) BlockGet(ctx context.Context, in api.Cid, out *[]byte) error {
	return r.call(ctx, "BlockGet", in, out)
}

// Resolve is IPFSConnector.Resolve of upstream.
func (r connectorRPC) Resolve(ctx context.Context, in string, out *api.Cid) error {
	return r.call(ctx, "Resolve", in, out)
}

// LogPin is Consensus.LogPin of upstream.
func (r consensusRPC) LogPin(ctx context.Context, in api.Pin, out *struct{}) error {
	return r.call(ctx, "LogPin", in, out)
}

// LogUnpin is Consensus.LogUnpin of upstream.
func (r consensusRPC) LogUnpin(ctx context.Context, in api.Pin, out *struct{}) error {
	return r.call(ctx, "LogUnpin", in, out)
}

// AddPeer is Consensus.AddPeer of upstream.
func (r consensusRPC) AddPeer(ctx context.Context, in peer.ID, out *struct{}) error {
	return r.call(ctx, "AddPeer", in, out)
}

// RmPeer is Consensus.RmPeer of upstream.
func (r consensusRPC) RmPeer(ctx context.Context, in peer.ID, out *struct{}) error {
	return r.call(ctx, "RmPeer", in, out)
}

// Peers is Consensus.Peers of upstream.
func (r consensusRPC) Peers(ctx context.Context, in struct{}, out *[]peer.ID) error {
	return r.call(ctx, "Peers", in, out)
}

// LatestMetrics is PeerMonitor.LatestMetrics of upstream.
func (r monitorRPC) LatestMetrics(ctx context.Context, in string, out *[]api.Metric) error {
	return r.call(ctx, "LatestMetrics", in, out)
}

// MetricNames is PeerMonitor.MetricNames of upstream.
func (r monitorRPC) MetricNames(ctx context.Context, in struct{}, out *[]string) error {
	return r.call(ctx, "MetricNames", in, out)
}
