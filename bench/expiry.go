package main

import (
	"context"
	"errors"
	"fmt"
	"slices"
	"time"

	"github.com/gocql/gocql"
	"github.com/ipfs-cluster/ipfs-cluster/api"
	"github.com/libp2p/go-libp2p/core/peer"
	"golang.org/x/sync/errgroup"

	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/membership"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/peer/reconcile"
	"github.com/ipfs-cluster/ipfs-cluster-scylla/scyllastate"
)

const (
	// expiriesPerHour is the rate of the promise, and lateBound its limit.
	expiriesPerHour = 100_000
	lateBound       = 60 * time.Second
	// expiryPatience is how long after the last expiry the bench waits.
	expiryPatience = 3 * time.Minute
)

// noAllocator gives no pin to anybody: nothing is repinned here.
type noAllocator struct{}

func (noAllocator) Allocate(context.Context, api.Cid, api.MetricsSet, api.MetricsSet, api.MetricsSet) ([]peer.ID, error) {
	return nil, errors.New("nothing is allocated in this measurement")
}

func (noAllocator) Metrics() []string { return nil }

// measureExpiry writes pins that run out one after another at the rate of the
// promise, and measures how late the loop of one peer removes each of them.
func measureExpiry(ctx context.Context, db *server, set settings) (tables []table, err error) {
	conf, err := db.config()
	if err != nil {
		return nil, err
	}
	store, err := scyllastate.Open(ctx, conf)
	if err != nil {
		return nil, err
	}
	defer func() { err = errors.Join(err, store.Close()) }()
	ids, err := newPeers(2)
	if err != nil {
		return nil, err
	}
	self, holder := ids[0], ids[1]
	view := membership.View{Self: self, Peers: []membership.Peer{{ID: self, Live: true, Role: membership.RoleFull}}}
	loops := reconcile.New(reconcile.Options{
		Self: self, Store: store, View: func() membership.View { return view },
		Metrics: func(context.Context, string) []api.Metric { return nil }, Allocator: noAllocator{},
		Finish: func(context.Context, peer.ID) error { return nil },
	})

	pins, begin, err := expiring(set, holder)
	if err != nil {
		return nil, err
	}
	if err := addAll(ctx, store, pins); err != nil {
		return nil, err
	}
	say("%d pins run out within %s, from %s on", len(pins), set.Expiring, time.Until(begin).Round(time.Second))
	loopCtx, stop := context.WithCancel(ctx)
	ended := make(chan struct{})
	go func() {
		defer close(ended)
		loops.Run(loopCtx)
	}()
	late, err := lateness(ctx, store, pins)
	stop()
	<-ended
	if err != nil {
		return nil, err
	}
	t := table{
		Title: "Lateness of the removal of a pin that runs out", Left: "removed", Right: "limit",
		Note: fmt.Sprintf("%d pins at %d in an hour, one peer. The time of a pin has whole seconds; what its row was removed at has 100 ns.", len(pins), expiriesPerHour),
	}
	for _, p := range []struct {
		name  string
		share float64
	}{{"median", 0.5}, {"99th percentile", 0.99}, {"latest", 1}} {
		r := row{Name: p.name, Unit: "s"}
		r.add(0, late[min(int(p.share*float64(len(late))), len(late)-1)].Seconds())
		r.add(1, lateBound.Seconds())
		t.Rows = append(t.Rows, r)
	}
	return []table{t}, nil
}

// expiring makes the pins and says when the first one runs out: late enough to
// write them all before.
func expiring(set settings, holder peer.ID) ([]api.Pin, time.Time, error) {
	n := int(set.Expiring.Hours() * expiriesPerHour)
	begin := time.Now().Add(20*time.Second + time.Duration(n)*5*time.Millisecond)
	pins := make([]api.Pin, n)
	for i := range pins {
		s, err := newSample("expiring", i, holder)
		if err != nil {
			return nil, time.Time{}, err
		}
		s.pin.ExpireAt = begin.Add(time.Duration(i) * time.Hour / expiriesPerHour).Truncate(time.Second)
		pins[i] = s.pin
	}
	return pins, begin, nil
}

func addAll(ctx context.Context, store *scyllastate.Store, pins []api.Pin) error {
	g, ctx := errgroup.WithContext(ctx)
	g.SetLimit(fillWriters)
	for _, pin := range pins {
		g.Go(func() error { return store.Add(ctx, pin) })
	}
	if err := g.Wait(); err != nil {
		return fmt.Errorf("writing the pins that run out: %w", err)
	}
	return nil
}

// lateness waits until all pins are removed and returns how late each of them
// was, in order. The row of a removed pin has the time of its removal.
func lateness(ctx context.Context, store *scyllastate.Store, pins []api.Pin) ([]time.Duration, error) {
	deadline := pins[len(pins)-1].ExpireAt.Add(expiryPatience)
	late := make([]time.Duration, 0, len(pins))
	for _, p := range pins {
		for {
			current, rev, err := store.GetVersion(ctx, p.Cid)
			if err != nil {
				return nil, err
			}
			if current == nil {
				late = append(late, gocql.UUID(rev).Time().Sub(p.ExpireAt))
				break
			}
			if time.Now().After(deadline) {
				return nil, fmt.Errorf("the pin of %s ran out at %s and is still there", p.Cid, p.ExpireAt)
			}
			select {
			case <-ctx.Done():
				return nil, ctx.Err()
			case <-time.After(sampleEvery):
			}
		}
	}
	slices.Sort(late)
	return late, nil
}
