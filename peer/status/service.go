package status

import (
	"context"
	"errors"
	"fmt"
	"iter"
	"slices"
	"strings"
	"sync"
	"sync/atomic"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/version"
	logging "github.com/ipfs/go-log/v2"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

var logger = logging.Logger("status")

// Store is what a Service needs of the pinset.
type Store interface {
	state.Conditional
	state.OwnPins
	state.Scrubber
}

// Options are what a Service works with.
type Options struct {
	Self  peer.ID
	Store Store
	// View tells who is in the cluster, and alive.
	View func() membership.View
	// Follower answers for this peer only (follower_mode).
	Follower bool
}

// Service answers for all peers. It is safe for concurrent use.
type Service struct {
	opts  Options
	front *rpc.Server
	inner atomic.Pointer[rpc.Client] // set by Client, before anybody asks
}

// New makes a Service, which answers once Client was called.
func New(opts Options) (*Service, error) {
	// Without a host the server is for this process only: with one it would take
	// over what upstream's serves to other peers.
	s := &Service{opts: opts, front: rpc.NewServer(nil, "")}
	of := func(name string) forward { return forward{s, name} }
	for name, service := range map[string]any{
		"Cluster": clusterRPC{of("Cluster")}, "PinTracker": pinTrackerRPC{of("PinTracker")},
		"IPFSConnector": connectorRPC{of("IPFSConnector")}, "Consensus": consensusRPC{of("Consensus")},
		"PeerMonitor": monitorRPC{of("PeerMonitor")},
	} {
		if err := s.front.RegisterName(name, service); err != nil {
			return nil, fmt.Errorf("serving %s: %w", name, err)
		}
	}
	return s, nil
}

// Client makes the client that APIs on h are to use in place of inner, which is that
// of the cluster, and always the same.
func (s *Service) Client(h host.Host, inner *rpc.Client) *rpc.Client {
	s.inner.Store(inner)
	return rpc.NewClientWithServer(h, version.RPCProtocol, s.front)
}

// Status is Cluster.Status: what each peer does with one CID.
func (r clusterRPC) Status(ctx context.Context, in api.Cid, out *api.GlobalPinInfo) (err error) {
	*out, err = r.service.one(ctx, "Status", in)
	return err
}

// Recover is Cluster.Recover.
func (r clusterRPC) Recover(ctx context.Context, in api.Cid, out *api.GlobalPinInfo) (err error) {
	*out, err = r.service.one(ctx, "Recover", in)
	return err
}

const (
	// askLimit bounds the question to one peer about one pin, as upstream does.
	askLimit = 15 * time.Second
	// askers is how many peers are asked at the same time.
	askers = 64
	// watchEvery is how often is looked whether a peer that is asked has died.
	watchEvery = 500 * time.Millisecond
)

// members are those who are to be answered for.
func (s *Service) members() []membership.Peer {
	var members []membership.Peer
	for _, p := range s.opts.View().Peers {
		if !p.Removed && (!s.opts.Follower || p.ID == s.opts.Self) {
			members = append(members, p)
		}
	}
	return members
}

// one asks who has to do with a CID, and answers for the others.
func (s *Service) one(ctx context.Context, method string, c api.Cid) (api.GlobalPinInfo, error) {
	pin, _, err := s.opts.Store.GetVersion(ctx, c)
	if errors.Is(err, state.ErrCorrupt) {
		return s.corrupt(c, err), nil
	}
	if err != nil {
		return api.GlobalPinInfo{}, err
	}
	members, e := s.members(), s.entries()
	var out api.GlobalPinInfo
	if pin == nil {
		for _, m := range members {
			out.Add(e.make(ctx, m, api.PinCid(c), api.TrackerStatusUnpinned, ""))
		}
		return out, nil
	}
	var asked []membership.Peer
	for _, m := range members {
		switch {
		case pin.Type == api.MetaType:
			out.Add(e.make(ctx, m, *pin, api.TrackerStatusSharded, ""))
		case !holds(pin, m):
			out.Add(e.make(ctx, m, *pin, api.TrackerStatusRemote, ""))
		case m.Role == membership.RoleAPI: // told of by absent
		case m.Dead():
			out.Add(e.make(ctx, m, *pin, api.TrackerStatusClusterError, silent(m)))
		default:
			asked = append(asked, m)
		}
	}
	for p, problem := range s.absent(*pin, members) {
		out.Add(e.make(ctx, p, *pin, api.TrackerStatusClusterError, problem))
	}
	for _, info := range s.ask(ctx, method, asked, *pin, e) {
		out.Add(info)
	}
	return out, ctx.Err() // what was asked under a context that has ended says nothing of the peers
}

const (
	errNotMember = "the peer is not in the cluster, or has joined within seconds"
	errNoDaemon  = "the peer has no IPFS daemon: it runs in the role api"
)

// absent are the peers that are to hold a pin and cannot be asked, with the reason.
func (s *Service) absent(pin api.Pin, members []membership.Peer) iter.Seq2[membership.Peer, string] {
	return func(yield func(membership.Peer, string) bool) {
		if pin.Type == api.MetaType || pin.IsPinEverywhere() {
			return
		}
		for _, id := range pin.Allocations {
			i := slices.IndexFunc(members, func(m membership.Peer) bool { return m.ID == id })
			p, problem := membership.Peer{ID: id}, errNotMember
			switch {
			case i < 0 && s.opts.Follower:
				continue // a follower answers for no other
			case i >= 0 && members[i].Role != membership.RoleAPI:
				continue
			case i >= 0:
				p, problem = members[i], errNoDaemon
			}
			if !yield(p, problem) {
				return
			}
		}
	}
}

// errSilent begins what is said of a peer that is dead.
const errSilent = "the peer has sent no heartbeat since"

// silent says why a peer is not asked.
func silent(m membership.Peer) string {
	return fmt.Sprint(errSilent, " ", m.Heard.UTC().Format(time.RFC3339))
}

// Absent reports whether an entry of an answer stands for a peer that cannot be asked,
// because it is dead, not in the cluster or without an IPFS daemon. A cluster_error of
// another one is of a peer that is there and does not know, for now.
func Absent(info api.PinInfoShort) bool {
	return info.Status == api.TrackerStatusClusterError &&
		(strings.Contains(info.Error, errSilent) || strings.Contains(info.Error, errNotMember) || info.Error == errNoDaemon)
}

// holds reports whether a member is to hold a pin, which may be nil.
func holds(pin *api.Pin, m membership.Peer) bool {
	switch {
	case pin == nil || pin.Type == api.MetaType:
		return false
	case pin.IsPinEverywhere():
		return m.Role != membership.RoleAPI
	}
	return slices.Contains(pin.Allocations, m.ID)
}

// ask asks peers about a pin, at the same time. When the context ends the answers are not
// complete.
func (s *Service) ask(ctx context.Context, method string, peers []membership.Peer, pin api.Pin, e *entries) []api.PinInfo {
	infos := make([]api.PinInfo, len(peers))
	limit := make(chan struct{}, askers)
	done := make(chan struct{})
	for i, m := range peers {
		go func() {
			defer func() { done <- struct{}{} }()
			limit <- struct{}{}
			defer func() { <-limit }()
			info, err := s.askPeer(ctx, method, m.ID, pin.Cid)
			switch {
			case ctx.Err() != nil: // nobody waits for the answer
				return
			case err != nil:
				logger.Errorf("asking peer %s about %s: %s", m.ID, pin.Cid, err)
				info = e.make(ctx, m, pin, api.TrackerStatusClusterError, err.Error())
			case info.Status == api.TrackerStatusClusterError: // it may not have read the pin
				info = e.make(ctx, m, pin, api.TrackerStatusClusterError, info.Error)
			}
			infos[i] = info
		}()
	}
	for range peers {
		<-done
	}
	return infos
}

// askPeer asks one peer about one CID.
func (s *Service) askPeer(ctx context.Context, method string, id peer.ID, c api.Cid) (answer api.PinInfo, err error) {
	err = s.whileAlive(ctx, id, func(ctx context.Context) error {
		ctx, cancel := context.WithTimeout(ctx, askLimit)
		defer cancel()
		// gorpc may still write to it after a call that was cancelled.
		info := new(api.PinInfo)
		if err := s.inner.Load().CallContext(ctx, id, "PinTracker", method, c, info); err != nil {
			return err
		}
		answer = *info
		return nil
	})
	return answer, err
}

// errGone is in the error of a call to a peer that died or was removed meanwhile.
var errGone = errors.New("the peer cannot be asked any more")

// whileAlive calls f, whose context ends when the peer is found dead, or not to be in the
// cluster.
func (s *Service) whileAlive(ctx context.Context, id peer.ID, f func(context.Context) error) error {
	ctx, cancel := context.WithCancelCause(ctx)
	defer cancel(nil)
	ended := make(chan struct{})
	defer close(ended)
	go func() {
		ticker := time.NewTicker(watchEvery)
		defer ticker.Stop()
		for {
			select {
			case <-ended:
				return
			case <-ticker.C:
			}
			switch m, there := s.opts.View().Get(id); {
			case !there || m.Removed:
				cancel(fmt.Errorf("%w: %s", errGone, errNotMember))
				return
			case m.Dead():
				cancel(fmt.Errorf("%w: %s", errGone, silent(m)))
				return
			}
		}
	}()
	err := f(ctx)
	if cause := context.Cause(ctx); err != nil && cause != nil {
		return cause
	}
	return err
}

// entries makes the entries of one answer that are not a peer's own. It is safe for
// concurrent use.
type entries struct {
	s   *Service
	mu  sync.Mutex
	ids map[peer.ID]api.IPFSID
}

func (s *Service) entries() *entries { return &entries{s: s, ids: make(map[peer.ID]api.IPFSID)} }

func (e *entries) make(ctx context.Context, m membership.Peer, pin api.Pin, status api.TrackerStatus, problem string) api.PinInfo {
	id := e.ipfsID(ctx, m.ID)
	return api.PinInfo{
		Cid: pin.Cid, Name: pin.Name, Peer: m.ID, Allocations: pin.Allocations, Origins: pin.Origins,
		Created: pin.Timestamp, Metadata: pin.Metadata,
		PinInfoShort: api.PinInfoShort{
			PeerName: m.Name, IPFS: id.ID, IPFSAddresses: id.Addresses, Status: status, TS: time.Now(), Error: problem,
		},
	}
}

// ipfsID is who the IPFS daemon of a peer is, as far as its heartbeats tell.
func (e *entries) ipfsID(ctx context.Context, p peer.ID) api.IPFSID {
	e.mu.Lock()
	defer e.mu.Unlock()
	id, known := e.ids[p]
	if !known {
		if err := e.s.inner.Load().CallContext(ctx, "", "Cluster", "IPFSID", p, &id); err != nil {
			logger.Debugf("asking for the IPFS daemon of peer %s: %s", p, err)
		}
		e.ids[p] = id
	}
	return id
}

// corrupt is the answer about a pin that cannot be decoded: whose it is nobody knows.
func (s *Service) corrupt(c api.Cid, err error) (out api.GlobalPinInfo) {
	self, _ := s.opts.View().Get(s.opts.Self)
	self.ID = s.opts.Self
	out.Add(api.PinInfo{
		Cid: c, Peer: self.ID,
		PinInfoShort: api.PinInfoShort{PeerName: self.Name, Status: api.TrackerStatusClusterError, TS: time.Now(), Error: err.Error()},
	})
	return out
}
