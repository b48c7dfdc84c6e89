package tracker

import (
	"context"
	"maps"
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

// pinset lists all pins, and those of one peer by another way.
type pinset struct {
	clusterstate.State
	own  []api.Pin
	walk int // calls of List
}

func (p *pinset) List(ctx context.Context, out chan<- api.Pin) error {
	p.walk++
	return p.State.List(ctx, out)
}

func (p *pinset) ListOwn(ctx context.Context, _ peer.ID, out chan<- api.Pin) error {
	defer close(out)
	for _, pin := range p.own {
		select {
		case out <- pin:
		case <-ctx.Done():
			return ctx.Err()
		}
	}
	return nil
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

// TestOwnPins: a recovery, and a status of anything but what is remote, look at
// the pins of this peer only; a status of everything still shows the others.
func TestOwnPins(t *testing.T) {
	self, other := statetest.Peer("self"), statetest.Peer("other")
	everywhere := pinAt("everywhere")
	everywhere.ReplicationFactorMin, everywhere.ReplicationFactorMax = -1, -1
	meta := pinAt("meta")
	meta.Type = api.MetaType
	mine, remote := pinAt("mine", other, self), pinAt("remote", other)
	pins := &pinset{State: newPinset(t, mine, everywhere, remote, meta), own: []api.Pin{mine, everywhere}}
	conf := &stateless.Config{}
	if err := conf.Default(); err != nil {
		t.Fatal(err)
	}
	tr := New(conf, self, "name", pins)
	t.Cleanup(func() { _ = tr.Shutdown(context.Background()) })
	ipfs := &IPFSConnector{pinned: make(chan api.Cid, 10)}
	server := rpc.NewServer(nil, "/test")
	if err := server.Register(ipfs); err != nil {
		t.Fatal(err)
	}
	tr.SetClient(rpc.NewClientWithServer(nil, "/test", server))

	for _, tt := range []struct {
		filter api.TrackerStatus
		want   map[api.Cid]api.TrackerStatus
		walks  int
	}{
		{api.TrackerStatusUndefined, map[api.Cid]api.TrackerStatus{
			mine.Cid: api.TrackerStatusUnexpectedlyUnpinned, everywhere.Cid: api.TrackerStatusUnexpectedlyUnpinned,
			remote.Cid: api.TrackerStatusRemote, meta.Cid: api.TrackerStatusSharded,
		}, 1},
		{api.TrackerStatusRemote, map[api.Cid]api.TrackerStatus{remote.Cid: api.TrackerStatusRemote}, 1},
		{api.TrackerStatusSharded, map[api.Cid]api.TrackerStatus{meta.Cid: api.TrackerStatusSharded}, 1},
		{api.TrackerStatusPinned | api.TrackerStatusUnexpectedlyUnpinned, map[api.Cid]api.TrackerStatus{
			mine.Cid: api.TrackerStatusUnexpectedlyUnpinned, everywhere.Cid: api.TrackerStatusUnexpectedlyUnpinned,
		}, 0},
	} {
		pins.walk = 0
		all := make(chan api.PinInfo, 10)
		if err := tr.StatusAll(t.Context(), tt.filter, all); err != nil {
			t.Fatal(err)
		}
		got := make(map[api.Cid]api.TrackerStatus)
		for info := range all {
			got[info.Cid] = info.Status
		}
		if !maps.Equal(got, tt.want) || pins.walk != tt.walks {
			t.Errorf("status with filter %s: %v, %d walks over the pinset, want %v, %d", tt.filter, got, pins.walk, tt.want, tt.walks)
		}
	}

	pins.walk = 0
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
	if pins.walk != 0 {
		t.Error("the recovery walked over the whole pinset")
	}
	if info := tr.Status(t.Context(), remote.Cid); info.Status != api.TrackerStatusRemote {
		t.Errorf("status of another peer's pin: %s", info.Status)
	}
	if at := tr.Operation(t.Context(), remote.Cid); at != api.TrackerStatusUnpinned {
		t.Errorf("it is at no operation, and says %s", at)
	}
	for range cap(ipfs.pinned) { // the next one finds no room
		ipfs.pinned <- api.CidUndef
	}
	next := pinAt("next", self)
	if err := tr.Track(t.Context(), next); err != nil {
		t.Fatal(err)
	}
	if at := tr.Operation(t.Context(), next.Cid); at != api.TrackerStatusPinQueued && at != api.TrackerStatusPinning {
		t.Errorf("it is at a pin, and says %s", at)
	}
	for c := range ipfs.pinned {
		if c.Equals(next.Cid) {
			break
		}
	}
}
