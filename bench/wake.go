package main

import (
	"context"
	"errors"
	"fmt"
	"os"
	"slices"
	"sync"
	"time"

	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/bus"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/embedded"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/events/wake"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/state"
)

// wakeBound is the promise for the 99th percentile on an idle machine.
const wakeBound = 100 * time.Millisecond

// measureWake measures how long it takes from the acknowledgement of a pin at one peer until
// the tracker of another is given it, with wake-ups over NATS and without. Each peer has
// its own connections to the database and to NATS.
func measureWake(ctx context.Context, srv *server, set settings) (tables []table, err error) {
	folder, err := os.MkdirTemp("", "bench-wake-")
	if err != nil {
		return nil, fmt.Errorf("making a folder for NATS: %w", err)
	}
	defer func() { err = errors.Join(err, os.RemoveAll(folder)) }()
	server, err := embedded.Start(ctx, embedded.Config{Folder: folder, Listen: "127.0.0.1:0"})
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, server.Close(context.WithoutCancel(ctx))) }()
	var took [2][]time.Duration
	for side, url := range []string{server.URL(), ""} {
		if took[side], err = wakeOn(ctx, srv, set, url); err != nil {
			return nil, err
		}
	}
	t := table{
		Title: "From the acknowledgement of a pin at one peer to the tracker of another", Left: "wake-ups", Right: "polling",
		Note: fmt.Sprintf("%d pins, one after another, in the middle of nothing else. The promise for the 99th percentile with wake-ups is %s.", set.Woken, wakeBound),
	}
	for _, p := range []struct {
		name  string
		share float64
	}{{"median", 0.5}, {"99th percentile", 0.99}, {"latest", 1}} {
		r := row{Name: p.name, Unit: "ms"}
		for side := range took {
			at := took[side][min(int(p.share*float64(len(took[side]))), len(took[side])-1)]
			r.add(side, at.Seconds()*1000)
		}
		t.Rows = append(t.Rows, r)
	}
	return []table{t}, nil
}

// wakePeer is one of the two peers.
type wakePeer struct {
	store *scyllastate.Store
	end   func() error
}

// newWakePeer opens the store of a peer that reads feeds, and carries its wake-ups if there
// is a URL of NATS.
func newWakePeer(ctx context.Context, conf scyllastate.Config, url string, reads ...peer.ID) (*wakePeer, error) {
	store, err := scyllastate.Open(ctx, &conf)
	if err != nil {
		return nil, err
	}
	p := &wakePeer{store: store, end: store.Close}
	if url == "" {
		return p, nil
	}
	b, err := bus.Connect(bus.Config{URLs: []string{url}, Cluster: "bench"})
	if err != nil {
		return nil, errors.Join(err, store.Close())
	}
	var feeds []string
	for _, id := range reads {
		feeds = append(feeds, store.Feeds(id)...)
	}
	running, stop := context.WithCancel(ctx)
	var carried sync.WaitGroup
	carried.Go(func() { _ = wake.New(b, store).Run(running, feeds...) })
	p.end = func() error {
		stop()
		carried.Wait()
		return errors.Join(b.Close(context.WithoutCancel(ctx)), store.Close())
	}
	return p, nil
}

// wakeOn returns how long each pin took, the shortest first.
func wakeOn(ctx context.Context, srv *server, set settings, url string) (took []time.Duration, err error) {
	conf, err := srv.config()
	if err != nil {
		return nil, err
	}
	ids, err := newPeers(1)
	if err != nil {
		return nil, err
	}
	reader, err := newWakePeer(ctx, *conf, url, ids...)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, reader.end()) }()
	writer, err := newWakePeer(ctx, *conf, url)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, writer.end()) }()
	feed, err := reader.store.OpenFeed(ctx, ids[0])
	if err != nil {
		return nil, err
	}
	tracked := make(chan time.Time, 1)
	reading, stop := context.WithCancel(ctx)
	var consumed sync.WaitGroup
	consumed.Go(func() {
		_ = feed.Consume(reading, func(context.Context, state.Change) error {
			tracked <- time.Now()
			return nil
		})
	})
	defer func() { stop(); consumed.Wait() }()
	for i := -10; i < set.Woken; i++ { // the first warm up
		s, err := newSample("woken", i+10, ids...)
		if err != nil {
			return nil, err
		}
		acknowledged, err := addOne(ctx, writer.store, s.pin)
		if err != nil {
			return nil, err
		}
		select {
		case at := <-tracked:
			if i >= 0 {
				took = append(took, max(0, at.Sub(acknowledged)))
			}
		case <-ctx.Done():
			return nil, ctx.Err()
		}
		select {
		case <-time.After(time.Duration(37+i%100) * time.Millisecond): // at no fixed time within a poll
		case <-ctx.Done():
			return nil, ctx.Err()
		}
	}
	slices.Sort(took)
	return took, nil
}

func addOne(ctx context.Context, store *scyllastate.Store, pin api.Pin) (acknowledged time.Time, err error) {
	err = store.Add(ctx, pin)
	return time.Now(), err
}
