package role_test

import (
	"context"
	"errors"
	"strings"
	"testing"
	"testing/synctest"
	"time"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs/go-cid"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/host"
	"github.com/libp2p/go-libp2p/core/peer"
	"github.com/libp2p/go-libp2p/core/peerstore"
	mocknet "github.com/libp2p/go-libp2p/p2p/net/mock"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/role"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

func cidOf(label string) api.Cid { return statetest.Cid(label) }

func newConnector(t *testing.T, daemons ...peer.ID) *role.Connector {
	t.Helper()
	c, err := role.NewConnector(role.ConnectorOptions{ID: self, Daemons: func() []peer.ID { return daemons }})
	if err != nil {
		t.Fatal(err)
	}
	return c
}

// TestWithoutDaemon: what would be done at a daemon of its own.
func TestWithoutDaemon(t *testing.T) {
	ctx := t.Context()
	c := newConnector(t)
	select {
	case <-c.Ready(ctx):
	default:
		t.Error("it is not ready")
	}
	// With an error inside, upstream's graph of connections leaves it out:
	// two such peers would else have one daemon, with the ID "".
	if id, err := c.ID(ctx); err != nil || id.ID != "" || id.Error == "" || len(id.Addresses) > 0 {
		t.Errorf("ID = %+v, %v", id, err)
	}
	want := "peer " + self.String() + " has the role api and no IPFS daemon"
	_, keyErr := c.ConfigKey("Datastore/StorageMax")
	for what, err := range map[string]error{
		"Pin": c.Pin(ctx, pinAt("pin", self)), "Unpin": c.Unpin(ctx, cidOf("pin")), "ConfigKey": keyErr,
	} {
		if err == nil || !strings.Contains(err.Error(), want) {
			t.Errorf("%s: %v", what, err)
		}
	}
	if status, err := c.PinLsCid(ctx, pinAt("pin", self)); status != api.IPFSPinStatusUnpinned || err != nil {
		t.Errorf("PinLsCid = %v, %v", status, err)
	}
	pins := make(chan api.IPFSPinInfo)
	if err := c.PinLs(ctx, []string{"recursive", "direct"}, pins); err != nil {
		t.Errorf("PinLs: %s", err)
	}
	if _, open := <-pins; open {
		t.Error("PinLs lists something")
	}
	if peers, err := c.SwarmPeers(ctx); peers == nil || len(peers) > 0 || err != nil {
		t.Errorf("SwarmPeers = %v, %v", peers, err)
	}
	if stat, err := c.RepoStat(ctx); stat != (api.IPFSRepoStat{}) || err != nil {
		t.Errorf("RepoStat = %v, %v", stat, err)
	}
	if gc, err := c.RepoGC(ctx); gc.Keys == nil || len(gc.Keys) > 0 || gc.Error != "" || err != nil {
		t.Errorf("RepoGC = %v, %v", gc, err)
	}
	if err := errors.Join(c.ConnectSwarms(ctx), c.Shutdown(ctx), c.Shutdown(ctx)); err != nil {
		t.Error(err)
	}
}

func TestNewConnector(t *testing.T) {
	for _, opts := range []role.ConnectorOptions{{ID: self}, {Daemons: func() []peer.ID { return nil }}} {
		if _, err := role.NewConnector(opts); err == nil {
			t.Errorf("%+v is accepted", opts)
		}
	}
	// Others may call before it has its client.
	if _, err := newConnector(t, other).BlockGet(t.Context(), cidOf("x")); err == nil || !strings.Contains(err.Error(), "starting") {
		t.Errorf("BlockGet = %v", err)
	}
}

// TestResolveCid: what is already a CID needs no other peer.
func TestResolveCid(t *testing.T) {
	c := newConnector(t)
	want := cidOf("x")
	for _, path := range []string{want.String(), "/ipfs/" + want.String(), "/ipfs/" + want.String() + "/"} {
		if got, err := c.Resolve(t.Context(), path); err != nil || !got.Equals(want) {
			t.Errorf("Resolve(%q) = %s, %v", path, got, err)
		}
	}
	for _, path := range []string{want.String() + "/file", "/ipfs/" + want.String() + "/file", "/ipns/" + want.String(), "/ipns/example.org", "text", ""} {
		if got, err := c.Resolve(t.Context(), path); err == nil {
			t.Errorf("Resolve(%q) = %s without a daemon", path, got)
		}
	}
}

// forwarded calls both methods that another peer is asked for.
func forwarded(ctx context.Context, c *role.Connector, block api.Cid) error {
	data, err := c.BlockGet(ctx, block)
	if err == nil && string(data) != "data" {
		err = errors.New("wrong data: " + string(data))
	}
	resolved, resolveErr := c.Resolve(ctx, "/ipns/example.org")
	if resolveErr == nil && !resolved.Equals(cidOf("/ipns/example.org")) {
		resolveErr = errors.New("wrong CID: " + resolved.String())
	}
	return errors.Join(err, resolveErr)
}

// TestForward: the first peer that can answers. This peer itself is not asked,
// though it is among those with a daemon.
func TestForward(t *testing.T) {
	block := cidOf("block")
	a, b := newFull(t), newFull(t)
	a.data[block], b.data[block] = []byte("data"), []byte("data")
	p := newAPIPeer(t, a, b)
	if err := forwarded(t.Context(), p.Connector, block); err != nil {
		t.Error(err)
	}
	if a.called() != 2 || b.called() != 0 {
		t.Errorf("a was called %d times, b %d times", a.called(), b.called())
	}
	a.err = errors.New("the daemon is down")
	if err := forwarded(t.Context(), p.Connector, block); err != nil {
		t.Errorf("with a failing daemon: %s", err)
	}
	if err := a.Close(); err != nil {
		t.Error(err)
	}
	if err := forwarded(t.Context(), p.Connector, block); err != nil {
		t.Errorf("with a dead peer: %s", err)
	}
	if b.called() != 4 {
		t.Errorf("b was called %d times", b.called())
	}
}

// TestNoDaemon: no peer, dead peers and peers that do not allow it are told
// from a daemon that has another answer.
func TestNoDaemon(t *testing.T) {
	dead := newFull(t)
	if err := dead.Close(); err != nil {
		t.Fatal(err)
	}
	closed := newFullWith(t, ipfscluster.DefaultRPCPolicy)
	for name, daemons := range map[string][]host.Host{"none": nil, "dead": {dead}, "closed": {closed}} {
		p := newAPIPeer(t, daemons...)
		_, getErr := p.BlockGet(t.Context(), cidOf("x"))
		_, resolveErr := p.Resolve(t.Context(), "/ipns/example.org")
		for _, err := range []error{getErr, resolveErr} {
			if !errors.Is(err, role.ErrNoDaemon) || !strings.Contains(err.Error(), "no peer with an IPFS daemon answers") {
				t.Errorf("%s: %v", name, err)
			}
			for _, d := range daemons {
				if !strings.Contains(err.Error(), d.ID().String()) {
					t.Errorf("%s: the error does not name the peer: %s", name, err)
				}
			}
		}
	}
	if closed.called() != 0 {
		t.Error("upstream's policy lets other peers in")
	}

	alive := newFull(t)
	_, err := newAPIPeer(t, dead, alive).BlockGet(t.Context(), cidOf("x"))
	if err == nil || errors.Is(err, role.ErrNoDaemon) || !strings.Contains(err.Error(), "block was not found") ||
		!strings.Contains(err.Error(), alive.ID().String()) {
		t.Errorf("the answer of the daemon is lost: %v", err)
	}
}

// TestTries: three peers are asked and no more.
func TestTries(t *testing.T) {
	peers := []full{newFull(t), newFull(t), newFull(t), newFull(t)}
	for _, p := range peers {
		p.err = errors.New("the daemon is down")
	}
	p := newAPIPeer(t, peers[0], peers[1], peers[2], peers[3])
	if _, err := p.BlockGet(t.Context(), cidOf("x")); err == nil || strings.Count(err.Error(), "daemon is down") != 3 {
		t.Errorf("BlockGet = %v", err)
	}
	for i, want := range []int{1, 1, 1, 0} {
		if got := peers[i].called(); got != want {
			t.Errorf("peer %d was called %d times", i, got)
		}
	}
}

// TestStuck: a peer that does not answer costs its timeout and no more, and the
// caller need not wait for that.
func TestStuck(t *testing.T) {
	synctest.Test(t, func(t *testing.T) {
		net, err := mocknet.FullMeshConnected(3)
		if err != nil {
			t.Fatal(err)
		}
		defer net.Close()
		hosts := net.Hosts()
		a, b := &daemon{stuck: make(chan struct{}, 1)}, &daemon{}
		serve(t, hosts[0], a, trusted())
		serve(t, hosts[1], b, trusted())
		daemons := []peer.ID{hosts[0].ID(), hosts[1].ID()}
		c, err := role.NewConnector(role.ConnectorOptions{
			ID: hosts[2].ID(), Timeout: time.Minute, Daemons: func() []peer.ID { return daemons },
		})
		if err != nil {
			t.Fatal(err)
		}
		c.SetClient(rpc.NewClient(hosts[2], protocol))
		start, path := time.Now(), "/ipns/example.org"
		if got, err := c.Resolve(t.Context(), path); err != nil || !got.Equals(cidOf(path)) || time.Since(start) != time.Minute {
			t.Errorf("Resolve = %s, %v after %s", got, err, time.Since(start))
		}
		<-a.stuck

		gone := errors.New("gone")
		ctx, cancel := context.WithCancelCause(t.Context())
		start = time.Now()
		go func() {
			<-a.stuck
			cancel(gone)
		}()
		_, err = c.Resolve(ctx, path)
		if !errors.Is(err, gone) || errors.Is(err, role.ErrNoDaemon) || time.Since(start) != 0 {
			t.Errorf("Resolve for a caller that leaves = %v after %s", err, time.Since(start))
		}
		if b.called() != 1 {
			t.Error("another peer is asked for a caller that has left")
		}

		daemons = daemons[:1]
		start = time.Now()
		if _, err := c.Resolve(t.Context(), path); !errors.Is(err, role.ErrNoDaemon) || time.Since(start) != time.Minute {
			t.Errorf("Resolve = %v after %s", err, time.Since(start))
		}
	})
}

// TestNoLoop: two API peers that take each other for a peer with a daemon do not
// ask each other without end.
func TestNoLoop(t *testing.T) {
	behind := newFull(t)
	behind.data[cidOf("x")] = []byte("data")
	second := newAPIPeer(t, behind)
	first := newAPIPeer(t, second.host)
	_, getErr := first.BlockGet(t.Context(), cidOf("x"))
	_, resolveErr := first.Resolve(t.Context(), "/ipns/example.org")
	streamErr := stream(t.Context(), first, clusterDAG(1))
	for _, err := range []error{getErr, resolveErr, streamErr} {
		if err == nil || !strings.Contains(err.Error(), "peer "+second.host.ID().String()+" has the role api") {
			t.Errorf("asked through another API peer: %v", err)
		}
	}
	if behind.called() != 0 {
		t.Errorf("the peer behind it was called %d times", behind.called())
	}

	// Upstream's adder at another peer must not take it for a holder either.
	h := newHost(t)
	h.Peerstore().AddAddrs(first.host.ID(), first.host.Addrs(), peerstore.PermanentAddrTTL)
	for _, blocks := range [][]api.NodeWithMeta{clusterDAG(1), {block(cid.Raw, []byte("text"))}} {
		if err := streamTo(t.Context(), h, first.host.ID(), blocks); err == nil || !strings.Contains(err.Error(), "no IPFS daemon: ask another peer") {
			t.Errorf("blocks from another peer: %v", err)
		}
	}
}
