package role_test

import (
	"context"
	"errors"
	"reflect"
	"slices"
	"sync"
	"testing"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/role"
)

const protocol = "/test/rpc"

// ipfs is what an RPC service asks of a connector.
type ipfs interface {
	Resolve(ctx context.Context, path string) (api.Cid, error)
	BlockGet(ctx context.Context, c api.Cid) ([]byte, error)
	BlockStream(ctx context.Context, blocks <-chan api.NodeWithMeta) error
}

// IPFSConnector serves a connector as upstream does, whose service cannot be
// made outside its package.
type IPFSConnector struct{ ipfs ipfs }

func (s *IPFSConnector) Resolve(ctx context.Context, in string, out *api.Cid) (err error) {
	*out, err = s.ipfs.Resolve(ctx, in)
	return err
}

func (s *IPFSConnector) BlockGet(ctx context.Context, in api.Cid, out *[]byte) (err error) {
	*out, err = s.ipfs.BlockGet(ctx, in)
	return err
}

func (s *IPFSConnector) BlockStream(ctx context.Context, in <-chan api.NodeWithMeta, out chan<- struct{}) error {
	defer close(out)
	return s.ipfs.BlockStream(ctx, in)
}

// TestService: the stand-in has the methods of upstream's service.
func TestService(t *testing.T) {
	theirs, ours := reflect.TypeFor[*ipfscluster.IPFSConnectorRPCAPI](), reflect.TypeFor[*IPFSConnector]()
	if name := ipfscluster.RPCServiceID(&ipfscluster.IPFSConnectorRPCAPI{}); name != ours.Elem().Name() {
		t.Errorf("upstream's service is called %q", name)
	}
	for m := range ours.Methods() {
		their, ok := theirs.MethodByName(m.Name)
		if !ok || their.Type.NumIn() != m.Type.NumIn() {
			t.Errorf("upstream's %s is another one", m.Name)
			continue
		}
		for i := 1; i < m.Type.NumIn(); i++ {
			if their.Type.In(i) != m.Type.In(i) {
				t.Errorf("%s: upstream takes %s, the stand-in %s", m.Name, their.Type.In(i), m.Type.In(i))
			}
		}
	}
}

// daemon is an IPFS daemon with what it was asked.
type daemon struct {
	mu     sync.Mutex
	calls  int
	blocks []api.Cid
	data   map[api.Cid][]byte
	err    error         // of every call
	stuck  chan struct{} // if set, gets each call, which waits for its end
}

func (d *daemon) call(ctx context.Context) error {
	d.mu.Lock()
	d.calls++
	err, stuck := d.err, d.stuck
	d.mu.Unlock()
	if stuck == nil {
		return err
	}
	stuck <- struct{}{}
	<-ctx.Done()
	return ctx.Err()
}

func (d *daemon) called() int {
	d.mu.Lock()
	defer d.mu.Unlock()
	return d.calls
}

func (d *daemon) Resolve(ctx context.Context, path string) (api.Cid, error) {
	if err := d.call(ctx); err != nil {
		return api.CidUndef, err
	}
	return cidOf(path), nil
}

func (d *daemon) BlockGet(ctx context.Context, c api.Cid) ([]byte, error) {
	if err := d.call(ctx); err != nil {
		return nil, err
	}
	d.mu.Lock()
	defer d.mu.Unlock()
	if data, ok := d.data[c]; ok {
		return data, nil
	}
	return nil, errors.New("block was not found")
}

func (d *daemon) BlockStream(ctx context.Context, blocks <-chan api.NodeWithMeta) error {
	if err := d.call(ctx); err != nil {
		return err
	}
	for b := range blocks {
		d.mu.Lock()
		d.blocks = append(d.blocks, b.Cid)
		d.mu.Unlock()
	}
	return nil
}

func (d *daemon) got() []api.Cid {
	d.mu.Lock()
	defer d.mu.Unlock()
	return slices.Clone(d.blocks)
}

func newHost(t *testing.T) host.Host {
	t.Helper()
	h, err := libp2p.New(libp2p.ListenAddrStrings("/ip4/127.0.0.1/tcp/0"))
	if err != nil {
		t.Fatal(err)
	}
	t.Cleanup(func() { _ = h.Close() })
	return h
}

// serve offers a connector to trusted peers, which are all, under the policy.
func serve(t *testing.T, h host.Host, c ipfs, policy map[string]ipfscluster.RPCEndpointType) *rpc.Server {
	t.Helper()
	server := rpc.NewServer(h, protocol, rpc.WithAuthorizeFunc(func(_ peer.ID, service, method string) bool {
		return policy[service+"."+method] != ipfscluster.RPCClosed
	}))
	if err := server.Register(&IPFSConnector{c}); err != nil {
		t.Fatal(err)
	}
	return server
}

// full is a peer with a daemon.
type full struct {
	*daemon
	host.Host
}

func newFull(t *testing.T) full {
	t.Helper()
	return newFullWith(t, trusted())
}

func newFullWith(t *testing.T, policy map[string]ipfscluster.RPCEndpointType) full {
	t.Helper()
	f := full{&daemon{data: make(map[api.Cid][]byte)}, newHost(t)}
	serve(t, f.Host, f.daemon, policy)
	return f
}

// apiPeer is a peer with the connector under test.
type apiPeer struct {
	*role.Connector
	host   host.Host
	server *rpc.Server
	client *rpc.Client
}

// newAPIPeer makes one that knows the given peers, as daemons, in this order.
func newAPIPeer(t *testing.T, daemons ...host.Host) apiPeer {
	t.Helper()
	h := newHost(t)
	var ids []peer.ID
	for _, d := range daemons {
		h.Peerstore().AddAddrs(d.ID(), d.Addrs(), peerstore.PermanentAddrTTL)
		ids = append(ids, d.ID())
	}
	c, err := role.NewConnector(role.ConnectorOptions{
		ID:      h.ID(),
		Daemons: func() []peer.ID { return slices.Concat([]peer.ID{"", h.ID()}, ids) },
	})
	if err != nil {
		t.Fatal(err)
	}
	server := serve(t, h, c, trusted())
	client := rpc.NewClientWithServer(h, protocol, server)
	c.SetClient(client)
	return apiPeer{c, h, server, client}
}
