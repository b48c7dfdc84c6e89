package peerapi

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"path/filepath"
	"strings"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/api/pinsvcapi"
	"github.com/ipfs-cluster/ipfs-cluster/api/rest"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	libp2p "github.com/libp2p/go-libp2p/core/peer"
	ma "github.com/multiformats/go-multiaddr"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/pinsvc"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// cluster is what upstream's REST API asks: pins in memory, of which the peers say what
// they are told to.
type cluster struct {
	mu    sync.Mutex
	pins  map[api.Cid]api.Pin
	says  map[api.Cid][]api.PinInfoShort
	err   error // of every call
	bad   api.Cid
	calls []string
	addrs []api.Multiaddr // of the IPFS daemon
}

func newCluster() *cluster {
	return &cluster{pins: make(map[api.Cid]api.Pin), says: make(map[api.Cid][]api.PinInfoShort)}
}

func (c *cluster) called(what string, id api.Cid) error {
	c.calls = append(c.calls, what)
	if id.Defined() && id == c.bad {
		return fmt.Errorf("no %s of this CID", what)
	}
	return c.err
}

// clusterRPC serves it.
type clusterRPC struct{ *cluster }

func (c clusterRPC) Pin(_ context.Context, in api.Pin, out *api.Pin) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.called("Pin", in.Cid); err != nil {
		return err
	}
	in.Allocations = []libp2p.ID{statetest.Peer("0")}
	in.Timestamp = time.Date(2026, 1, 2, 3, 4, 5, 0, time.UTC)
	c.pins[in.Cid] = in
	*out = in
	return nil
}

func (c clusterRPC) Unpin(_ context.Context, in api.Pin, out *api.Pin) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.called("Unpin", in.Cid); err != nil {
		return err
	}
	pin, there := c.pins[in.Cid]
	if !there {
		return state.ErrNotFound
	}
	delete(c.pins, in.Cid)
	*out = pin
	return nil
}

func (c clusterRPC) PinGet(_ context.Context, in api.Cid, out *api.Pin) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.called("PinGet", in); err != nil {
		return err
	}
	pin, there := c.pins[in]
	if !there {
		return state.ErrNotFound
	}
	*out = pin
	return nil
}

func (c clusterRPC) Status(_ context.Context, in api.Cid, out *api.GlobalPinInfo) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	if err := c.called("Status", in); err != nil {
		return err
	}
	says, told := c.says[in]
	if _, there := c.pins[in]; !there && !told {
		says = []api.PinInfoShort{{Status: api.TrackerStatusUnpinned}}
	}
	for i, s := range says {
		pin := c.pins[in]
		out.Add(api.PinInfo{Cid: in, Name: pin.Name, Peer: statetest.Peer(fmt.Sprint(i)), Created: pin.Timestamp, PinInfoShort: s})
	}
	out.Cid = in
	return nil
}

func (c clusterRPC) ID(_ context.Context, _ struct{}, out *api.ID) error {
	c.mu.Lock()
	defer c.mu.Unlock()
	*out = api.ID{ID: statetest.Peer("0"), IPFS: api.IPFSID{Addresses: c.addrs}}
	return c.called("ID", api.CidUndef)
}

func (c clusterRPC) Peers(_ context.Context, _ <-chan struct{}, out chan<- api.ID) error {
	defer close(out)
	for i := range 3 {
		out <- api.ID{ID: statetest.Peer(fmt.Sprint(i))}
	}
	c.mu.Lock()
	defer c.mu.Unlock()
	return c.err // behind the first, so that it is in the trailer
}

func (c clusterRPC) RecoverAllLocal(_ context.Context, _ <-chan struct{}, out chan<- api.PinInfo) error {
	defer close(out)
	out <- api.PinInfo{Cid: statetest.Cid("local"), Peer: statetest.Peer("0")}
	return nil
}

func (c clusterRPC) RecoverAll(_ context.Context, _ <-chan struct{}, out chan<- api.GlobalPinInfo) error {
	close(out)
	return nil
}

// client is one for the cluster's RPC.
func (c *cluster) client(t *testing.T) *rpc.Client {
	t.Helper()
	server := rpc.NewServer(nil, "")
	must(t, server.RegisterName("Cluster", clusterRPC{c}))
	return rpc.NewClientWithServer(nil, "", server)
}

// serve serves it by upstream's REST API, and returns the URL.
func (c *cluster) serve(t *testing.T, listen string, credentials map[string]string) string {
	t.Helper()
	cfg := rest.NewConfig()
	must(t, cfg.Default())
	cfg.HTTPListenAddr = []ma.Multiaddr{ma.StringCast(listen)}
	cfg.BasicAuthCredentials = credentials
	a, err := rest.NewAPI(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() { _ = a.Shutdown(context.Background()) })
	a.SetClient(c.client(t))
	if path, ok := strings.CutPrefix(listen, "/unix"); ok {
		return "unix://" + path
	}
	addrs, err := a.HTTPAddresses()
	must(t, err)
	return "http://" + addrs[0]
}

const anyPort = "/ip4/127.0.0.1/tcp/0"

// servePinning serves it by our peers' Pinning Services API.
func (c *cluster) servePinning(t *testing.T) string {
	t.Helper()
	cfg := pinsvcapi.NewConfig()
	must(t, cfg.Default())
	cfg.HTTPListenAddr = []ma.Multiaddr{ma.StringCast(anyPort)}
	a, err := pinsvc.New(t.Context(), cfg)
	must(t, err)
	t.Cleanup(func() { _ = a.Shutdown(context.Background()) })
	a.SetClient(c.client(t))
	addrs, err := a.HTTPAddresses()
	must(t, err)
	return "http://" + addrs[0]
}

func must(t *testing.T, err error) {
	t.Helper()
	if err != nil {
		t.Fatal(err)
	}
}

func newClient(t *testing.T, config Config) *Client {
	t.Helper()
	c, err := New(config)
	must(t, err)
	t.Cleanup(c.Close)
	return c
}

// fake is a server that answers what it is told to, which no peer does.
func fake(t *testing.T, answer http.HandlerFunc) string {
	t.Helper()
	server := httptest.NewServer(answer)
	t.Cleanup(server.Close)
	return server.URL
}

// says answers with a status and a text.
func says(status int, body string) http.HandlerFunc {
	return func(w http.ResponseWriter, _ *http.Request) {
		w.WriteHeader(status)
		fmt.Fprint(w, body)
	}
}

// file writes a file.
func file(t *testing.T, text string) string {
	t.Helper()
	name := filepath.Join(t.TempDir(), "file")
	must(t, os.WriteFile(name, []byte(text), 0o600))
	return name
}

func text(label string) string { return statetest.Cid(label).String() }
