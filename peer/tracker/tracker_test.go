package tracker

import (
	"context"
	"errors"
	"slices"
	"testing"

	ipfscluster "github.com/ipfs-cluster/ipfs-cluster"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/datastore/inmem"
	"github.com/ipfs-cluster/ipfs-cluster/pintracker/stateless"
	clusterstate "github.com/ipfs-cluster/ipfs-cluster/state"
	"github.com/ipfs-cluster/ipfs-cluster/state/dsstate"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

var _ ipfscluster.PinTracker = (*Tracker)(nil)

// IPFSConnector is an IPFS daemon that holds nothing and remembers what it is
// asked to pin.
type IPFSConnector struct{ pinned chan api.Cid }

func (c *IPFSConnector) ID(context.Context, struct{}, *api.IPFSID) error { return nil }

func (c *IPFSConnector) PinLs(_ context.Context, in <-chan []string, out chan<- api.IPFSPinInfo) error {
	for range in { // nothing is pinned
		continue
	}
	close(out)
	return nil
}

func (c *IPFSConnector) PinLsCid(_ context.Context, _ api.Pin, out *api.IPFSPinStatus) error {
	*out = api.IPFSPinStatusUnpinned
	return nil
}

func (c *IPFSConnector) Pin(_ context.Context, pin api.Pin, _ *struct{}) error {
	c.pinned <- pin.Cid
	return nil
}

func pinAt(label string, peers ...peer.ID) api.Pin {
	p := api.PinWithOpts(statetest.Cid(label), api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 1})
	p.Allocations = peers
	return p
}

// counted counts what is listed, and can fail.
type counted struct {
	clusterstate.ReadOnly
	err error
}

func (c counted) List(ctx context.Context, out chan<- api.Pin) error {
	return errors.Join(c.ReadOnly.List(ctx, out), c.err)
}

func newPinset(t *testing.T, pins ...api.Pin) clusterstate.State {
	t.Helper()
	st, err := dsstate.New(t.Context(), inmem.New(), "/pins", nil)
	if err != nil {
		t.Fatal(err)
	}
	for _, p := range pins {
		if err := st.Add(t.Context(), p); err != nil {
			t.Fatal(err)
		}
	}
	return st
}

// TestRecoverLooksAtOwnPins shows that a recovery pins what is missing here, and
// that a status of everything still shows the pins of other peers.
func TestRecoverLooksAtOwnPins(t *testing.T) {
	self, other := statetest.Peer("self"), statetest.Peer("other")
	everywhere := pinAt("everywhere")
	everywhere.ReplicationFactorMin, everywhere.ReplicationFactorMax = -1, -1
	mine, remote := pinAt("mine", other, self), pinAt("remote", other)
	st := newPinset(t, mine, everywhere, remote)
	conf := &stateless.Config{}
	if err := conf.Default(); err != nil {
		t.Fatal(err)
	}
	tr := New(conf, self, "name", func(context.Context) (clusterstate.ReadOnly, error) { return st, nil })
	t.Cleanup(func() { _ = tr.Shutdown(context.Background()) })
	ipfs := &IPFSConnector{pinned: make(chan api.Cid, 10)}
	server := rpc.NewServer(nil, "/test")
	if err := server.Register(ipfs); err != nil {
		t.Fatal(err)
	}
	tr.SetClient(rpc.NewClientWithServer(nil, "/test", server))

	all := make(chan api.PinInfo, 10)
	if err := tr.StatusAll(t.Context(), api.TrackerStatusUndefined, all); err != nil {
		t.Fatal(err)
	}
	status := make(map[api.Cid]api.TrackerStatus)
	for info := range all {
		status[info.Cid] = info.Status
	}
	if len(status) != 3 || status[remote.Cid] != api.TrackerStatusRemote {
		t.Errorf("the status of everything is %v", status)
	}

	recovered := make(chan api.PinInfo, 10)
	if err := tr.RecoverAll(t.Context(), recovered); err != nil {
		t.Fatal(err)
	}
	want := []api.Cid{mine.Cid, everywhere.Cid}
	for range want {
		if c := <-ipfs.pinned; !slices.Contains(want, c) {
			t.Errorf("%s was pinned", c)
		}
	}
}

// TestOwnPins checks what the recovery lists.
func TestOwnPins(t *testing.T) {
	self, other := statetest.Peer("self"), statetest.Peer("other")
	meta := pinAt("meta")
	meta.Type = api.MetaType
	mine := pinAt("mine", self)
	st := newPinset(t, mine, pinAt("remote", other), meta)
	broken := errors.New("the database is gone")
	for _, listErr := range []error{nil, broken} {
		own := ownPins{ReadOnly: counted{ReadOnly: st, err: listErr}, self: self}
		out := make(chan api.Pin, 10)
		if err := own.List(t.Context(), out); !errors.Is(err, listErr) {
			t.Errorf("List = %v, want %v", err, listErr)
		}
		var got []api.Cid
		for p := range out {
			got = append(got, p.Cid)
		}
		if !slices.Equal(got, []api.Cid{mine.Cid}) {
			t.Errorf("listed %v", got)
		}
		if ok, err := own.Has(t.Context(), statetest.Cid("remote")); !ok || err != nil {
			t.Error("Has does not see everything", err)
		}
	}
	// A reader that leaves ends it.
	ctx, cancel := context.WithCancel(t.Context())
	cancel()
	if err := (ownPins{ReadOnly: st, self: self}).List(ctx, make(chan api.Pin)); !errors.Is(err, context.Canceled) {
		t.Errorf("List = %v", err)
	}
}
