package main

import (
	"context"
	"errors"
	"fmt"
	"sync/atomic"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/ipfs-cluster/ipfs-cluster/ipfsconn/ipfshttp"
	rpc "github.com/libp2p/go-libp2p-gorpc"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/internal/scylla"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/tracker"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

// ownFilter is what peers are asked for when all pins are listed: all but those of
// other peers.
const ownFilter = api.TrackerStatusClusterError | api.TrackerStatusPinError | api.TrackerStatusPinned | api.TrackerStatusPinning |
	api.TrackerStatusPinQueued | api.TrackerStatusUnexpectedlyUnpinned

// countedDaemon is IPFS, which counts the lists of everything.
type countedDaemon struct {
	tracker.Daemon
	lists atomic.Int64
	open  atomic.Int64 // lists that have not ended
}

func (d *countedDaemon) PinLs(ctx context.Context, types []string, out chan<- api.IPFSPinInfo) error {
	d.lists.Add(1)
	d.open.Add(1)
	defer d.open.Add(-1)
	return d.Daemon.PinLs(ctx, types, out)
}

// ownBench is a pin tracker over a pinset that it holds all of.
type ownBench struct {
	set     settings
	db      *scylla.DB
	tracker *tracker.Tracker
	daemon  *countedDaemon
}

// measureOwn measures what the pin tracker of a peer needs to list the pins that it
// holds, and to compare them with IPFS.
func measureOwn(ctx context.Context, srv *server, set settings) (tables []table, err error) {
	conf, err := srv.config()
	if err != nil {
		return nil, err
	}
	b := &ownBench{set: set}
	if b.db, err = srv.session(ctx, conf); err != nil {
		return nil, err
	}
	defer b.db.Close()
	ids, err := newPeers(1)
	if err != nil {
		return nil, err
	}
	say("writing %d pins of one peer straight into the tables", set.Own)
	began := time.Now()
	if err := fillOwn(ctx, b.db, "own", set.Own, ids[0]); err != nil {
		return nil, err
	}
	say("written in %s", time.Since(began).Round(time.Second))
	store, err := scyllastate.Open(ctx, conf)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ipfs := newStandIn(ids[0])
	defer ipfs.close()
	ipfs.all = b.eachPin
	if b.daemon, err = daemonAt(ipfs); err != nil {
		return nil, err
	}
	b.tracker = tracker.New(tracker.Options{
		Self: ids[0], Name: "bench", Store: store, Daemon: b.daemon, Every: time.Hour,
		Config: tracker.Config{MaxPinQueueSize: 1_000_000, ConcurrentPins: 10, PriorityPinMaxAge: 24 * time.Hour, PriorityPinMaxRetries: 5},
	})
	cluster := rpc.NewServer(nil, "")
	if err := cluster.RegisterName("Cluster", clusterOf{ids[0]}); err != nil {
		return nil, err
	}
	b.tracker.SetClient(rpc.NewClientWithServer(nil, "", cluster))
	defer func() { err = errors.Join(err, b.tracker.Shutdown(ctx)) }()
	t, err := b.measure(ctx)
	return []table{t}, err
}

// mostHeap is the promise: what a listing or a recovery of all own pins needs of the
// heap, however many there are, in MB above idle.
const mostHeap = 64

// clusterOf is what a tracker asks the cluster of its peer for.
type clusterOf struct{ id peer.ID }

// IPFSID tells who the daemon is.
func (c clusterOf) IPFSID(_ context.Context, _ peer.ID, out *api.IPFSID) error {
	*out = api.IPFSID{ID: c.id}
	return nil
}

// eachPin calls f for the pins that IPFS has: those of the peer.
func (b *ownBench) eachPin(f func(api.Cid) error) error {
	for i := range b.set.Own {
		s, err := newSample("own", i)
		if err != nil {
			return err
		}
		if err := f(s.pin.Cid); err != nil {
			return err
		}
	}
	return nil
}

// daemonAt is upstream's connector to a stand-in.
func daemonAt(ipfs *standIn) (*countedDaemon, error) {
	conf := &ipfshttp.Config{}
	err := conf.Default()
	if err == nil {
		conf.NodeAddr, err = ipfs.multiaddr()
	}
	if err != nil {
		return nil, fmt.Errorf("configuring the connector to IPFS: %w", err)
	}
	conf.ConnectSwarmsDelay = 0
	connector, err := ipfshttp.NewConnector(conf)
	if err != nil {
		return nil, fmt.Errorf("making the connector to IPFS: %w", err)
	}
	return &countedDaemon{Daemon: connector}, nil
}

func (b *ownBench) measure(ctx context.Context) (table, error) {
	out := table{
		Title: fmt.Sprintf("One peer that holds %d pins", b.set.Own), Left: "StatusAll", Right: "RecoverAll",
		Note: "The pin tracker with upstream's connector, in the process of the bench. IPFS is a stand-in there that streams its list and has all of them; " +
			"what it and the driver leave to the garbage collector is in the figures of the heap.",
	}
	rows := []row{
		{Name: "time", Unit: "s"}, {Name: "requests to the database", Unit: ""},
		{Name: "live heap above idle", Unit: "MB"}, {Name: "heap above idle with garbage, at its peak", Unit: "MB"},
	}
	started, err := b.start(ctx)
	if err != nil {
		return out, err
	}
	defer started.stop()
	say("the look through everything at the start took %s", started.took.Round(100*time.Millisecond))
	for side, list := range []func(context.Context) (int, error){b.statusAll, b.recoverAll} {
		want := []int{b.set.Own, 0}[side]
		got, err := b.use(ctx, want, list)
		if err != nil {
			return out, err
		}
		for i, v := range got {
			rows[i].add(side, v)
		}
		if live := got[2]; live > mostHeap {
			return out, fmt.Errorf("%s needed %.0f MB of the heap, want at most %d", []string{out.Left, out.Right}[side], live, mostHeap)
		}
	}
	out.Rows = rows
	return out, nil
}

// startedTracker is what goes on beside the measurement.
type startedTracker struct {
	took time.Duration // of the look through everything
	stop func()
}

// start lets the tracker take up what was left, which is nothing, and waits until it
// has: before that a recovery does nothing, and the only list that IPFS is asked for is
// the one by which the tracker counts what is pinned. It waits for the end of that, too.
func (b *ownBench) start(ctx context.Context) (*startedTracker, error) {
	ctx, cancel := context.WithCancel(ctx)
	ended := make(chan struct{})
	began := time.Now()
	go func() {
		defer close(ended)
		b.tracker.Run(ctx)
	}()
	s := &startedTracker{stop: func() {
		cancel()
		<-ended
	}}
	for b.daemon.lists.Load() < 2 || b.daemon.open.Load() > 0 {
		if b.daemon.lists.Load() < 2 {
			s.took = time.Since(began)
			if _, err := b.recoverAll(ctx); err != nil {
				s.stop()
				return nil, err
			}
		}
		select {
		case <-ctx.Done():
			s.stop()
			return nil, context.Cause(ctx)
		case <-time.After(sampleEvery):
		}
	}
	return s, nil
}

func (b *ownBench) statusAll(ctx context.Context) (int, error) {
	return count(func(out chan<- api.PinInfo) error { return b.tracker.StatusAll(ctx, ownFilter, out) }, api.TrackerStatusPinned)
}

func (b *ownBench) recoverAll(ctx context.Context) (int, error) {
	return count(func(out chan<- api.PinInfo) error { return b.tracker.RecoverAll(ctx, out) }, api.TrackerStatusUndefined)
}

// count counts what a listing sends, all of which has a status.
func count(list func(chan<- api.PinInfo) error, want api.TrackerStatus) (int, error) {
	out, failed := make(chan api.PinInfo, 1024), make(chan error, 1)
	go func() { failed <- list(out) }()
	n := 0
	var wrong error
	for info := range out {
		n++
		if info.Status != want && wrong == nil {
			wrong = fmt.Errorf("%s is %s at %s: %s", info.Cid, info.Status, info.Peer, info.Error)
		}
	}
	return n, errors.Join(<-failed, wrong)
}
