package tracker

import (
	"context"
	"errors"
	"sync"
	"testing"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state/statetest"
)

// rig is a Tracker with all around it, in the bubble of a test.
type rig struct {
	*Tracker
	t     *testing.T
	self  peer.ID
	store *store
	ipfs  *ipfs
	stop  func()
}

// newRig starts a Tracker, without Run.
func newRig(t *testing.T, st *store, daemon *ipfs, change ...func(*Options)) *rig {
	t.Helper()
	opts := Options{
		Self: statetest.Peer("self"), Name: "self", Store: st, Daemon: daemon, Every: time.Hour,
		Config: Config{MaxPinQueueSize: 1000, ConcurrentPins: 10, PriorityPinMaxAge: 24 * time.Hour, PriorityPinMaxRetries: 5},
		Size:   func(context.Context, api.Cid) (int64, error) { return 42, nil },
	}
	for _, f := range change {
		f(&opts)
	}
	r := &rig{Tracker: New(opts), t: t, self: opts.Self, store: st, ipfs: daemon}
	cluster := rpc.NewServer(nil, "")
	if err := cluster.RegisterName("Cluster", clusterOf{opts.Self}); err != nil {
		t.Fatal(err)
	}
	r.SetClient(rpc.NewClientWithServer(nil, "", cluster))
	var once sync.Once
	r.stop = func() { once.Do(func() { _ = r.Shutdown(context.Background()) }) }
	t.Cleanup(r.stop)
	return r
}

// clusterOf is what a Tracker asks the cluster of its peer for.
type clusterOf struct{ id peer.ID }

func (c clusterOf) IPFSID(_ context.Context, _ peer.ID, out *api.IPFSID) error {
	*out = api.IPFSID{ID: c.id}
	return nil
}

// run lets Run work until the test ends or the Tracker is stopped.
func (r *rig) run() {
	ctx, cancel := context.WithCancel(r.t.Context())
	var running sync.WaitGroup
	running.Go(func() { r.Run(ctx) })
	stop := r.stop
	var once sync.Once
	r.stop = func() {
		once.Do(func() {
			cancel()
			running.Wait()
			stop()
		})
	}
	r.t.Cleanup(r.stop)
}

// act gives the Tracker a change. The result tells whether it is done.
func (r *rig) act(ch state.Change) func() bool {
	r.t.Helper()
	var mu sync.Mutex
	ended := false
	ch.Done = func(err error) {
		mu.Lock()
		defer mu.Unlock()
		if err != nil || ended {
			r.t.Errorf("a change ended with %v (ended before: %t)", err, ended)
		}
		ended = true
	}
	if err := r.Act(r.t.Context(), ch); !errors.Is(err, state.ErrLater) {
		r.t.Errorf("Act = %v", err)
	}
	return func() bool {
		mu.Lock()
		defer mu.Unlock()
		return ended
	}
}

func (r *rig) pin(label string, peers ...peer.ID) *api.Pin {
	p := api.PinWithOpts(statetest.Cid(label), api.PinOptions{ReplicationFactorMin: 1, ReplicationFactorMax: 2})
	p.Allocations = peers
	p.Timestamp = time.Now()
	return &p
}

// own is a pin of this peer.
func (r *rig) own(label string) *api.Pin { return r.pin(label, r.self) }

// direct is one of the root only.
func (r *rig) direct(label string) *api.Pin {
	pin := r.own(label)
	pin.MaxDepth, pin.Mode = 0, api.PinModeDirect
	return pin
}

// inMemory is how many CIDs are worked on.
func (r *rig) inMemory() int {
	n := 0
	for i := range r.buckets {
		r.buckets[i].mu.Lock()
		n += len(r.buckets[i].ops)
		r.buckets[i].mu.Unlock()
	}
	return n
}
